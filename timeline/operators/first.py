"""``first(col)``: the first value that the events say.

>>> from timeline.language.calls import first
>>> print(first("cdn"))
first(cdn)
"""

from __future__ import annotations

from dataclasses import dataclass

from timeline.language.signatures import COLUMN, Signature
from timeline.operators.latest_event_to_state import LatestEventToState
from timeline.tables.history import History
from timeline.tables.table import Table
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64


@dataclass(frozen=True)
class First(LatestEventToState):
    """At t: ``column`` of the first event at or before t that carries it; null before.

    Of two events at its tick the later in the stream counts, as in ``latest_event_to_state``.

    >>> from timeline.local.example import run
    >>> run('first(state)', {1: None, 4: "buffer", 8: "play"}, late={3: "seek"})
    1 s None
    3 s 'seek'
    """

    signature = Signature("first", (COLUMN,), Kind.STATE, rank=15)

    def thin(self, raw: Table) -> Table:
        heads = raw.first_rows()
        return raw if len(heads) == len(raw) else raw.take(heads)

    def forget(self, raw: History, horizon: I64) -> None:
        """The first value of a key is all that is kept of it."""

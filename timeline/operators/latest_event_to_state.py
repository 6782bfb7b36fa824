"""``latest_event_to_state(col)``: the State that the events spell out.

>>> from timeline.language.calls import latest_event_to_state
>>> print(latest_event_to_state("state"))
latest_event_to_state(state)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.signatures import COLUMN, Signature
from timeline.operators.base import OfColumn, sort_rows, with_start
from timeline.tables.events import Events
from timeline.tables.splicing import coalesce
from timeline.tables.table import Table, Window, empty
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64, NULL_CODE, Vocabulary


@dataclass(frozen=True)
class LatestEventToState(OfColumn):
    """At t: ``column`` of the latest event at or before t that carries it; null before the first.

    Of two events at one tick the later in the stream counts. Raw rows keep repeated values: after
    ``buffer@4, buffer@8`` a late ``play@6`` must leave buffer in force again at 8.

    >>> from timeline.local.example import run
    >>> run('latest_event_to_state(state)', {4: "buffer", 8: "buffer"}, late={6: "play"})
    4 s 'buffer'
    6 s 'play'
    8 s 'buffer'
    """

    signature = Signature("latest_event_to_state", (COLUMN,), Kind.STATE, rank=1)

    def empty_raw(self) -> Table:
        return empty(Kind.STATE, Vocabulary())

    def read(self, events: Events, at: I64, raw: Table) -> Table:
        assert raw.vocabulary is not None
        column = events.column(self.column)
        carried = column.codes != NULL_CODE
        if carried.all():
            rows = sort_rows(at, keep="last")
        else:
            some = np.flatnonzero(carried)
            rows = some[sort_rows(at[some], keep="last")]
        codes = column.codes[rows]
        # A batch's dictionary may hold what none of its accepted events says.
        occurs = np.zeros(len(column.values), bool)
        occurs[codes] = True
        used = np.flatnonzero(occurs)
        recode = np.zeros(len(column.values), np.int64)
        values = column.as_scalars()
        recode[used] = raw.vocabulary.encode([values[code] for code in used.tolist()])
        return Table(Kind.STATE, at[rows], recode[codes], None, raw.vocabulary)

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        return coalesce(with_start(inputs[0], window))

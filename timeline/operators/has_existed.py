"""``has_existed(p)``: true from the first time on, for ever.

>>> from timeline.language.builder import col
>>> from timeline.language.calls import has_existed
>>> print(has_existed(col("speed") > 10.5))
has_existed(speed > 10.5)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.checking import kind_of
from timeline.language.expression import Expression
from timeline.language.signatures import MATCH, Signature
from timeline.operators.base import Lowered, Operator, before, with_start
from timeline.operators.matching import Matching
from timeline.tables.history import History
from timeline.tables.packing import first_of_runs
from timeline.tables.splicing import coalesce
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64


@dataclass(frozen=True)
class HasExisted(Operator):
    """Over a Bool timeline: true from its first true tick on.

    >>> from timeline.local.example import run
    >>> run('has_existed(latest_event_to_state(state) == "play")', {1: "seek", 2: "play", 3: "seek"})
    1 s False
    2 s True
    """

    signature = Signature("has_existed", (MATCH,), Kind.BOOL, rank=2)

    remembers = True

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        (of,) = part.parts
        return (HasExistedEvent(predicate=of), ()) if kind_of(of) is Kind.PREDICATE else (cls(), (of,))

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table = with_start(inputs[0], window)
        value = np.zeros(len(table), bool)
        # From the first true row of a key on, everything is true.
        key = table.key
        true_rows = np.flatnonzero(table.value)
        first = true_rows[first_of_runs(key[true_rows])]
        value[first] = True
        row, held = before(own, window)
        existed = np.zeros(len(window), bool)
        existed[held] = own.value[row[held]]
        heads = table.first_rows()
        value[heads] |= existed
        seen = np.cumsum(value)
        earlier = seen[heads] - value[heads]
        value = (seen - np.repeat(earlier, np.diff(np.append(heads, len(table))))) > 0
        return coalesce(Table(Kind.BOOL, table.at, value))


@dataclass(frozen=True)
class HasExistedEvent(HasExisted, Matching):
    """Over a predicate: true from the first matching event on.

    >>> from timeline.local.example import run
    >>> run('has_existed(state == "play")', {2: "seek", 3: "play", 4: "seek"}, late={1: "seek"})
    1 s False
    3 s True
    """

    def thin(self, raw: Table) -> Table:
        heads = raw.first_rows()
        return raw if len(heads) == len(raw) else raw.take(heads)

    def forget(self, raw: History, horizon: I64) -> None:
        """The first match of a key is all that is kept of it."""

"""``sum(col)``: the running total of a column.

>>> from timeline.language.calls import sum_
>>> print(sum_("bytes") / 1_000_000)
sum(bytes) / 1000000
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timeline.language.signatures import COLUMN, Signature
from timeline.operators.base import OfColumn
from timeline.operators.running import Running, added_up
from timeline.tables.events import Events
from timeline.tables.table import Table
from timeline.values.exact import NULL, exact_column, fitted
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64


@dataclass(frozen=True)
class Sum(OfColumn, Running):
    """At t: the sum of the numbers that the events at or before t carry in ``column``.

    Exact, with all digits (to 400) that the numbers are written with: ten times 0.1 is 1. What is no
    number adds nothing; several events at one tick all count.

    >>> from timeline.local.example import run
    >>> run('sum(state)', {1: 0.1, 2: 0.2, 3: "x", 5: -1})
    1 s 0.1
    2 s 0.3
    5 s -0.7
    """

    signature = Signature("sum", (COLUMN,), Kind.NUMERIC, rank=9)

    def read(self, events: Events, at: I64, raw: Table) -> Table:
        column = events.column(self.column)
        used, index = np.unique(column.codes, return_inverse=True)
        numbers, unit = exact_column([column.values[code] for code in used])
        number = numbers[index]
        adds = np.flatnonzero(number != NULL)
        step = number[adds]
        if step.dtype != object and float(np.abs(step.astype(np.float64)).sum()) >= 2.0**61:
            step = step.astype(object)
        places, total = added_up(at[adds], step)
        zero = np.zeros(len(places), np.int64)
        return Table(Kind.NUMERIC, places, *fitted(total, zero), None, unit)

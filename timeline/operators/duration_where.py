"""``duration_where(b)``: how long it has been true.

>>> from timeline.language.calls import duration_where, latest_event_to_state
>>> print(duration_where(latest_event_to_state("state") == "play"))
duration_where(latest_event_to_state(state) == "play")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.signatures import CONDITION, Signature
from timeline.operators.base import Operator, before
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Table, Window, values_at
from timeline.values.kinds import Kind


@dataclass(frozen=True)
class DurationWhere(Operator):
    """At t: the seconds in which the operand was true, from the origin up to (and without) t.

    >>> from timeline.local.example import run
    >>> run('duration_where(latest_event_to_state(state) == "buffer")',
    ...     {1: "play", 4: "buffer", 6: "play"})
    1 s 0
    4 s 0 + 1/s
    6 s 2
    """

    signature = Signature("duration_where", (CONDITION,), Kind.NUMERIC, rank=4)

    remembers = True

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table = coalesce(cut(inputs[0], window))
        if not len(table):
            return Table(Kind.NUMERIC, table.at, table.at, table.at)
        slope = table.value.astype(np.int64)
        heads = table.first_rows()
        rows = np.diff(np.append(heads, len(table)))
        # The time that each row was true until the next, summed up to the row; across keys the
        # differences are nonsense that subtracting each key's head takes out again.
        spent = np.zeros(len(table), np.int64)
        np.cumsum((table.at[1:] - table.at[:-1]) * slope[:-1], out=spent[1:])
        spent -= np.repeat(spent[heads], rows)
        row, held = before(own, window)
        base = np.zeros(len(window), np.int64)
        base[held] = values_at(own, row[held], window.at[held])
        return Table(Kind.NUMERIC, table.at, spent + np.repeat(base, rows), slope)

"""``count_rises(b)``: how often it has turned true.

>>> from timeline.language.calls import count_rises, latest_event_to_state
>>> print(count_rises(latest_event_to_state("state") == "buffer"))
count_rises(latest_event_to_state(state) == "buffer")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.signatures import CONDITION, Signature
from timeline.operators.base import Operator, before, just_before
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind


@dataclass(frozen=True)
class CountRises(Operator):
    """At t: how many times the operand turned true at or before t; true at the origin is one.

    >>> from timeline.local.example import run
    >>> run('count_rises(latest_event_to_state(state) == "buffer")',
    ...     {1: "buffer", 2: "play", 4: "buffer", 5: "buffer", 6: "play"})
    1 s 1
    4 s 2
    """

    signature = Signature("count_rises", (CONDITION,), Kind.NUMERIC, rank=10)

    remembers = True
    reach = 1  # whether a window begins with a rise

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table = coalesce(cut(inputs[0], window))
        heads = table.first_rows()
        # Rows alternate, so every true row but a window's first is a rise.
        rise = table.value.astype(np.int64) * 1000
        row, known = just_before(inputs[0], window.at)
        rise[heads[known]] *= ~inputs[0].value[row[known]]
        own_row, held = before(own, window)
        base = np.zeros(len(window), np.int64)
        base[held] = own.value[own_row[held]]
        total = np.cumsum(rise)
        rows = np.diff(np.append(heads, len(table)))
        total += np.repeat(base - (total[heads] - rise[heads]), rows)
        return coalesce(Table(Kind.NUMERIC, table.at, total, np.zeros(len(table), np.int64)))

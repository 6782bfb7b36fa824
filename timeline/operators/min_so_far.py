"""``min_so_far(x)``: the least that it has been.

>>> from timeline.language.calls import latest_event_to_state, min_so_far
>>> print(min_so_far(latest_event_to_state("bitrate")))
min_so_far(latest_event_to_state(bitrate))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timeline.language.signatures import NUMBER, Signature
from timeline.operators.base import Operator, before
from timeline.operators.lines import as_numbers, least_so_far
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Table, Window, in_one_unit, values_at
from timeline.values.exact import NULL, ROOM
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar


@dataclass(frozen=True)
class MinSoFar(Operator):
    """At t: the least number that the operand was from the origin up to t; null while it was none.

    >>> from timeline.local.example import run
    >>> run('min_so_far(latest_event_to_state(state))', {1: 800, 2: "x", 3: 300, 5: 600}, late={4: 200})
    1 s 800
    3 s 300
    4 s 200
    """

    signature = Signature("min_so_far", (NUMBER,), Kind.NUMERIC)
    remembers = True
    #: -1 turns everything round, which makes it the greatest.
    sign: ClassVar[int] = 1

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        return None

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table, own = in_one_unit((coalesce(as_numbers(cut(inputs[0], window))), own))
        heads = table.first_rows()
        row, held = before(own, window)
        least = values_at(own, row[held], window.at[held] - 1)
        said = np.full(len(heads), ROOM, np.result_type(own.value, np.int64))
        said[held] = np.where(least == NULL, ROOM, least * self.sign)
        return least_so_far(table, self.sign, heads, said)

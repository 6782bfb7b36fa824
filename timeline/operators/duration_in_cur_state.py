"""``duration_in_cur_state(s)``: how long it has been what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.operators.base import Operator, before
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Shape, Table, Window, lookup, values_at
from timeline.values.exact import NULL
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import NULL_CODE


@dataclass(frozen=True)
class DurationInCurState(Operator):
    """At t: the seconds since the State or Bool last changed value; null while it is null.

    A repeated equal value is not a change. A Bool's first value begins at the origin.

    >>> from timeline.local.example import run
    >>> run('duration_in_cur_state(latest_event_to_state(state))', {1: "play", 2: "play", 4: "seek"})
    1 s 0 + 1/s
    4 s 0 + 1/s
    """

    @property
    def name(self) -> str:
        return "duration_in_cur_state"

    @property
    def shape(self) -> Shape:
        return Shape.NUMERIC

    @property
    def remembers(self) -> bool:
        return True

    @property
    def reach(self) -> int:
        return 1  # whether the first value of a window is a change

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        return None

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        source = inputs[0]
        table = coalesce(cut(source, window))
        null = table.value == NULL_CODE if source.shape is Shape.STATE else np.zeros(len(table), bool)
        value = np.where(null, NULL, 0)
        heads = table.first_rows()
        row, known = before(own, window)
        source_row, held = lookup(source, window.at - 1)
        held &= known
        held[held] = source.value[source_row[held]] == table.value[heads[held]]
        held &= ~null[heads]
        value[heads[held]] = values_at(own, row[held], window.at[held])
        return Table(Shape.NUMERIC, table.at, value, np.where(null, 0, 1))

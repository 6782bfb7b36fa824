"""``if(b, x, y)``: one or the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.expression import Constant
from timeline.operators.base import Operator, recoded
from timeline.operators.lines import constant_like
from timeline.tables.splicing import align, coalesce, cut
from timeline.tables.table import Shape, Table, Window, in_one_unit, values_at
from timeline.values.exact import exact_scalar, fitted
from timeline.values.scalars import Scalar


@dataclass(frozen=True)
class If(Operator):
    """At t: x where b is true at t, else y.

    ``chosen`` is the shape of both; ``choices`` are x and y where they are constants, else ``None``.

    >>> from timeline.local.example import run
    >>> run('if(has_existed(state == "error"), "broken", latest_event_to_state(state))',
    ...     {1: "play", 3: "error", 4: "play"})
    1 s 'play'
    3 s 'broken'
    """

    chosen: Shape
    choices: tuple[Constant | None, Constant | None] = (None, None)

    @property
    def name(self) -> str:
        return "if"

    @property
    def shape(self) -> Shape:
        return self.chosen

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        if self.shape is not Shape.NUMERIC:
            return super().before_origin(inputs)
        constant = self.choices[1]
        return inputs[-1] if constant is None else constant.value

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        condition, *rest = (cut(table, window) for table in inputs)
        tables = [
            self._constant(constant, condition, own) if constant is not None else rest.pop(0)
            for constant in self.choices
        ]
        x, y = in_one_unit(tables)
        at, (row, row_x, row_y) = align((condition, x, y))
        chosen = condition.value[row]
        if self.shape is Shape.NUMERIC:
            assert x.slope is not None
            assert y.slope is not None
            value = np.where(chosen, values_at(x, row_x, at), values_at(y, row_y, at))
            slope = np.where(chosen, x.slope[row_x], y.slope[row_y])
            return coalesce(Table(self.shape, at, *fitted(value, slope), None, x.unit))
        if self.shape is Shape.STATE:
            assert own.vocabulary is not None
            codes = [recoded(own.vocabulary, table) for table in (x, y)]
            value = np.where(chosen, codes[0][row_x], codes[1][row_y])
            return coalesce(Table(self.shape, at, value, None, own.vocabulary))
        return coalesce(Table(self.shape, at, np.where(chosen, x.value[row_x], y.value[row_y])))

    def _constant(self, constant: Constant, like: Table, own: Table) -> Table:
        if self.shape is Shape.NUMERIC:
            return constant_like(like, exact_scalar(constant.value))
        at = like.at[like.first_rows()]
        if self.shape is Shape.BOOL:
            return Table(Shape.BOOL, at, np.full(len(at), constant.value is True))
        assert own.vocabulary is not None
        code = own.vocabulary.encode([constant.value])[0]
        return Table(Shape.STATE, at, np.full(len(at), code), None, own.vocabulary)

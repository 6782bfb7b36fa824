"""``x + y``, ``x - y``, ``x * const``, ``x / const`` and ``x / y``.

One file for the four signs: they are one function of lines, exact in any unit (`timeline.values.exact`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np

from timeline.language import expression as ex
from timeline.language.expression import ArithmeticOp, Constant, Expression
from timeline.operators.base import Lowered, Operator, constant
from timeline.operators.lines import as_numbers, constant_like
from timeline.tables.splicing import align, coalesce, cut
from timeline.tables.table import Table, Window, in_one_unit, values_at
from timeline.values.exact import NULL, exact_scalar, fitted, multiplied
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import I64

NAMES: dict[ArithmeticOp, str] = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}


@dataclass(frozen=True)
class Arithmetic(Operator):
    """At t: ``x op y`` at t, exactly; null if a side is null or a State that is no number, and by 0.

    ``constant`` is the side that is not a timeline, on the ``constant_side`` (0: x, 1: y). A division by a
    timeline gives a Ratio.

    >>> from timeline.local.example import run
    >>> run('duration_where(latest_event_to_state(state) == "play") * 2 - 1', {1: "play", 4: "seek"})
    1 s -1 + 2/s
    4 s 5
    >>> run('count(state == "play") / count(state != "x")', {1: "play", 4: "seek", 5: "x"})
    1 s 1
    4 s 0.5
    """

    pointwise = True

    op: ArithmeticOp
    constant: Constant | None = None
    constant_side: int = 1

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        assert isinstance(part, ex.Arithmetic)
        left, right = constant(part.left), constant(part.right)
        if right is not None:
            return cls(part.op, right, 1), (part.left,)
        if left is not None:
            return cls(part.op, left, 0), (part.right,)
        return cls(part.op), (part.left, part.right)

    @property
    def name(self) -> str:
        return NAMES[self.op]

    @property
    def kind(self) -> Kind:
        by_timeline = self.op == "/" and (self.constant is None or self.constant_side == 0)
        return Kind.RATIO if by_timeline else Kind.NUMERIC

    @property
    def _number(self) -> Fraction | None:
        return None if self.constant is None else exact_scalar(self.constant.value)

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        sides = [exact_scalar(value) for value in inputs]
        if self.constant is not None:
            sides.insert(self.constant_side, self._number)
        x, y = sides
        if x is None or y is None or (self.op == "/" and y == 0):
            return None
        result = {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else 0}[self.op]
        # Exact for those who calculate with it; whoever shows it makes a float of it.
        return cast(Scalar, result)

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        tables = [as_numbers(cut(table, window)) for table in inputs]
        number = self._number
        if self.constant is not None and self.op in ("*", "/") and self.kind is Kind.NUMERIC:
            if self.op == "/":
                number = None if not number else 1 / number
            return coalesce(_scaled(tables[0], number))
        if self.constant is not None:
            tables.insert(self.constant_side, constant_like(tables[0], number))
        x, y = in_one_unit(tables)
        at, (row_x, row_y) = align((x, y))
        value_x, value_y = values_at(x, row_x, at), values_at(y, row_y, at)
        assert x.slope is not None
        assert y.slope is not None
        slope_x, slope_y = x.slope[row_x], y.slope[row_y]
        null = (value_x == NULL) | (value_y == NULL)
        if self.op == "/":
            null = null[:, np.newaxis]
            value = np.where(null, NULL, np.stack((value_x, value_y), axis=1))
            slope = np.where(null, 0, np.stack((slope_x, slope_y), axis=1))
        else:
            sign = 1 if self.op == "+" else -1
            value = np.where(null, NULL, np.where(null, 0, value_x) + sign * np.where(null, 0, value_y))
            slope = np.where(null, 0, slope_x + sign * slope_y)
        return coalesce(Table(self.kind, at, *fitted(value, slope), None, x.unit))


def _scaled(table: Table, factor: Fraction | None) -> Table:
    """The table times ``factor``; null where that is ``None``."""
    assert table.slope is not None
    value, slope = table.value, table.slope
    if factor is None:
        nothing: I64 = np.full(len(table), NULL)
        return Table(Kind.NUMERIC, table.at, nothing, np.zeros(len(table), np.int64))
    if factor <= 0:
        sign = -1 if factor else 0
        value, slope = multiplied(value, sign), multiplied(slope, sign)
    # The numbers stay what they are: it is the unit that grows.
    unit = table.unit * (abs(factor) or 1)
    return Table(Kind.NUMERIC, table.at, value, slope, None, unit)

"""The six comparisons of timelines with timelines and with constants.

One file for six operators: they are one function that differs in which of *less*, *equal* and
*greater* it answers with true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeline.language import expression as ex
from timeline.language.expression import Constant, Expression
from timeline.operators.base import Lowered, Operator, constant
from timeline.operators.compare_ratio import (
    Quotient,
    compare_quotients,
    quotient_of,
    quotient_of_scalars,
)
from timeline.operators.pairs import of_pairs
from timeline.tables.packing import Bools, end_of, follows_in_key
from timeline.tables.splicing import align, coalesce, cut
from timeline.tables.table import Rows, Table, Window, in_one_unit, values_at
from timeline.values.exact import NULL, ROOM, exact_scalar
from timeline.values.kinds import Kind
from timeline.values.scalars import CompareOp, Scalar, compare_scalars
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64

NAMES: dict[CompareOp, str] = {
    "==": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_or_equal",
    ">": "greater",
    ">=": "greater_or_equal",
}
FLIPPED: dict[CompareOp, CompareOp] = {
    "==": "==",
    "!=": "!=",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}
_HOLDS = {
    "less": ("!=", "<", "<="),
    "equal": ("==", "<=", ">="),
    "greater": ("!=", ">", ">="),
}


@dataclass(frozen=True)
class Compare(Operator):
    """At t: whether ``x op y`` holds at t; ``constant`` is y where y is not a timeline.

    Values of different types are never equal and never ordered; null equals null only. A crossing
    inside a linear piece switches at the first tick at which the comparison holds, or no longer does.
    A Ratio is compared as the exact quotient that it is at each tick.

    >>> from timeline.local.example import run
    >>> run('duration_in_cur_state(latest_event_to_state(state)) >= 3s', {1: "play", 2: "seek"})
    1 s False
    5 s True
    >>> run('latest_event_to_state(state) != "play"', {1: "play", 2: "seek"})
    1 s False
    2 s True
    """

    kind = Kind.BOOL
    pointwise = True

    op: CompareOp
    constant: Constant | None = None

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        assert isinstance(part, ex.Compare)
        left, right = constant(part.left), constant(part.right)
        if right is not None:
            return cls(part.op, right), (part.left,)
        if left is not None:
            return cls(FLIPPED[part.op], left), (part.right,)
        return cls(part.op), (part.left, part.right)

    @property
    def name(self) -> str:
        return NAMES[self.op]

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        tables = in_one_unit([cut(table, window) for table in inputs])
        at, rows = align(tables)
        sides: list[_Side] = [_Side(t, r) for t, r in zip(tables, rows, strict=True)]
        if self.constant is not None:
            sides.append(_Side.of_constant(self.constant.value, len(at)))
        left, right = sides
        if left.ratio or right.ratio:
            return compare_quotients(self.op, at, left.quotients(at), right.quotients(at))
        if left.numeric and right.numeric:
            return self._lines(at, left.lines(at), right.lines(at))
        if left.numeric:
            return self._line_and_scalars(self.op, at, left, right)
        if right.numeric:
            return self._line_and_scalars(FLIPPED[self.op], at, right, left)
        value = of_pairs(
            left.codes,
            right.codes,
            (len(left.scalars), len(right.scalars)),
            lambda x, y: compare_scalars(self.op, left.scalars[x], right.scalars[y]),
        )
        return coalesce(Table(Kind.BOOL, at, value))

    def _lines(self, at: I64, left: tuple[I64, I64], right: tuple[I64, I64]) -> Table:
        null_left, null_right = left[0] == NULL, right[0] == NULL
        valid = ~(null_left | null_right)
        value = np.where(valid, left[0] - np.where(valid, right[0], 0), 0)
        zero = np.zeros(len(at), np.int64)
        fixed = np.array([compare_scalars(self.op, None, 0), compare_scalars(self.op, None, None)])
        otherwise = fixed[(null_left & null_right).astype(np.int64)]
        return _cross(self.op, at, value, left[1] - right[1], zero, zero + 1, valid, otherwise)

    def _line_and_scalars(self, op: CompareOp, at: I64, side: _Side, other: _Side) -> Table:
        assert side.table is not None
        line, unit = side.lines(at), side.table.unit
        null = line[0] == NULL
        used = np.unique(other.codes)
        low = np.zeros(len(used), line[0].dtype)
        high = np.zeros(len(used), line[0].dtype)
        number = np.zeros(len(used), bool)
        against_number = np.zeros(len(used), bool)
        against_null = np.zeros(len(used), bool)
        for i, code in enumerate(used):
            scalar = other.scalars[int(code)]
            against_number[i] = compare_scalars(op, 0, "" if scalar is None else scalar)
            against_null[i] = compare_scalars(op, None, scalar)
            exact = exact_scalar(scalar)
            if exact is not None:
                number[i] = True
                bounds = ceil(exact / unit), floor(exact / unit) + 1
                if low.dtype != object:  # then no line ever gets as far as ROOM
                    bounds = min(max(bounds[0], -ROOM), ROOM), min(max(bounds[1], -ROOM), ROOM)
                low[i], high[i] = bounds
        index = np.searchsorted(used, other.codes)
        if not len(used):
            return Table(Kind.BOOL, at, np.zeros(0, bool))
        valid = ~null & number[index]
        # Against another type: as any number compares with it; null against null is equal.
        otherwise = np.where(null, against_null[index], against_number[index])
        value = np.where(valid, line[0], 0)
        return _cross(op, at, value, line[1], low[index], high[index], valid, otherwise)


class _Side:
    """One side of a comparison at the aligned places: a line, or codes into scalars."""

    def __init__(self, table: Table | None, row: Rows) -> None:
        self.table = table
        self.row = row
        self.numeric = table is not None and table.kind is Kind.NUMERIC
        self.ratio = table is not None and table.kind is Kind.RATIO
        self.codes: I64 = np.empty(0, np.int64)
        self.scalars: Sequence[Scalar] = ()
        if table is not None and table.kind is Kind.STATE and table.vocabulary is not None:
            self.codes, self.scalars = table.value[row], table.vocabulary.values
        elif table is not None and table.kind is Kind.BOOL:
            self.codes, self.scalars = table.value[row].astype(np.int64), (False, True)

    @classmethod
    def of_constant(cls, value: Scalar, count: int) -> _Side:
        side = cls(None, slice(None))
        side.codes, side.scalars = np.zeros(count, np.int64), (value,)
        return side

    def lines(self, at: I64) -> tuple[I64, I64]:
        """Value at each place, and slope from there on."""
        assert self.table is not None
        assert self.table.slope is not None
        return values_at(self.table, self.row, at), self.table.slope[self.row]

    def quotients(self, at: I64) -> Quotient:
        """The side as a quotient of lines."""
        if self.table is None or not (self.numeric or self.ratio):
            return quotient_of_scalars(self.codes, self.scalars)
        return quotient_of(self.table, self.row, at)


def _cross(
    op: CompareOp,
    at: I64,
    value: I64,
    slope: I64,
    low: I64,
    high: I64,
    valid: Bools,
    otherwise: Bools,
) -> Table:
    """The Bool ``line op threshold`` for pieces that begin at ``at``.

    A piece is *less* while its value is below ``low``, *greater* from ``high`` on, *equal* between
    (``high == low`` where no whole thousandth equals the threshold). Where not ``valid`` the answer
    is ``otherwise``.
    """
    slope = np.where(valid, slope, 0)
    steep = np.maximum(np.abs(slope), 1)
    rising, falling = slope > 0, slope < 0
    # Ticks from the start of a piece to the first of its second and of its third phase.
    to_low = np.where(rising, -((value - low) // steep), (value - low) // steep + 1)
    to_high = np.where(rising, -((value - high) // steep), (value - high) // steep + 1)
    second = _ticks(np.where(rising, to_low, to_high))
    third = _ticks(np.where(rising, to_high, to_low))
    flat = ~(rising | falling)
    phase = (value >= low).astype(np.int64) + (value >= high)
    answers = np.array([op in _HOLDS[p] for p in ("less", "equal", "greater")])
    end = np.append(at[1:], 0)
    last = np.append(~follows_in_key(at), True)[: len(at)]
    end = np.where(last, end_of(at), end)
    room = end - at
    first_value = np.where(flat, np.where(valid, answers[phase], otherwise), answers[np.where(rising, 0, 2)])
    middle = ~flat & (second < third) & (second < room)
    final = ~flat & (third < room)
    starts = np.flatnonzero(flat | (second > 0))
    places = np.concatenate((at[starts], (at + second)[middle], (at + third)[final]))
    held = np.concatenate(
        (
            first_value[starts],
            np.full(int(middle.sum()), answers[1]),
            answers[np.where(rising, 2, 0)][final],
        )
    )
    order = np.argsort(places, kind="stable")
    return coalesce(Table(Kind.BOOL, places[order], held[order]))


def _ticks(passed: NDArray[Any]) -> I64:
    """Ticks after the start of a piece; those that never come are behind the last there is."""
    ticks: I64 = np.clip(passed, 0, MAX_TICK + 1).astype(np.int64)
    return ticks

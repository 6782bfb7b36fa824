"""Comparisons in which a Ratio takes part: quotients of lines, compared exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from timeline.tables.packing import Bools, end_of, first_of_runs, follows_in_key
from timeline.tables.splicing import coalesce
from timeline.tables.table import Rows, Table, values_at
from timeline.values.exact import NULL, exact_scalar
from timeline.values.kinds import Kind
from timeline.values.scalars import CompareOp, Scalar, compare_scalars
from timeline.values.vocabulary import I64

#: Python's whole numbers: products of two exact numbers need not fit in 64 bits.
Whole: TypeAlias = NDArray[np.object_]

_isqrt = np.frompyfunc(math.isqrt, 1, 1)


@dataclass(frozen=True)
class Quotient:
    """``(above + above_slope * r) / (below + below_slope * r)``, r ms after the start of each piece.

    Where ``null`` or ``other`` (a string, a truth) it is no number.
    """

    above: Whole
    above_slope: Whole
    below: Whole
    below_slope: Whole
    null: Bools
    other: Bools

    def at(self, piece: I64, passed: I64) -> tuple[Whole, Whole, Bools, Bools]:
        """Both parts at some places, and whether it is null there, and no number."""
        above = self.above[piece] + self.above_slope[piece] * passed
        below = self.below[piece] + self.below_slope[piece] * passed
        return above, below, self.null[piece] | (below == 0), self.other[piece]


def quotient_of(table: Table, row: Rows, at: I64) -> Quotient:
    """A Ratio or Numeric from places ``at`` on, given the row that holds at each."""
    value = values_at(table, row, at).astype(object)
    assert table.slope is not None
    slope = table.slope[row].astype(object)
    if table.kind is Kind.RATIO:
        null = value[:, 0] == NULL
        value = np.where(null[:, np.newaxis], 0, value)
        return Quotient(value[:, 0], slope[:, 0], value[:, 1], slope[:, 1], null, np.zeros(len(at), bool))
    null = value == NULL
    unit = table.unit
    above = np.where(null, 0, value) * unit.numerator
    below = np.full(len(at), unit.denominator, object)
    return Quotient(above, slope * unit.numerator, below, below * 0, null, np.zeros(len(at), bool))


def quotient_of_scalars(codes: I64, scalars: Any) -> Quotient:
    """Scalars that hold for whole pieces."""
    used, index = np.unique(codes, return_inverse=True)
    values: list[Scalar] = [scalars[int(code)] for code in used]
    numbers = [exact_scalar(value) for value in values]
    above = np.array([0 if n is None else n.numerator for n in numbers], object)[index]
    below = np.array([1 if n is None else n.denominator for n in numbers], object)[index]
    null = np.array([value is None for value in values], bool)[index]
    number = np.array([n is not None for n in numbers], bool)[index]
    return Quotient(above, above * 0, below, below * 0, null, ~number & ~null)


def compare_quotients(op: CompareOp, at: I64, left: Quotient, right: Quotient) -> Table:
    """The Bool ``left op right`` for pieces that begin at ``at``.

    The answer is worked out exactly at every tick at which it may change: where one of the two is
    divided by 0, and round the roots of their difference, which is a quotient of quadratics.
    """
    end = np.append(at[1:], 0)
    last = np.append(~follows_in_key(at), True)[: len(at)]
    room = np.where(last, end_of(at), end) - at
    pieces, places = [np.arange(len(at))], [np.zeros(len(at), np.int64)]
    moving = np.flatnonzero(
        (left.above_slope != 0)
        | (left.below_slope != 0)
        | (right.above_slope != 0)
        | (right.below_slope != 0)
    )
    for candidate in _turns(left, right, moving):
        inside = (candidate > 0) & (candidate < room[moving])
        pieces.append(moving[inside])
        places.append(candidate[inside].astype(np.int64))
    piece, passed = np.concatenate(pieces), np.concatenate(places)
    where = at[piece] + passed
    order = np.argsort(where, kind="stable")
    order = order[first_of_runs(where[order])]
    piece, passed, where = piece[order], passed[order], where[order]
    above_left, below_left, null_left, other_left = left.at(piece, passed)
    above_right, below_right, null_right, other_right = right.at(piece, passed)
    sign = np.where((below_left < 0) != (below_right < 0), -1, 1)
    difference = (above_left * below_right - above_right * below_left) * sign
    phase = (difference >= 0).astype(np.int64) + (difference > 0)
    answers = np.array([compare_scalars(op, number, 0) for number in (-1, 0, 1)])
    value = np.where(
        null_left & null_right,
        compare_scalars(op, None, None),
        np.where(null_left | null_right | other_left | other_right, op == "!=", answers[phase]),
    )
    return coalesce(Table(Kind.BOOL, where, value))


def _turns(left: Quotient, right: Quotient, rows: I64) -> list[Whole]:
    """Ticks after the start of each piece among which are all at which the comparison may change."""
    a, da, b, db = (x[rows] for x in (left.above, left.above_slope, left.below, left.below_slope))
    c, dc, d, dd = (x[rows] for x in (right.above, right.above_slope, right.below, right.below_slope))
    zero = a * 0
    turns = _roots(zero, db, b) + _roots(zero, dd, d)
    turns += _roots(da * dd - dc * db, a * dd + da * d - c * db - dc * b, a * d - c * b)
    return turns


def _roots(square: Whole, linear: Whole, constant: Whole) -> list[Whole]:
    """Whole numbers that surround the real roots of ``square r² + linear r + constant``; -1 for none."""
    straight = (square == 0) & (linear != 0)
    quotient = -constant // np.where(straight, linear, 1)
    found = [np.where(straight, quotient + more, -1) for more in (0, 1)]
    inside = linear * linear - 4 * square * constant
    curved = (square != 0) & (inside >= 0)
    if curved.any():
        root = _isqrt(np.where(curved, inside, 0))
        twice = np.where(curved, 2 * square, 1)
        for sign in (-1, 1):
            # isqrt is less than one too small, so that the quotient is off by less than one.
            near = (-linear + sign * root) // twice
            found += [np.where(curved, near + more, -1) for more in (-1, 0, 1, 2)]
    return found

"""The values of an output at many places as numbers, and what cells of them come to, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeline.tables.packing import Bools
from timeline.tables.table import Table
from timeline.values.exact import NULL, common_unit, exact_column, multiplied, user_fraction
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64

# int64 sums stay below this.
_ROOM = 1 << 62
# What a float's mantissa is divided into, so that many may be added without overflow.
_LOW_BITS = 27


@dataclass(frozen=True, slots=True)
class Numbers:
    """``value`` (n): whole numbers of ``unit``, int64 or Python's own; or float64, whose unit is 1.
    ``known``: where there is one at all."""

    value: NDArray[Any]
    known: Bools
    unit: Fraction = Fraction(1)

    @property
    def floats(self) -> bool:
        return self.value.dtype == np.float64

    def take(self, rows: I64) -> Numbers:
        return Numbers(self.value[rows], self.known[rows], self.unit)

    def nearest(self) -> NDArray[np.float64]:
        """The values as floats; of what is not known, anything."""
        if self.floats:
            return self.value
        if self.value.dtype == object:
            unit = self.unit
            exact = (user_fraction(int(v) * unit.numerator, unit.denominator) for v in self.value)
            return np.array([float(v or 0) for v in exact], np.float64)
        if self.unit.numerator == 1:
            nearest: NDArray[np.float64] = self.value / float(self.unit.denominator)
            return nearest
        return self.value.astype(np.float64) * float(self.unit)


def numbers(table: Table) -> Numbers:
    """The numbers of a table of values: a Bool's are 1 and 0, of a State those of its values that are
    numbers, a Ratio's the nearest floats."""
    value = table.value
    if table.kind is Kind.BOOL:
        return Numbers(value.astype(np.int64), np.ones(len(value), bool))
    if table.kind is Kind.STATE:
        assert table.vocabulary is not None
        used, index = np.unique(value, return_inverse=True)
        column, unit = exact_column([table.vocabulary.values[code] for code in used.tolist()])
        value = column[index]
        return Numbers(np.where(value == NULL, 0, value), value != NULL, unit)
    if table.kind is Kind.NUMERIC:
        known = np.asarray(value != NULL, bool)
        return Numbers(np.where(known, value, 0), known, table.unit)
    return _quotients(value[:, 0], value[:, 1])


def _quotients(above: NDArray[Any], below: NDArray[Any]) -> Numbers:
    known = np.asarray((above != NULL) & (below != NULL) & (below != 0), bool)
    above, below = np.where(known, above, 0), np.where(known, below, 1)
    exact = 1 << 53  # beyond it a float cannot hold the parts, and the quotient would be rounded twice
    if above.dtype != object and below.dtype != object and _largest(above, below) < exact:
        return Numbers(above / below, known)
    pairs = zip(above.tolist(), below.tolist(), strict=True)
    return Numbers(np.array([float(user_fraction(a, b) or 0) for a, b in pairs], np.float64), known)


def _largest(*columns: NDArray[Any]) -> int:
    return max((max(int(c.max()), -int(c.min())) for c in columns if len(c)), default=0)


def sums(column: Numbers, starts: I64) -> list[Fraction]:
    """The exact sum of each run of rows that begins at ``starts``; what is not known counts nothing.

    Floats are added without rounding too: the sum of those floats, in whatever order they come.
    """
    value = np.where(column.known, column.value, 0)
    if column.floats:
        return _float_sums(value.astype(np.float64), starts)
    if value.dtype != object and _largest(value) * len(value) >= _ROOM:
        value = value.astype(object)
    return [int(total) * column.unit for total in np.add.reduceat(value, starts).tolist()]


def _float_sums(value: NDArray[np.float64], starts: I64) -> list[Fraction]:
    mantissa, exponent = np.frexp(value)
    whole = (mantissa * 2.0**53).astype(np.int64)
    cell = np.zeros(len(value), np.int64)
    cell[starts[1:]] = 1
    # By cell and exponent, for what has one exponent can be added as whole numbers.
    by = (np.cumsum(cell) << 12) + (exponent + 2048)
    order = np.argsort(by, kind="stable")
    by, whole = by[order], whole[order]
    runs = np.concatenate(([0], np.flatnonzero(np.diff(by)) + 1))
    high = np.add.reduceat(whole >> _LOW_BITS, runs).tolist()
    low = np.add.reduceat(whole & ((1 << _LOW_BITS) - 1), runs).tolist()
    totals = [Fraction(0)] * len(starts)
    for where, h, lo in zip(by[runs].tolist(), high, low, strict=True):
        power = (where & 4095) - 2048 - 53
        part = (h << _LOW_BITS) + lo
        totals[where >> 12] += Fraction(part << power) if power >= 0 else Fraction(part, 1 << -power)
    return totals


def counts(known: Bools, starts: I64) -> list[int]:
    """How many rows of each run are known."""
    total: list[int] = np.add.reduceat(known.astype(np.int64), starts).tolist()
    return total


def extremes(column: Numbers, starts: I64, *, largest: bool) -> list[Fraction | None]:
    """The largest, or the smallest, known number of each run; ``None`` where there is none."""
    value = column.value
    known = counts(column.known, starts)
    if len(value) and not column.known.all():
        # Any known number that cannot win does for the unknown ones.
        rest = value[column.known]
        fill = (rest.min() if largest else rest.max()) if len(rest) else 0
        value = np.where(column.known, value, fill)
    pick = np.maximum if largest else np.minimum
    best = pick.reduceat(value, starts).tolist()
    return [exact(v, column.unit) if n else None for v, n in zip(best, known, strict=True)]


def exact(value: int | float, unit: Fraction) -> Fraction:
    """One of a column's values."""
    return Fraction(value) if isinstance(value, float) else value * unit


def joined(parts: Sequence[Numbers]) -> Numbers:
    """Columns of known numbers one after the other."""
    if len(parts) == 1:
        return parts[0]
    known = np.concatenate([p.known for p in parts])
    if any(p.floats for p in parts):
        return Numbers(np.concatenate([p.nearest() for p in parts]), known)
    unit = parts[0].unit
    for part in parts[1:]:
        unit = common_unit(unit, part.unit)
    values = [multiplied(p.value, (p.unit / unit).numerator) for p in parts]
    return Numbers(np.concatenate(values), known, unit)

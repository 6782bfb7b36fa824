"""A function of time for many keys at once, as columns; how it is cut, aligned, spliced and coalesced.

A *table* holds sorted rows ``(key, start)`` with the value that holds from that tick on, until the
next row of the same key; the last row of a key holds for ever. Key and tick are packed into one
int64 (``key << 42 | tick``), so that sorting, merging and looking up are single numpy calls. The
first row of a key is its origin: before it the key has no timeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from timeline.tables.packing import Bools, end_of, first_of_runs, key_of, packed, same_key, tick_of
from timeline.values.exact import (
    NULL,
    ROOM,
    THOUSANDTH,
    common_unit,
    fitted,
    multiplied,
    user_fraction,
    user_number,
)
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import I64, Vocabulary

#: Indices of rows, or all of some that follow each other.
Rows: TypeAlias = I64 | slice


@dataclass(frozen=True, slots=True)
class Table:
    """Rows sorted by ``at``, which holds each packed (key, tick) at most once.

    ``value``: STATE int64 codes into ``vocabulary``; BOOL bool; NUMERIC whole numbers of ``unit``
    (`NULL` for null) growing by ``slope`` a ms (0 where null); RATIO the same for
    two columns (n, 2), what is divided and what it is divided by.
    """

    kind: Kind
    at: I64
    value: NDArray[Any]
    slope: I64 | None = None
    vocabulary: Vocabulary | None = None
    unit: Fraction = THOUSANDTH

    def __len__(self) -> int:
        return len(self.at)

    @property
    def key(self) -> I64:
        """The key code of every row."""
        return key_of(self.at)

    @property
    def tick(self) -> I64:
        """The start of every row, in ms."""
        return tick_of(self.at)

    def take(self, rows: I64 | Bools | slice) -> Table:
        """A table of the given rows, which must be in order."""
        return Table(
            self.kind,
            self.at[rows],
            self.value[rows],
            None if self.slope is None else self.slope[rows],
            self.vocabulary,
            self.unit,
        )

    def first_rows(self) -> I64:
        """Index of the first row of every key that has rows."""
        return first_of_runs(self.key)

    def python_value(self, row: int, tick: int) -> Scalar:
        """What a user sees at ``tick``, in seconds where Numeric, given the row that holds there."""
        at = np.array([packed(key_of(int(self.at[row])), tick)])
        return self.python_values(np.array([row]), at)[0]

    def python_values(self, rows: I64, at: I64) -> list[Scalar]:
        """What a user sees at the packed places ``at``, given the row that holds at each."""
        values: list[Any] = values_at(self, rows, at).tolist()
        if self.kind is Kind.STATE:
            assert self.vocabulary is not None
            return [self.vocabulary.values[code] for code in values]
        if self.kind is Kind.BOOL:
            return values
        if self.kind is Kind.RATIO:
            return [None if above == NULL else user_fraction(above, below) for above, below in values]
        if self.unit == THOUSANDTH and self.value.dtype != object:
            return [None if v == NULL else v // 1000 if v % 1000 == 0 else v / 1000 for v in values]
        return [user_number(v, self.unit) for v in values]

    def json_rows(self) -> list[list[Any]]:
        """``[tick, value]`` rows; of a Numeric ``[tick, thousandths or null, thousandths a ms]``, of a
        Ratio the same with pairs. Thousandths that are not whole are text, as in ``"1/3"``."""
        ticks = self.tick.tolist()
        value: list[Any] = self.value.tolist()
        if self.slope is not None:
            values = [_thousandths(v, self.unit) for v in value]
            slopes = [_thousandths(v, self.unit) for v in self.slope.tolist()]
            return [list(row) for row in zip(ticks, values, slopes, strict=True)]
        if self.kind is Kind.STATE:
            assert self.vocabulary is not None
            value = [self.vocabulary.values[code] for code in value]
        return [list(row) for row in zip(ticks, value, strict=True)]


def _thousandths(number: int | list[int], unit: Fraction) -> Any:
    if isinstance(number, list):
        return [_thousandths(n, unit) for n in number]
    if number == NULL or (unit == THOUSANDTH and -ROOM < number < ROOM):
        return None if number == NULL else number
    exact = number * unit * 1000
    return int(exact) if exact.denominator == 1 and -ROOM < exact < ROOM else str(exact)


@dataclass(frozen=True, slots=True)
class Window:
    """``[start_k, for ever)`` for some keys: ``at`` (n) packs key and start, sorted, one a key."""

    at: I64

    def __len__(self) -> int:
        return len(self.at)

    @property
    def key(self) -> I64:
        return key_of(self.at)

    @property
    def tick(self) -> I64:
        return tick_of(self.at)

    @property
    def end(self) -> I64:
        """Packed place behind the last tick of every key."""
        return end_of(self.at)

    @classmethod
    def of_key(cls, code: int, tick: int = 0) -> Window:
        """The window of one key."""
        return cls(np.array([packed(code, tick)]))

    def back(self, reach: int) -> Window:
        """The window moved ``reach`` ms into the past (not before tick 0)."""
        return self if reach == 0 else Window(self.at - np.minimum(self.tick, reach))


def empty(kind: Kind, vocabulary: Vocabulary | None = None) -> Table:
    """A table without rows."""
    nothing = np.empty(0, np.int64)
    if kind is Kind.RATIO:
        pairs = np.empty((0, 2), np.int64)
        return Table(kind, nothing, pairs, pairs)
    return Table(
        kind,
        nothing,
        np.empty(0, bool) if kind is Kind.BOOL else nothing,
        nothing if kind is Kind.NUMERIC else None,
        vocabulary,
    )


def lookup(table: Table, at: I64) -> tuple[I64, Bools]:
    """For each packed place the row that holds there, and whether there is one (else the index is 0)."""
    row = np.searchsorted(table.at, at, side="right") - 1
    inside = row >= 0
    row = np.where(inside, row, 0)
    if len(table):
        inside &= same_key(table.at[row], at)
    return row, inside


def values_at(table: Table, row: Rows, at: I64) -> NDArray[Any]:
    """The values that rows ``row`` have at places ``at``: a Numeric's line is followed up to there."""
    value = table.value[row]
    if table.slope is None:
        return value
    passed = tick_of(at) - tick_of(table.at[row])
    if value.ndim == 2:
        passed = passed[:, np.newaxis]
    return np.where(value == NULL, NULL, value + table.slope[row] * passed)


def same_rows(a: NDArray[Any], b: NDArray[Any]) -> Bools:
    """Where two value columns agree."""
    equal: Bools = a == b
    return np.logical_and.reduce(equal, axis=1) if equal.ndim == 2 else equal


def in_unit(table: Table, unit: Fraction) -> Table:
    """The same function in a unit of which its own is a whole multiple."""
    if table.slope is None or table.unit == unit:
        return table
    factor = (table.unit / unit).numerator
    # Values and slopes may need more than int64 apart; together they are looked at once more.
    value, slope = multiplied(table.value, factor), multiplied(table.slope, factor)
    if object in (value.dtype, slope.dtype):
        value, slope = value.astype(object), slope.astype(object)
    return Table(table.kind, table.at, *fitted(value, slope), None, unit)


def in_one_unit(tables: Sequence[Table]) -> list[Table]:
    """The tables with one unit for all that hold numbers."""
    units = {table.unit for table in tables if table.slope is not None}
    if len(units) < 2:
        return list(tables)
    unit = units.pop()
    for other in units:
        unit = common_unit(unit, other)
    return [in_unit(table, unit) for table in tables]

"""A function of time for many keys at once, as columns; how it is cut, aligned, spliced and coalesced.

A *table* holds sorted rows ``(key, start)`` with the value that holds from that tick on, until the
next row of the same key; the last row of a key holds for ever. Key and tick are packed into one
int64 (``key << 42 | tick``), so that sorting, merging and looking up are single numpy calls. The
first row of a key is its origin: before it the key has no timeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from timeline.errors import LimitError
from timeline.exact import (
    NULL,
    ROOM,
    THOUSANDTH,
    common_unit,
    fitted,
    multiplied,
    user_fraction,
    user_number,
)
from timeline.expression import Scalar
from timeline.ticks import MAX_TICK, TICK_BITS
from timeline.vocabulary import I64, Vocabulary

Bools: TypeAlias = NDArray[np.bool_]
#: The most keys one table can hold: what is left of 63 bits beside the tick, less one, so that the
#: place behind the last tick of the last key can be written too.
MAX_KEYS = (1 << (63 - TICK_BITS)) - 1


class Shape(Enum):
    """What the value column of a table holds."""

    STATE = "state"
    BOOL = "bool"
    NUMERIC = "numeric"
    RATIO = "ratio"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows sorted by ``at``, which holds each packed (key, tick) at most once.

    ``value``: STATE int64 codes into ``vocabulary``; BOOL bool; NUMERIC whole numbers of ``unit``
    (`NULL` for null, see `timeline.exact`) growing by ``slope`` a ms (0 where null); RATIO the same for
    two columns (n, 2), what is divided and what it is divided by.
    """

    shape: Shape
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
        return self.at >> TICK_BITS

    @property
    def tick(self) -> I64:
        """The start of every row, in ms."""
        return self.at & MAX_TICK

    def take(self, rows: I64 | Bools | slice) -> Table:
        """A table of the given rows, which must be in order."""
        return Table(
            self.shape,
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
        at = np.array([(int(self.at[row]) >> TICK_BITS << TICK_BITS) | tick])
        return self.python_values(np.array([row]), at)[0]

    def python_values(self, rows: I64, at: I64) -> list[Scalar]:
        """What a user sees at the packed places ``at``, given the row that holds at each."""
        values: list[Any] = values_at(self, rows, at).tolist()
        if self.shape is Shape.STATE:
            assert self.vocabulary is not None
            return [self.vocabulary.values[code] for code in values]
        if self.shape is Shape.BOOL:
            return values
        if self.shape is Shape.RATIO:
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
        if self.shape is Shape.STATE:
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
        return self.at >> TICK_BITS

    @property
    def tick(self) -> I64:
        return self.at & MAX_TICK

    @property
    def end(self) -> I64:
        """Packed place behind the last tick of every key."""
        return ((self.at >> TICK_BITS) + 1) << TICK_BITS

    def back(self, reach: int) -> Window:
        """The window moved ``reach`` ms into the past (not before tick 0)."""
        return self if reach == 0 else Window(self.at - np.minimum(self.tick, reach))


def pack(key: I64, tick: I64) -> I64:
    """``key << 42 | tick``.

    Raises:
        LimitError: more keys than fit beside the tick, or a tick that would spill into another key.
    """
    if len(key) and int(key.max()) >= MAX_KEYS:
        raise LimitError(f"a stream holds at most {MAX_KEYS} keys; use more shards")
    if len(tick) and not 0 <= int(tick.min()) <= int(tick.max()) <= MAX_TICK:
        wrong = tick[(tick < 0) | (tick > MAX_TICK)][0]
        raise LimitError(f"a time lies between 0 and {MAX_TICK} ms, got {wrong}")
    return (key << TICK_BITS) | tick


def first_of_runs(sorted_values: I64) -> I64:
    """Index of the first of each run of equal values."""
    if len(sorted_values) == 0:
        return np.empty(0, np.int64)
    return np.concatenate(([0], np.flatnonzero(np.diff(sorted_values)) + 1))


def empty(shape: Shape, vocabulary: Vocabulary | None = None) -> Table:
    """A table without rows."""
    nothing = np.empty(0, np.int64)
    if shape is Shape.RATIO:
        pairs = np.empty((0, 2), np.int64)
        return Table(shape, nothing, pairs, pairs)
    return Table(
        shape,
        nothing,
        np.empty(0, bool) if shape is Shape.BOOL else nothing,
        nothing if shape is Shape.NUMERIC else None,
        vocabulary,
    )


def earliest(places: Sequence[I64]) -> I64:
    """Of packed places, the earliest of each key, sorted."""
    every = np.sort(np.concatenate(places))
    return every[first_of_runs(every >> TICK_BITS)]


def latest(places: Sequence[I64]) -> I64:
    """Of packed places, the latest of each key, sorted."""
    every = np.sort(np.concatenate(places))
    return every[last_of_runs(every >> TICK_BITS)]


def all_of(values: Sequence[Bools]) -> Bools:
    """Elementwise conjunction."""
    result: Bools = np.logical_and.reduce(values)
    return result


def any_of(values: Sequence[Bools]) -> Bools:
    """Elementwise disjunction."""
    result: Bools = np.logical_or.reduce(values)
    return result


def stable_order(at: I64) -> I64:
    """Indices that sort packed places; equal ones keep their order."""
    if len(at) and int(at.max()) >> TICK_BITS < 1 << 16:
        # Events mostly come in order of time, so that sorting by key is enough; for 16 bits numpy
        # has a radix sort, which is ten times faster than comparing.
        order = np.argsort((at >> TICK_BITS).astype(np.uint16), kind="stable")
        ordered = at[order]
        if bool(np.all(ordered[1:] >= ordered[:-1])):
            return order
    return np.argsort(at, kind="stable")


def last_of_runs(sorted_values: I64) -> I64:
    """Index of the last of each run of equal values."""
    first = first_of_runs(sorted_values)
    return np.append(first[1:], len(sorted_values)) - 1 if len(first) else first


def lookup(table: Table, at: I64) -> tuple[I64, Bools]:
    """For each packed place the row that holds there, and whether there is one (else the index is 0)."""
    row = np.searchsorted(table.at, at, side="right") - 1
    inside = row >= 0
    row = np.where(inside, row, 0)
    if len(table):
        inside &= (table.at[row] >> TICK_BITS) == (at >> TICK_BITS)
    return row, inside


def values_at(table: Table, row: I64, at: I64) -> NDArray[Any]:
    """The values that rows ``row`` have at places ``at``: a Numeric's line is followed up to there."""
    value = table.value[row]
    if table.slope is None:
        return value
    passed = (at & MAX_TICK) - (table.at[row] & MAX_TICK)
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
    return Table(table.shape, table.at, *fitted(value, slope), None, unit)


def in_one_unit(tables: Sequence[Table]) -> list[Table]:
    """The tables with one unit for all that hold numbers."""
    units = {table.unit for table in tables if table.slope is not None}
    if len(units) < 2:
        return list(tables)
    unit = units.pop()
    for other in units:
        unit = common_unit(unit, other)
    return [in_unit(table, unit) for table in tables]


def cut(table: Table, window: Window) -> Table:
    """The table on the window: for each of its keys a row at the start (if one holds) and all after."""
    if not len(table) or not len(window):
        return table.take(slice(0, 0))
    if len(table) == len(window) and np.array_equal(table.at, window.at):
        return table  # one row a key, which is there already
    low = np.searchsorted(table.at, window.at, side="right")
    high = np.searchsorted(table.at, window.end, side="left")
    # The row before is that which holds at the start, if it is one of the key.
    base = np.maximum(low - 1, 0)
    held = (low > 0) & (table.at[base] >> TICK_BITS == window.key)
    count = high - low
    total = count + held
    if int(total.sum()) == len(table) and np.array_equal(table.at[base[held]], window.at[held]):
        return table  # all of it, as it is
    offset = np.cumsum(total) - total
    # One flat index: the base row of each key where there is one, then its rows behind the start.
    index = np.repeat(low - offset - held, total) + np.arange(int(total.sum()))
    heads = offset[held]
    index[heads] = base[held]
    at = table.at[index]
    at[heads] = window.at[held]
    value = table.value[index]
    value[heads] = values_at(table, base[held], window.at[held])
    slope = None if table.slope is None else table.slope[index]
    return Table(table.shape, at, value, slope, table.vocabulary, table.unit)


def rows_in(table: Table, window: Window) -> I64:
    """Indices of the rows that begin in the window."""
    low = np.searchsorted(table.at, window.at, side="left")
    count = np.searchsorted(table.at, window.end, side="left") - low
    rows: I64 = np.repeat(low - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
    return rows


def align(tables: Sequence[Table]) -> tuple[I64, list[I64]]:
    """The places at which any of the tables has a row, and for each table the row that holds there.

    The tables must begin at the same tick for every key, as tables cut to one window do.
    """
    if len(tables) == 1:
        return tables[0].at, [np.arange(len(tables[0]))]
    at = np.concatenate([t.at for t in tables])
    at.sort(kind="stable")
    at = at[first_of_runs(at)]
    rows = []
    for table in tables:
        begins = np.zeros(len(at), bool)
        begins[np.searchsorted(at, table.at)] = True
        rows.append(np.cumsum(begins) - 1)
    return at, rows


def known_to_all(tables: Sequence[Table], window: Window) -> Window:
    """The window from where all the tables have rows: snapshots of nodes that have forgotten different
    pasts begin at different ticks, and before the last of them there is no common answer."""
    at = window.at
    for table in tables:
        _, held = lookup(table, at)
        if not held.all():
            following = np.append(table.at, np.int64(-1))[np.searchsorted(table.at, at, side="right")]
            at = np.where(held, at, following)[held | (following >> TICK_BITS == at >> TICK_BITS)]
    return window if at is window.at else Window(at)


def coalesce(table: Table) -> Table:
    """The same function without rows that change nothing."""
    if len(table) < 2:
        return table
    same = (table.at[1:] >> TICK_BITS) == (table.at[:-1] >> TICK_BITS)
    before = np.arange(len(table) - 1)
    same &= same_rows(values_at(table, before, table.at[1:]), table.value[1:])
    if table.slope is not None:
        same &= same_rows(table.slope[1:], table.slope[:-1])
    if not same.any():
        return table
    return table.take(np.concatenate(([True], ~same)))


def merge(old: Table, new: Table) -> Table:
    """One sorted table of two that have no place in common."""
    if not len(old):
        return new
    if not len(new):
        return old
    old, new = in_one_unit((old, new))
    where = np.searchsorted(old.at, new.at) + np.arange(len(new))
    from_new = np.zeros(len(old) + len(new), bool)
    from_new[where] = True

    def put(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        out = np.empty((len(from_new), *a.shape[1:]), np.result_type(a, b))
        out[from_new] = b
        out[~from_new] = a
        return out

    slope = None
    if old.slope is not None and new.slope is not None:
        slope = put(old.slope, new.slope)
    value = put(old.value, new.value)
    return Table(old.shape, put(old.at, new.at), value, slope, old.vocabulary, old.unit)


def without(table: Table, window: Window) -> Table:
    """The table without the rows that lie in the window."""
    low = np.searchsorted(table.at, window.at, side="left")
    high = np.searchsorted(table.at, window.end, side="left")
    if not np.any(high > low):
        return table
    # +1 where a gap opens, -1 where it closes; the running sum is positive inside gaps.
    steps = np.zeros(len(table) + 1, np.int64)
    np.add.at(steps, low, 1)
    np.add.at(steps, high, -1)
    return table.take(np.cumsum(steps[:-1]) == 0)


def splice(table: Table, window: Window, new: Table) -> Table:
    """The table with everything in the window replaced by ``new`` (coalesced, and on that window)."""
    table, new = in_one_unit((table, new))
    kept = without(table, window)
    heads = np.flatnonzero(np.isin(new.at, window.at, assume_unique=True))
    row, held = lookup(kept, new.at[heads])
    heads, row = heads[held], row[held]
    if len(heads):
        # A first row that goes on as the kept one before it would is no change.
        same = same_rows(values_at(kept, row, new.at[heads]), new.value[heads])
        if kept.slope is not None and new.slope is not None:
            same &= same_rows(kept.slope[row], new.slope[heads])
        if same.any():
            keep = np.ones(len(new), bool)
            keep[heads[same]] = False
            new = new.take(keep)
    return merge(kept, new)


def difference(old: Table, new: Table, window: Window) -> Window:
    """Where ``new`` (on the window) first differs from ``old`` (the whole table), for keys where it does.

    A key whose rows begin earlier than they did differs from its new origin on.
    """
    old, new = in_one_unit((cut(old, window), new))
    at = np.concatenate((old.at, new.at))
    at.sort(kind="stable")
    at = at[first_of_runs(at)]
    row_old, in_old = lookup(old, at)
    row_new, in_new = lookup(new, at)
    differs = in_old != in_new
    both = np.flatnonzero(in_old & in_new)
    equal = same_rows(values_at(old, row_old[both], at[both]), values_at(new, row_new[both], at[both]))
    if old.slope is not None and new.slope is not None:
        equal &= same_rows(old.slope[row_old[both]], new.slope[row_new[both]])
    differs[both] = ~equal
    at = at[differs]
    return Window(at[first_of_runs(at >> TICK_BITS)])


def collapse(table: Table, horizon: I64) -> Table:
    """The table without rows that end at or before their key's horizon (packed, one a key code).

    What holds at the horizon stays, as the one base row of its key.
    """
    if len(table) < 2:
        return table
    same_key = (table.at[1:] >> TICK_BITS) == (table.at[:-1] >> TICK_BITS)
    ended = same_key & (table.at[1:] <= horizon[table.at[1:] >> TICK_BITS])
    return table.take(np.concatenate((~ended, [True]))) if ended.any() else table

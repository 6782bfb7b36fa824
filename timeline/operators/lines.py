"""What the operators over numbers share: any timeline, or a constant, as lines of exact numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeline.tables.packing import end_of, follows_in_key
from timeline.tables.splicing import coalesce
from timeline.tables.table import Table
from timeline.values.exact import NULL, ROOM, exact_column, fitted
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64


def as_numbers(table: Table) -> Table:
    """A State as the Numeric that it is in arithmetic: its number, null if it is none."""
    if table.kind is not Kind.STATE:
        return table
    assert table.vocabulary is not None
    used, index = np.unique(table.value, return_inverse=True)
    numbers, unit = exact_column([table.vocabulary.values[code] for code in used])
    value = numbers[index]
    return Table(Kind.NUMERIC, table.at, value, np.zeros(len(table), value.dtype), None, unit)


def constant_like(table: Table, number: Fraction | None) -> Table:
    """The Numeric that is ``number`` (null if ``None``) from where each key of ``table`` begins."""
    at = table.at[table.first_rows()]
    whole, unit = (
        (NULL, Fraction(1)) if number is None else (number.numerator, Fraction(1, number.denominator))
    )
    fits = -(1 << 61) < whole < 1 << 61 or number is None
    value = np.full(len(at), whole, np.int64 if fits else object)
    return Table(Kind.NUMERIC, at, value, np.zeros(len(at), value.dtype), None, unit)


def running_least(value: NDArray[Any], heads: I64) -> NDArray[Any]:
    """The least of each value (n) and those before it of its key; ``heads`` are the first rows of keys.

    >>> running_least(np.array([3, 1, 2, 5, 4]), np.array([0, 3])).tolist()
    [3, 1, 1, 5, 4]
    """
    count = np.diff(np.append(heads, len(value)))
    place = np.arange(len(value)) - np.repeat(heads, count)
    reach = 1
    while reach < int(count.max(initial=0)):
        before = np.minimum(value[reach:], value[:-reach])
        value = np.concatenate((value[:reach], np.where(place[reach:] >= reach, before, value[reach:])))
        reach *= 2
    return value


def least_so_far(table: Table, sign: int, heads: I64, said: NDArray[Any]) -> Table:
    """The least number that a Numeric has been since the last of the rows ``heads``; null while it was none.

    Among them is the first row of every key. ``said`` is what is known before each, times ``sign``, or
    `ROOM` for nothing. A ``sign`` of -1 turns everything round, which makes it the greatest.
    """
    assert table.slope is not None
    at = table.at
    null = table.value == NULL
    value, slope = np.where(null, ROOM, table.value * sign), table.slope * sign
    last = np.append(~follows_in_key(at), True)[: len(at)]
    room = np.where(last, end_of(at), np.append(at[1:], 0)) - at
    # The least of a piece is at its first or at its last tick.
    least = np.where(last, value, np.minimum(value, value + slope * (room - 1)))
    known = np.append(ROOM, least)[: len(at)].astype(np.result_type(value, said))
    known[heads] = said
    known = running_least(known, heads)
    # A piece that falls takes over at the first tick at which it is below what was known.
    falls, below = slope < 0, value <= known
    wait = np.where(falls & ~below, -((known - value) // np.where(falls, -slope, 1)), 0)
    later = np.flatnonzero(falls & ~below & (wait < room))
    order = np.argsort(np.concatenate((at, (at + wait)[later])), kind="stable")
    values = np.concatenate((np.where(below, value, known), (value + slope * wait)[later]))[order]
    slopes = np.concatenate((np.where(falls & below, slope, 0), slope[later]))[order]
    places = np.concatenate((at, (at + wait)[later]))[order].astype(np.int64)
    values = np.where(values == ROOM, NULL, values * sign)
    return coalesce(Table(Kind.NUMERIC, places, *fitted(values, slopes * sign), None, table.unit))

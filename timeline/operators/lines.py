"""What the operators over numbers share: any timeline, or a constant, as lines of exact numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeline.tables.table import Table
from timeline.values.exact import NULL, exact_column
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

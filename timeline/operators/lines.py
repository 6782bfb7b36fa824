"""What the operators over numbers share: any timeline, or a constant, as lines of exact numbers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from timeline.tables.table import Shape, Table
from timeline.values.exact import NULL, exact_column


def as_numbers(table: Table) -> Table:
    """A State as the Numeric that it is in arithmetic: its number, null if it is none."""
    if table.shape is not Shape.STATE:
        return table
    assert table.vocabulary is not None
    used, index = np.unique(table.value, return_inverse=True)
    numbers, unit = exact_column([table.vocabulary.values[code] for code in used])
    value = numbers[index]
    return Table(Shape.NUMERIC, table.at, value, np.zeros(len(table), value.dtype), None, unit)


def constant_like(table: Table, number: Fraction | None) -> Table:
    """The Numeric that is ``number`` (null if ``None``) from where each key of ``table`` begins."""
    at = table.at[table.first_rows()]
    whole, unit = (
        (NULL, Fraction(1)) if number is None else (number.numerator, Fraction(1, number.denominator))
    )
    fits = -(1 << 61) < whole < 1 << 61 or number is None
    value = np.full(len(at), whole, np.int64 if fits else object)
    return Table(Shape.NUMERIC, at, value, np.zeros(len(at), value.dtype), None, unit)

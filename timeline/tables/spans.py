"""Stretches of columns: which rows they are, and how columns become longer."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from timeline.values.vocabulary import I64

I32: TypeAlias = NDArray[np.int32]
Integers: TypeAlias = NDArray[np.integer[Any]]


def spans(first: Integers, count: Integers) -> I64:
    """The numbers from each of ``first`` on, ``count`` of them, one after the other.

    >>> spans(np.array([7, 2]), np.array([2, 3])).tolist()
    [7, 8, 2, 3, 4]
    """
    end = np.cumsum(count)
    numbers: I64 = np.repeat(first - (end - count), count)
    numbers += np.arange(len(numbers))
    return numbers


def longer(column: I32, count: int) -> I32:
    """The column with zeros behind it, so many in all."""
    grown = np.zeros(count, np.int32)
    grown[: len(column)] = column
    return grown


def moved(column: NDArray[Any], rows: I64 | slice, to: I64 | slice, size: int) -> NDArray[Any]:
    """A column of that size with those rows of another where they are to be."""
    grown = np.empty((size, *column.shape[1:]), column.dtype)
    grown[to] = column[rows]
    return grown

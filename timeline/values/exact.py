"""Exact numbers as columns: whole numbers of a *unit*, which is a fraction.

A Numeric's values are ``number * unit``. The unit is a thousandth until finer numbers come (a price of
0.00015, a division by 7), and the numbers are int64 until they no longer fit: then they are Python's
own whole numbers in an object array, slower and without end. Nothing is ever rounded.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeline.errors import shortened
from timeline.values.scalars import Carried, Scalar
from timeline.values.ticks import MAX_TICK

#: ``null`` among numbers.
NULL = int(np.iinfo(np.int64).min)
#: The unit that every Numeric begins with.
THOUSANDTH = Fraction(1, 1000)
#: int64 columns stay below this at every tick there is, so that two may be added without overflow.
ROOM = 1 << 62

_NUMBERS = (int, float, Decimal)
_FRACTION = re.compile(r"-?[0-9]{1,4000}(/[0-9]{1,4000})?")
# Decimals that are tried on a whole column of floats at once.
_DECIMALS = (0, 1, 2, 3, 4, 6, 9)


def common_unit(a: Fraction, b: Fraction) -> Fraction:
    """The largest unit of which both are whole multiples.

    >>> common_unit(Fraction(1, 1000), Fraction(1, 400))
    Fraction(1, 2000)
    """
    if a == b:
        return a
    denominator = a.denominator * b.denominator
    return Fraction(math.gcd(a.numerator * b.denominator, b.numerator * a.denominator), denominator)


def fraction_of(text: Any) -> Fraction:
    """A fraction as `str` writes it. Not with a power of ten, as `Fraction` reads it too: of that, ten
    characters may be a number of any length.

    >>> fraction_of("-3/400"), fraction_of("12")
    (Fraction(-3, 400), Fraction(12, 1))

    Raises:
        TypeError: it is no text.
        ValueError: it is none.
        ZeroDivisionError: it is one of 0 parts.
    """
    if not _FRACTION.fullmatch(text):
        raise ValueError(f"no fraction: {shortened(text, 40)!r}")
    return Fraction(text)


def multiplied(numbers: NDArray[Any], factor: int, room: int = ROOM) -> NDArray[Any]:
    """``numbers * factor`` with nulls left alone, in Python's numbers where ``room`` would not do.

    >>> multiplied(np.array([3, NULL]), 2).tolist() == [6, NULL]
    True
    """
    null = numbers == NULL
    if numbers.dtype != object and (abs(factor) >= room or _largest(numbers) * abs(factor) >= room):
        numbers = numbers.astype(object)
    return np.where(null, NULL, np.where(null, 0, numbers) * factor)


def fitted(value: NDArray[Any], slope: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Values and slopes a ms as int64 if they stay within `ROOM` at every tick, else as objects."""
    fits = _largest(value) + _largest(slope) * (MAX_TICK + 1) < ROOM
    if fits == (value.dtype != object):
        return value, slope
    kind = np.int64 if fits else object
    return value.astype(kind), slope.astype(kind)


def _largest(numbers: NDArray[Any]) -> int:
    if not numbers.size:
        return 0
    if numbers.dtype == object:
        return max(abs(int(n)) for n in numbers.flat if n != NULL) if np.any(numbers != NULL) else 0
    # The negative of NULL is NULL again, which maximum() passes over.
    return int(np.maximum(numbers.max(), (-numbers).max()))


def user_number(number: int, unit: Fraction) -> int | float | None:
    """``number * unit`` as users see it: whole if it is whole, else the nearest float.

    >>> user_number(2500, THOUSANDTH), user_number(3000, THOUSANDTH), user_number(NULL, THOUSANDTH)
    (2.5, 3, None)
    """
    if number == NULL:
        return None
    return user_fraction(number * unit.numerator, unit.denominator)


def user_fraction(above: int, below: int) -> int | float | None:
    """``above / below`` as users see it; null if ``below`` is 0.

    Beyond what a float holds it is the last one that there is: JSON has no infinity, and what would
    become of it there, null, is another value.

    >>> user_fraction(1, 3), user_fraction(-(10**400), 1)
    (0.3333333333333333, -1.7976931348623157e+308)
    """
    if below == 0:
        return None
    if above % below == 0 and -(1 << 63) <= above // below < 1 << 64:
        return above // below
    try:
        return above / below
    except OverflowError:
        return sys.float_info.max if (above < 0) == (below < 0) else -sys.float_info.max


def user_value(value: Scalar | Fraction) -> Scalar:
    """A value as users see it: a fraction as the number that comes nearest."""
    return user_fraction(value.numerator, value.denominator) if isinstance(value, Fraction) else value


def exact_scalar(value: Scalar | Fraction) -> Fraction | None:
    """A number as it is written, in full; ``None`` for what is no number.

    >>> exact_scalar(0.1), exact_scalar(True), exact_scalar("1")
    (Fraction(1, 10), None, None)
    """
    if isinstance(value, bool | str) or value is None:
        return None
    return value if isinstance(value, Fraction) else Fraction(str(value))


def exact_column(values: Sequence[Carried]) -> tuple[NDArray[Any], Fraction]:
    """Numbers of one unit for values as they are written; null for what is no number.

    >>> exact_column([1, 2.5, "x", None, True])
    (array([                1000,                 2500, -9223372036854775808,
           -9223372036854775808, -9223372036854775808]), Fraction(1, 1000))
    >>> exact_column([0.00015, 1])
    (array([    150, 1000000]), Fraction(1, 1000000))
    >>> exact_column([0.1, Decimal("12345678901234567.1")])
    (array([100, 12345678901234567100], dtype=object), Fraction(1, 1000))
    """
    number = np.array([type(v) in _NUMBERS for v in values], bool)
    plain = [v for v, is_number in zip(values, number.tolist(), strict=True) if is_number]
    numbers, unit = _exact_numbers(plain)
    column = np.full(len(values), NULL, numbers.dtype)
    column[number] = numbers
    return column, unit


def _exact_numbers(values: Sequence[Any]) -> tuple[NDArray[Any], Fraction]:
    floats = np.array(values, np.float64)
    # A quotient of whole numbers below 2**53 is rounded once: equal to the float, it is its spelling.
    floats_only = Decimal not in map(type, values)
    if floats_only and (not len(values) or np.abs(floats).max() < 2**53 / 10 ** _DECIMALS[-1]):
        for decimals in _DECIMALS:
            scale = 10**decimals
            whole = np.rint(floats * scale)
            if bool(np.all(whole / scale == floats)):
                least = max(scale, 1000)
                return whole.astype(np.int64) * (least // scale), Fraction(1, least)
    exact = [Fraction(v) if type(v) is int else Fraction(str(v)) for v in values]
    unit = THOUSANDTH
    for denominator in {f.denominator for f in exact}:
        unit = common_unit(unit, Fraction(1, denominator))
    scale = unit.denominator
    whole_numbers = np.array([f.numerator * (scale // f.denominator) for f in exact], object)
    return fitted(whole_numbers, np.zeros(1, object))[0], unit

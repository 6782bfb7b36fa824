"""Values as users write and see them: JSON scalars, and how they compare."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Literal, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
#: What an event carries: a number that no float stands for is a decimal, which `sum` adds up as it is.
Carried: TypeAlias = Scalar | Decimal
#: What a user sees of a node at a tick: of a set of outputs, each by its name.
Value: TypeAlias = Scalar | dict[str, Scalar]
CompareOp = Literal["==", "!=", "<", "<=", ">", ">="]

_EXACT = 1 << 63


def canonical(value: Scalar) -> Scalar:
    """One spelling for equal values: a float that is whole becomes the int (1 equals 1.0).

    What 64 bits cannot hold is the nearest float, as it is when read from JSON, which has to carry it.

    >>> canonical(1.0), canonical(1.5), canonical(True), canonical(1e300), canonical(10**30)
    (1, 1.5, True, 1e+300, 1e+30)
    """
    if isinstance(value, int) and not -_EXACT <= value < 2 * _EXACT:
        value = float(value)  # which may be the least that 64 bits hold
    if isinstance(value, float) and value.is_integer() and -_EXACT <= value < 2 * _EXACT:
        return int(value)
    return value


#: Longer or smaller ones are the nearest float: exact sums have all digits of what is added up.
MAX_DECIMAL_DIGITS = 400


def number_of(value: Decimal) -> int | float | Decimal:
    """A finite number as an event carries it: exact, if it has no more digits than `MAX_DECIMAL_DIGITS`.

    >>> number_of(Decimal("1.50")), number_of(Decimal("2.00")), number_of(Decimal("12345678901234567.1"))
    (1.5, 2, Decimal('12345678901234567.1'))
    >>> number_of(Decimal("9.2233720368547e18"))  # whose nearest float is another whole number
    9223372036854700000
    """
    if -_EXACT <= value < 2 * _EXACT and value == value.to_integral_value():
        return int(value)
    nearest = float(value)
    if Decimal(repr(nearest)) == value or not fits_decimal(value):
        plain = canonical(nearest)
        assert isinstance(plain, int | float)
        return plain
    return value


def fits_decimal(value: Decimal) -> bool:
    """Whether a decimal is finite and has no more digits, and none further behind the point, than it may."""
    _, digits, exponent = value.as_tuple()
    within = isinstance(exponent, int) and -MAX_DECIMAL_DIGITS <= exponent <= MAX_DECIMAL_DIGITS
    return within and len(digits) <= MAX_DECIMAL_DIGITS


def as_scalar(value: Carried) -> Scalar:
    """What is carried as a user sees it: of a decimal the nearest float.

    >>> as_scalar(Decimal("12345678901234567.1")), as_scalar("x")
    (12345678901234568, 'x')
    """
    return canonical(float(value)) if isinstance(value, Decimal) else value


def identity(value: Scalar) -> Scalar | tuple[bool, Scalar]:
    """A dict key under which ``true`` and ``1`` differ, as they do in JSON."""
    return (True, value) if isinstance(value, bool) else value


def equal_to_any(values: Iterable[Scalar]) -> Callable[[Scalar], bool]:
    """Says of a value whether it equals one of these.

    >>> [equal_to_any([1, "x"])(value) for value in (1.0, True, "x", None)]
    [True, False, True, False]
    """
    known = set(map(identity, values))
    return lambda value: identity(value) in known


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def type_name(value: Scalar) -> str:
    """The type of a value that is not null, as a message says it."""
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def compare_scalars(op: CompareOp, left: Scalar, right: Scalar) -> bool:
    """``left op right`` as timelines compare: different types are unequal and unordered, null is equal
    to null only; null and booleans are never ordered.

    >>> compare_scalars("==", 1, 1.0), compare_scalars("==", 1, True), compare_scalars("!=", None, 1)
    (True, False, True)
    >>> compare_scalars("<", "a", "b"), compare_scalars("<", "1", 2), compare_scalars("<=", None, None)
    (True, False, False)
    >>> compare_scalars("<", False, True), compare_scalars("<=", True, True)
    (False, False)
    """
    if op == "==":
        return identity(left) == identity(right)
    if op == "!=":
        return identity(left) != identity(right)
    if left is None or right is None or isinstance(left, bool) or type_name(left) != type_name(right):
        return False
    return _ORDER[op](left, right)

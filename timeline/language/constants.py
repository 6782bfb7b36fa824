"""Constants: which there can be, and what several of them come to."""

from __future__ import annotations

import math
from fractions import Fraction

from timeline.errors import ExpressionError
from timeline.language.advice import quote
from timeline.language.expression import Arithmetic, Constant, Expression
from timeline.values.scalars import Scalar

# Exact numbers grow with what they are multiplied and divided by; Python writes at most 4 300 digits
# of one, and those of the data (up to 650) need room too.
_MOST_DIGITS = 3_000


def check_scalar(value: Scalar, e: Expression) -> None:
    """Check the value of a constant, or the name of a column.

    Raises:
        ExpressionError: a number beyond what a float holds, or text that is no text.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ExpressionError("half of a surrogate pair is no character", span=e.span) from None
    elif isinstance(value, (int, float)):
        try:
            finite = math.isfinite(value)
        except OverflowError:
            finite = False
        if not finite:
            raise ExpressionError("number out of range: at most 1.797e308", span=e.span)


def check_digits(e: Expression) -> None:
    """Check that the exact numbers of an expression can be written down, whatever the data.

    Raises:
        ExpressionError: what it multiplies and divides by has too many digits.
    """
    digits, todo = 0, [e]
    while todo:
        node = todo.pop()
        if isinstance(node, Arithmetic) and node.op in ("*", "/"):
            for side in node.parts:
                if isinstance(side, Constant):
                    factor = Fraction(str(side.value))
                    digits += max(len(str(factor.numerator)), len(str(factor.denominator)))
        todo += node.parts
    if digits > _MOST_DIGITS:
        raise ExpressionError(
            f"numbers out of range: what is multiplied and divided by in {quote(e)} has {digits} digits "
            f"together, and may have {_MOST_DIGITS}",
            span=e.span,
        )


def constant_result(e: Arithmetic) -> str | None:
    """What arithmetic between two constants comes to, as a constant."""
    x, y = (Fraction(str(side.value)) for side in (e.left, e.right) if isinstance(side, Constant))
    if e.op == "/" and y == 0:
        return None
    result = {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else y}[e.op]
    try:
        return quote(Constant(int(result) if result.denominator == 1 else float(result)))
    except OverflowError:
        return None

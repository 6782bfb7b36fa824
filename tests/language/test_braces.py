"""Outputs in braces that say one another."""

from __future__ import annotations

import pytest

from timeline.errors import ExpressionError
from timeline.language.parser import parse
from timeline.language.printer import print_expression


def test_what_another_output_says_is_put_in_whatever_their_order() -> None:
    text = "{late: @often && @first, often: @n > 2, n: count(a == 1), first: has_existed(a == 1)}"
    assert print_expression(parse(text)) == (
        "{late: count(a == 1) > 2 && has_existed(a == 1), often: count(a == 1) > 2, n: count(a == 1), "
        "first: has_existed(a == 1)}"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a: count(x == 1), b: @c > 1}", "line 1, column 23: there is no output c; expected a, b"),
        ("{a: @b, b: @c,\n c: !@a}", "line 2, column 6: @a comes back to itself: a -> b -> c -> a"),
        ("{a: !@a}", "line 1, column 6: @a comes back to itself: a -> a"),
        ("{a: count(x == 1), a: @a > 1}", "two outputs are named a"),
        ("{a: count(x == 1), b: duration_where(@a)}", "line 1, column 38: duration_where(b) cannot take"),
        ("count(x == @a)", "@a stands for another output, and there are none here"),
        (
            "{a0: x == 1, " + ", ".join(f"a{i + 1}: @a{i}" for i in range(150)) + "}",
            "a set has at most 100 outputs, got 151",
        ),
        (
            "{a0: has_existed(x == 1), " + ", ".join(f"a{i + 1}: @a{i} && !@a{i}" for i in range(60)) + "}",
            "too large: with every @name put in, the outputs have more than 10000 parts",
        ),
    ],
)
def test_what_cannot_be_is_said_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as error:
        parse(text)
    assert message in str(error.value)

"""What does not fit in arithmetic and in the operators over it, and the advice that comes with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.cases import cases
from timeline.errors import ExpressionError, KindError
from timeline.language.builder import Build, col
from timeline.language.calls import count, has_existed, if_, lag, latest_event_to_state, sum_
from timeline.language.parser import parse
from timeline.language.printer import print_expression
from timeline.local.evaluate import evaluate
from timeline.tables.events import from_rows

B = "has_existed(a == 1)"
N = "count(a == 1)"
M = "sum(a)"
S = "latest_event_to_state(s)"
R = f"{N} / {M}"


@pytest.mark.parametrize(
    ("text", "place", "message", "suggestion"),
    cases("arithmetic_errors", "text", "part", "error", "suggestion"),
)
def test_misfits(text: str, place: str, message: str, suggestion: str | None) -> None:
    with pytest.raises(ExpressionError) as raised:
        parse(text)
    error = raised.value
    assert error.message.startswith(message)
    assert error.suggestion == suggestion
    assert error.source == text
    assert error.span is not None
    start = error.span.column - 1
    assert text[start : start + error.span.length] == place


@pytest.mark.parametrize("text", [f"1 - {R}", f"{R} - 0.5", f"{R} * 100", f"2 / ({R})", f"lag({R}, 5s)"])
def test_advice_on_ratios_can_be_followed(text: str) -> None:
    with pytest.raises(KindError) as raised:
        parse(text)
    assert raised.value.suggestion is not None
    parse(raised.value.suggestion)


@pytest.mark.parametrize(
    "text",
    [
        " + ".join([N] * 700),
        " + ".join([N] * 700) + " < 1 < 2",
        N + " * 2" * 700,
        (N + " - (") * 300 + N + ")" * 300,
        f"if({B}, " * 300 + "1" + ", 0)" * 300,
        "lag(" * 300 + N + ", 1s)" * 300,
    ],
)
def test_deep_nests_are_an_error(text: str) -> None:
    with pytest.raises(ExpressionError, match="nested too deeply"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        " + ".join([N] * 198),
        N + " * 2" * 197,
        (N + " - (") * 190 + N + ")" * 190,
        f"if({B}, " * 195 + "1" + ", 0)" * 195,
        "lag(" * 190 + N + ", 1s)" * 190,
        "prior_state(" * 190 + S + ")" * 190,
    ],
)
def test_the_deepest_are_printed_and_read_again(text: str) -> None:
    e = parse(text)
    assert parse(print_expression(e)) == e


def value(text: str | Build) -> object:
    """At the one event of a key that has a = 1."""
    return next(evaluate(text, from_rows([("k", 0, {"a": 1})])).values()).value


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (f"{N} * 1e300 * 1e300", 1.7976931348623157e308),
        (f"0 - {N} * 1e300 * 1e300", -1.7976931348623157e308),
        (f"1e300 / ({N} / 1e300)", 1.7976931348623157e308),
        (f"{N} + 1e300 - 1e300", 1),
        (f"{N} * 1e-300 * 1e-300 > 0", True),
        (f"{N} * 0.1 + 0.2 == 0.3", True),
        (f"{M} * 0.1 + 0.2 == 0.30000000000000004", False),
        (f"{N} + 1000000000000000000000", 10**21),
        (f"{N} / 0", None),
        (f"0 / ({N} - 1)", None),
    ],
)
def test_extreme_numbers(text: str, result: object) -> None:
    """Exact within, the nearest number that JSON has without."""
    assert value(text) == result


def test_numbers_that_could_not_be_written_are_an_error() -> None:
    most = f"{N}" + " * 1e308" * 9
    assert evaluate(most, from_rows([("k", 0, {"a": 1})])).tables[-1].json_rows()
    for text in (f"{most} * 1e308", f"if({B}, {most}, {N} / 1e308)", f"{most} + {N} * 1e308"):
        with pytest.raises(ExpressionError, match="numbers out of range: what is multiplied and divided by"):
            parse(text)


FIRST = col("a") == 1
COUNT = count(FIRST)
STATE = latest_event_to_state("s")


@pytest.mark.parametrize(
    ("python", "message"),
    [
        (lambda: COUNT * COUNT, "* takes a constant on one side"),
        (lambda: COUNT + True, "+ cannot take true; expected a number"),
        (lambda: "x" + COUNT, '+ cannot take "x"; expected a number'),
        (lambda: COUNT - [1], "[1] cannot be part of an expression"),  # type: ignore[operator]
        (lambda: COUNT * float("nan"), "number out of range"),
        (lambda: COUNT * 10**400, "number out of range"),
        (lambda: 1 - COUNT / sum_("a"), f"a constant; did you mean ({M} - {N}) / {M}?"),
        (lambda: ~(COUNT / COUNT), f"did you mean !({N} / {N} > ...)?"),
        (lambda: sum_(STATE), "sum(col) cannot take latest_event_to_state(s), a State"),
        (lambda: sum_("a") == has_existed(FIRST), "a Numeric can never equal"),
        (lambda: count(has_existed(FIRST)), "did you mean count_rises("),
        (lambda: if_(True, 1, 2), None),  # type: ignore[arg-type]
        (lambda: if_(has_existed(FIRST), STATE, COUNT), "did you mean latest_event_to_state(s) + 0?"),
        (lambda: lag(COUNT, COUNT), "not a duration: <Build count(a == 1)>"),  # type: ignore[arg-type]
        (lambda: lag(COUNT / COUNT, 5), f"did you mean lag({N}, 5s) / lag({N}, 5s)?"),
    ],
)
def test_misfits_in_python(python: Callable[[], object], message: str | None) -> None:
    with pytest.raises(ExpressionError) as raised:
        python()
    assert (message or "if(b, x, y) cannot take true, a constant") in str(raised.value)


@pytest.mark.parametrize("number", [np.int64(2), np.float64(2)])
def test_numbers_of_numpy_are_numbers(number: Any) -> None:
    assert str(COUNT * number) == f"{N} * 2"
    assert str(number * COUNT) == f"2 * {N}"

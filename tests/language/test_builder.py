"""The builder: the parser's trees, written in Python."""

from __future__ import annotations

import enum
import functools
import operator
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given

from tests.support.strategies import expressions
from tests.support.trees import (
    HasExistedWithin,
)
from timeline.errors import DurationError, ExpressionError, KindError
from timeline.language import calls
from timeline.language.builder import Build, BuildError, Duration, col
from timeline.language.calls import (
    duration_in_cur_state,
    duration_where,
    has_existed,
    has_existed_within,
    latest_event_to_state,
)
from timeline.language.expression import (
    MAX_DEPTH,
    And,
    Call,
    Column,
    Compare,
    Constant,
    Expression,
    Not,
    Or,
)
from timeline.language.parser import parse
from timeline.language.signatures import signature_of
from timeline.values.kinds import Kind

PLAYER = col("playerStateChange")
EXISTED = has_existed(PLAYER == "play")
STATE = latest_event_to_state("state")


def test_cirr() -> None:
    cirr = duration_where(
        has_existed(PLAYER == "play")
        & ~has_existed_within(PLAYER == "seek", "5s")
        & (latest_event_to_state(PLAYER) == "buffer")
    )
    assert cirr.expression == parse(
        'duration_where(has_existed(playerStateChange == "play")'
        ' && !has_existed_within(playerStateChange == "seek", 5s)'
        ' && latest_event_to_state(playerStateChange) == "buffer")'
    )
    assert cirr.kind is Kind.NUMERIC


_OPS: dict[str, Callable[[Build, Build], Build]] = {
    **{"==": operator.eq, "!=": operator.ne, "<": operator.lt},
    **{"<=": operator.le, ">": operator.gt, ">=": operator.ge},
}


def rebuild(e: Expression) -> Build:
    """The tree once more, by the builder's own operators."""
    match e:
        case Column():
            return col(e.column)
        case Compare():
            return _OPS[e.op](rebuild(e.left), rebuild(e.right))
        case And():
            return functools.reduce(operator.and_, map(rebuild, e.operands))
        case Or():
            return functools.reduce(operator.or_, map(rebuild, e.operands))
        case Not():
            return ~rebuild(e.of)
        case Call():
            function = getattr(calls, signature_of(e.operator).python_name)
            built: Build = function(
                *(timedelta(milliseconds=a) if isinstance(a, int) else rebuild(a) for a in e.arguments)
            )
            return built
    return Build(e)


@given(expressions())
def test_agrees_with_the_parser(e: Expression) -> None:
    built = rebuild(e)
    assert built.expression == e
    assert parse(str(built)) == e


@pytest.mark.parametrize(
    ("built", "text"),
    [
        (STATE == 1, "latest_event_to_state(state) == 1"),
        (STATE != "x", 'latest_event_to_state(state) != "x"'),
        (STATE == None, "latest_event_to_state(state) == null"),  # noqa: E711
        (STATE == True, "latest_event_to_state(state) == true"),  # noqa: E712
        (1.5 < STATE, "latest_event_to_state(state) > 1.5"),  # noqa: SIM300 - the reflected operator
        (operator.le(STATE, timedelta(milliseconds=1500)), "latest_event_to_state(state) <= 1.5"),
        (operator.ge(STATE, latest_event_to_state("not")), None),
        (EXISTED | EXISTED & ~EXISTED, f"{EXISTED} || {EXISTED} && !{EXISTED}"),
        ((EXISTED | EXISTED) & EXISTED, f"({EXISTED} || {EXISTED}) && {EXISTED}"),
        (has_existed(col("x") == Column("y")), "has_existed(x == y)"),
        (
            duration_in_cur_state(STATE) < 10,
            "duration_in_cur_state(latest_event_to_state(state)) < 10",
        ),
    ],
)
def test_operators(built: Build, text: str | None) -> None:
    assert parse(str(built)) == built.expression
    assert text in (str(built), None)


@pytest.mark.parametrize(
    ("duration", "ms"),
    [
        (5, 5000),
        (0.1, 100),
        (1e-3, 1),
        ("500ms", 500),
        ("1.5", 1500),
        ("2h", 7_200_000),
        (timedelta(days=1, milliseconds=1), 86_400_001),
    ],
)
def test_durations(duration: Duration, ms: int) -> None:
    assert has_existed_within(EXISTED, duration).expression == HasExistedWithin(EXISTED.expression, ms)


@pytest.mark.parametrize(
    ("duration", "error", "message"),
    [
        (0, ExpressionError, "a duration is at least 1ms, got 0ms"),
        (-5, ExpressionError, "a duration is at least 1ms"),
        (10**12, ExpressionError, "a duration is at most"),
        (0.0005, DurationError, "a whole number of milliseconds, got 0.0005"),
        (timedelta(microseconds=1), DurationError, "a whole number of milliseconds"),
        (float("inf"), DurationError, "not a duration: inf"),
        ("5 sec", DurationError, "not a duration: '5 sec'"),
        (True, BuildError, "not a duration: True"),
        (None, BuildError, "not a duration: None"),
    ],
)
def test_bad_durations(duration: Duration, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        has_existed_within(EXISTED, duration)


@pytest.mark.parametrize(
    "python",
    [
        lambda: EXISTED and EXISTED,
        lambda: EXISTED or EXISTED,
        lambda: not EXISTED,
        lambda: 1 < STATE < 3,
        lambda: EXISTED in [STATE == 1],
    ],
)
def test_one_truth_value_is_an_error(python: Callable[[], object]) -> None:
    with pytest.raises(BuildError, match="has no truth value in Python; write & for and") as raised:
        python()
    assert isinstance(raised.value, ExpressionError)
    assert isinstance(raised.value, TypeError)


@pytest.mark.parametrize(
    "python",
    [
        lambda: col("a") == "x" & col("b") == "y",
        lambda: col("a") == "x" | col("b"),
        lambda: EXISTED & "x",  # type: ignore[operator]
        lambda: EXISTED | True,  # type: ignore[operator]
    ],
)
def test_missing_parentheses(python: Callable[[], object]) -> None:
    with pytest.raises(BuildError, match="binds tighter than == in Python"):
        python()


def test_a_build_is_not_hashable() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(EXISTED)


def test_misfits_are_errors_at_once() -> None:
    with pytest.raises(KindError) as raised:
        EXISTED & (PLAYER == "x")
    assert raised.value.span is None
    assert raised.value.message == (
        '&& cannot mix playerStateChange == "x", a predicate over events, with a Bool timeline'
    )
    with pytest.raises(KindError, match="cannot take playerStateChange, a column of an event"):
        operator.invert(PLAYER)
    with pytest.raises(KindError, match="between two constants"):
        Build(Compare("==", Constant(1), Constant(1)))
    with pytest.raises(KindError, match=r"latest_event_to_state\(col\) cannot take"):
        latest_event_to_state(STATE)


def test_values_that_are_no_constants() -> None:
    with pytest.raises(BuildError, match=r"\[1\] cannot be part of an expression"):
        operator.eq(STATE, [1])
    with pytest.raises(BuildError, match="col takes the name of a column, got 5"):
        col(5)  # type: ignore[arg-type]
    with pytest.raises(ExpressionError, match="out of range"):
        operator.lt(STATE, float("nan"))


def test_subclasses_become_plain_constants() -> None:
    class Player(str, enum.Enum):  # noqa: UP042 - str() of this one is "Player.PLAY"
        PLAY = "play"

    class Level(enum.IntEnum):
        HIGH = 3

    assert str(STATE == Player.PLAY) == 'latest_event_to_state(state) == "play"'
    assert str(STATE == Level.HIGH) == "latest_event_to_state(state) == 3"


def test_depth() -> None:
    chain = EXISTED
    for _ in range(2 * MAX_DEPTH):
        chain = chain & EXISTED
    assert len(chain.expression.parts) == 2 * MAX_DEPTH + 1
    deep = EXISTED
    for _ in range(MAX_DEPTH - 3):
        deep = ~deep
    assert parse(str(deep)) == deep.expression
    with pytest.raises(ExpressionError, match="nested too deeply"):
        operator.invert(deep)
    with pytest.raises(ExpressionError, match="nested too deeply"):
        has_existed(deep)


def test_repr() -> None:
    assert repr(EXISTED) == '<Build has_existed(playerStateChange == "play")>'


def test_one_of_several() -> None:
    assert str(latest_event_to_state("a").is_in(["x", 1, None])) == (
        'latest_event_to_state(a) in ("x", 1, null)'
    )
    assert str(has_existed(col("a").is_in({"x"}))) == 'has_existed(a == "x")'
    with pytest.raises(BuildError, match="is_in takes one or more constants"):
        col("a").is_in([])
    with pytest.raises(BuildError, match="is_in takes one or more constants"):
        col("a").is_in([col("b")])  # type: ignore[list-item]

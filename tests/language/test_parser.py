"""Parsing: trees, spans, and for bad texts the exact place and advice."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import cases
from tests.support.trees import DurationWhere, HasExisted, HasExistedWithin, LatestEventToState
from timeline.errors import ExpressionError, KindError, Span
from timeline.language.expression import (
    MAX_DEPTH,
    And,
    Column,
    Compare,
    Constant,
    Not,
)
from timeline.language.parser import parse
from timeline.language.signatures import signatures

CIRR = """\
duration_where(
  has_existed(playerStateChange == "play")
  && !has_existed_within(playerStateChange == "seek", 5s)
  && latest_event_to_state(playerStateChange) == "buffer")
"""
NAMES = ("col", *(s.name for s in signatures() if not s.symbol))


def test_cirr() -> None:
    player = Column("playerStateChange")
    assert parse(CIRR) == DurationWhere(
        And(
            (
                HasExisted(Compare("==", player, Constant("play"))),
                Not(HasExistedWithin(Compare("==", player, Constant("seek")), 5000)),
                Compare("==", LatestEventToState(player), Constant("buffer")),
            )
        )
    )


def test_spans() -> None:
    whole = parse(CIRR)
    assert whole.span == Span(1, 1, len("duration_where("))  # to the end of its first line
    (chain,) = whole.parts
    assert chain.span == Span(2, 3, 40)
    played, opposite, state = chain.parts
    assert played.span == Span(2, 3, 40)
    assert opposite.span == Span(3, 6, 52)
    assert opposite.parts[0].span == Span(3, 7, 51)
    assert state.span == Span(4, 6, 52)
    left, right = state.parts
    assert (left.span, right.span) == (Span(4, 6, 40), Span(4, 50, 8))
    assert left.parts[0].span == Span(4, 28, 17)


def test_parentheses_belong_to_the_node_around_them() -> None:
    chain = parse("(has_existed(a == 1)) && (((has_existed(b == -2))))")
    assert chain.span == Span(1, 1, 51)
    assert [p.span for p in chain.parts] == [Span(1, 2, 19), Span(1, 29, 20)]
    constant = chain.parts[1].parts[0].parts[1]
    assert (constant, constant.span) == (Constant(-2), Span(1, 46, 2))


def test_calls_of_the_seed_have_spans() -> None:
    chain = parse("TL_And(has_existed(a == 1), TL_Not(has_existed(b == 2)))")
    assert chain.span == Span(1, 1, 56)
    assert chain.parts[1].span == Span(1, 29, 27)


@pytest.mark.parametrize(
    ("text", "place", "message", "expected", "suggestion"),
    cases("parser_errors", "text", "at", "error", "expected", "suggestion"),
)
def test_bad_texts(
    text: str,
    place: list[int],
    message: str,
    expected: list[str] | str | None,
    suggestion: str | None,
) -> None:
    with pytest.raises(ExpressionError) as raised:
        parse(text)
    error = raised.value
    assert not isinstance(error, KindError)
    assert error.message == message
    assert error.span == Span(*place)
    wanted = NAMES if expected == "operators" else tuple(expected or ())
    assert (error.expected, error.suggestion, error.source) == (wanted, suggestion, text)


def test_a_number_out_of_range_is_pointed_at_whole() -> None:
    text = f"a == {'9' * 5000}"
    with pytest.raises(ExpressionError) as raised:
        parse(text)
    error = raised.value
    assert not isinstance(error, KindError)
    assert error.message == "number out of range: at most 1.797e308"
    assert error.span == Span(1, 6, 5000)
    assert (error.expected, error.suggestion, error.source) == ((), None, text)


def test_the_caret_points_at_the_place() -> None:
    with pytest.raises(ExpressionError) as raised:
        parse("has_existed(a == 1)\n  & has_existed(b == 2)")
    assert raised.value.caret() == "  & has_existed(b == 2)\n  ^"
    assert str(raised.value) == "line 2, column 3: & is not an operator; did you mean &&?"


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("(" * 3000 + "has_existed(a == 1)" + ")" * 3000, 201),
        ("(" * 3000, 201),
        ("!" * 5000 + "has_existed(a == 1)", 201),
        ("not " * 5000 + "has_existed(a == 1)", 801),
        ("has_existed(" * 3000, 2412),
        # Each level is three of the tree's: too deep only once the tree is made.
        ("has_existed(a == 1) || has_existed(a == 1) && true == (" * 150 + "a" + ")" * 150, None),
    ],
)
def test_too_deep(text: str, column: int | None) -> None:
    with pytest.raises(ExpressionError, match="nested too deeply: more than 200 levels") as raised:
        parse(text)
    assert raised.value.span is not None
    assert column in (raised.value.span.column, None)


def test_deep_enough() -> None:
    core = "has_existed(a == 1)"
    assert parse("(" * (MAX_DEPTH - 1) + core + ")" * (MAX_DEPTH - 1)) == parse(core)
    deep = parse("!" * (MAX_DEPTH - 3) + core)
    assert repr(deep).startswith("Not(of=Not(")
    with pytest.raises(ExpressionError, match="nested too deeply"):
        parse("!" * (MAX_DEPTH - 2) + core)


def test_a_long_chain() -> None:
    chain = parse(" && ".join(["has_existed(a == 1)"] * 1400))
    assert len(chain.parts) == 1400


def test_comments_and_newlines_are_free() -> None:
    text = "has_existed( # one\n  a // two == 2\n\r\n\t== '# // kept' )// three"
    assert parse(text) == HasExisted(Compare("==", Column("a"), Constant("# // kept")))


def test_constants_keep_their_types() -> None:
    one, true = parse("has_existed(a == 1)"), parse("has_existed(a == true)")
    assert one != true
    assert one == parse("has_existed(a == 1.0)")
    assert parse("has_existed(a == 9007199254740993)") != parse("has_existed(a == 9007199254740992)")


@given(
    st.lists(
        st.sampled_from(
            [
                *"()!,-=<>&|\"'#@\n\\",
                *("a", "col", "has_existed", "has_existed_within", "TL_And", "duration_where"),
                *("latest_event_to_state", "&&", "||", "==", "<", "not", "and", "or", "//"),
                *("5s", "1", "1e5", "1e", '"x"', "true", "null", "True", "é", "\x00"),
            ]
        ),
        max_size=12,
    ),
    st.sampled_from(["", " "]),
)
def test_any_text_is_an_expression_or_an_error_with_its_place(words: list[str], between: str) -> None:
    text = between.join(words)
    error = _error_of(text)
    if error is not None:
        assert error.source == text
        assert error.span is not None
        assert 1 <= error.span.line <= text.count("\n") + 1
        assert len(error.expected) <= 6
        assert error.caret() != ""


def _error_of(text: str) -> ExpressionError | None:
    try:
        parse(text)
    except ExpressionError as error:
        return error
    return None


def test_importing_does_not_load_lark() -> None:
    code = "import sys, timeline.language.parser, timeline.language.builder; sys.exit('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" || ".join(["has_existed(a == 1)"] * 1_900), "has at most 10000 words and signs, and more follow"),
        (f'has_existed(a == "{"x" * 300_000}")', "has at most 262144 characters, got 300020"),
    ],
    ids=["words", "characters"],
)
def test_what_is_too_long_is_refused_with_a_short_message(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message) as refused:
        parse(text)
    assert len(str(refused.value)) < 1_000
    assert len(refused.value.caret()) < 1_000


def test_what_is_not_understood_is_shown_in_part() -> None:
    word = "x" * 100_000
    with pytest.raises(ExpressionError, match="unexpected xxx") as refused:
        parse(f"has_existed(a == 1) {word}")
    assert len(str(refused.value)) < 1_500
    line, caret = refused.value.caret().split("\n")
    assert len(line) == 160
    assert line[caret.index("^")] == "x"

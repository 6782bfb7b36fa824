"""Parsing: trees, spans, and for bad texts the exact place and advice."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from timeline.values.ticks import MAX_TICK

CIRR = """\
duration_where(
  has_existed(playerStateChange == "play")
  && !has_existed_within(playerStateChange == "seek", 5s)
  && latest_event_to_state(playerStateChange) == "buffer")
"""
VALUE = ("a column or a call", "a constant", "!", "(")
NAMES = (
    *("col", "latest_event_to_state", "has_existed", "has_existed_within"),
    *("duration_where", "duration_in_cur_state", "duration_in_prior_state", "prior_state"),
    *("count", "sum", "count_rises", "if", "lag", "max_so_far", "min_so_far"),
)


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
    [
        ("", (1, 1, 0), "the expression is empty", VALUE, None),
        (" \n# a\n// b", (1, 1, 0), "the expression is empty", VALUE, None),
        ("has_existed(a = 1)", (1, 15, 1), "= is not an operator", (), "=="),
        ("has_existed(a =! 1)", (1, 15, 2), "=! is not an operator", (), "!="),
        ("has_existed(a =< 1)", (1, 15, 2), "=< is not an operator", (), "<="),
        ("a == 1 & b == 2", (1, 8, 1), "& is not an operator", (), "&&"),
        ("a == 1\n\n  | b == 2", (3, 3, 1), "| is not an operator", (), "||"),
        ("a == 1 AND b == 2", (1, 8, 3), "unexpected AND", ("an operator", "the end"), "and"),
        ('a == "x', (1, 6, 2), "the string is never closed", (), None),
        ("a == 'x\n' && b", (1, 6, 2), "the string is never closed", (), None),
        ("has_existed(a == @)", (1, 18, 1), "unexpected character @", VALUE, None),
        (
            "has_existed(straße == 1)",
            (1, 17, 2),
            "ße cannot be written bare: it is not of the letters A to Z, digits and _",
            (),
            'col("ße")',
        ),
        (
            "has_existed(\n  (a == 1)",
            (1, 12, 1),
            "( is never closed",
            ("an operator", "a comma", ")"),
            None,
        ),
        ("has_existed((a ==", (1, 18, 0), "the expression ends too early", VALUE, None),
        ("not", (1, 4, 0), "the expression ends too early", VALUE, None),
        ("has_existed(a))", (1, 15, 1), ") closes nothing", ("an operator", "the end"), None),
        ("()", (1, 2, 1), "unexpected )", VALUE, None),
        ("has_existed(a,)", (1, 15, 1), "unexpected )", VALUE, None),
        ("a b", (1, 3, 1), "unexpected b", ("an operator", "(", "the end"), None),
        ("has_existed(a <> 1)", (1, 16, 1), "unexpected >", VALUE, None),
        (
            "has_existed(a == - b)",
            (1, 20, 1),
            "- cannot stand before b: only before a number, or between two parts",
            ("a number",),
            "0 - b...",
        ),
        ("true(a)", (1, 5, 1), "unexpected (", ("an operator", "the end"), None),
        (
            "has_existed(1 < a <= 3)",
            (1, 19, 2),
            "comparisons do not chain",
            (),
            "1 < a && a <= 3",
        ),
        ("foo(a)", (1, 1, 3), "unknown operator foo", NAMES, None),
        (
            "has_existed_witin(a == 1, 5s)",
            (1, 1, 17),
            "unknown operator has_existed_witin",
            NAMES,
            "has_existed_within(...)",
        ),
        (
            "HasExistedWithin(a == 1, 5s)",
            (1, 1, 16),
            "unknown operator HasExistedWithin",
            NAMES,
            "has_existed_within(...)",
        ),
        (
            "!has_existed_within(a == 1)",
            (1, 2, 26),
            "has_existed_within(p, d) takes 2 arguments, got 1",
            (),
            None,
        ),
        (
            "TL_HasExisted(a == 1, 5s)",
            (1, 1, 25),
            "TL_HasExisted(p) takes 1 argument, got 2",
            (),
            None,
        ),
        ("TL_Or(a)", (1, 1, 8), "TL_Or(p, p, ...) takes at least 2 arguments, got 1", (), None),
        ("TL_Not()", (1, 1, 8), "TL_Not(p) takes 1 argument, got 0", (), None),
        ("col(a) == 1", (1, 1, 6), "col takes the name of a column in quotes", (), 'col("a")'),
        ('col("a", 1)', (1, 1, 11), "col takes the name of a column in quotes", (), None),
        (
            "has_existed(a == True)",
            (1, 18, 4),
            'True is not a constant; a column of this name is col("True")',
            (),
            "true",
        ),
        ("a == 1e999", (1, 6, 5), "number out of range: at most 1.797e308", (), None),
        (f"a == {'9' * 5000}", (1, 6, 5000), "number out of range: at most 1.797e308", (), None),
        ("a == 007", (1, 6, 3), "not a number: 007; write it as 7, 0.5 or 1e6", (), None),
        ("a == 1.2.3", (1, 6, 5), "not a number: 1.2.3; write it as 7, 0.5 or 1e6", (), None),
        (
            "a == 5sec",
            (1, 6, 4),
            "not a duration: '5sec'; write a number and a unit, such as 500ms, 5s, 10m, 2h or 1d",
            (),
            None,
        ),
        (
            r'a == "\x"',
            (1, 6, 4),
            r"bad escape in a string: JSON has \" \\ \/ \b \f \n \r \t and \uXXXX",
            (),
            None,
        ),
        (r'a == "\ud800"', (1, 6, 8), "half of a surrogate pair is no character", (), None),
        (
            "has_existed_within(a == 1, 0s)",
            (1, 28, 2),
            "a duration is at least 1ms, got 0ms",
            (),
            None,
        ),
        (
            "has_existed_within(a == 1, 0.5ms)",
            (1, 28, 5),
            "a duration is a whole number of milliseconds, got '0.5ms'",
            (),
            None,
        ),
        (
            "has_existed_within(a == 1, 60000d)",
            (1, 28, 6),
            f"duration '60000d' is longer than {MAX_TICK}ms",
            (),
            None,
        ),
        (
            'has_existed_within(a == 1, "5s")',
            (1, 28, 4),
            "this is not a duration",
            ("a duration such as 500ms, 5s or 1h",),
            None,
        ),
    ],
)
def test_bad_texts(
    text: str,
    place: tuple[int, int, int],
    message: str,
    expected: tuple[str, ...],
    suggestion: str | None,
) -> None:
    with pytest.raises(ExpressionError) as raised:
        parse(text)
    error = raised.value
    assert not isinstance(error, KindError)
    assert error.message == message
    assert error.span == Span(*place)
    assert (error.expected, error.suggestion, error.source) == (expected, suggestion, text)


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
    chain = parse(" && ".join(["has_existed(a == 1)"] * 5000))
    assert len(chain.parts) == 5000


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

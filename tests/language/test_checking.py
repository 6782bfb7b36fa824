"""Kinds: what fits, what does not, and the advice that comes with it."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.support.strategies import bools, expressions, numerics, predicates, states
from tests.support.trees import DurationInCurState, HasExisted, HasExistedWithin, LatestEventToState
from timeline.errors import ExpressionError, KindError, Span
from timeline.language.checking import check, check_parts, kind_of
from timeline.language.expression import (
    MAX_DEPTH,
    Column,
    Compare,
    Constant,
    Expression,
    Not,
)
from timeline.language.parser import parse
from timeline.language.signatures import calls, signatures
from timeline.values.kinds import TIMELINES, Kind
from timeline.values.ticks import MAX_TICK

B = "has_existed(a == 1)"
S = "latest_event_to_state(s)"
N = f"duration_where({B})"
TRUTHS = ("a predicate over events", "a Bool")
WHOLES = ("a State", "a Bool", "a Numeric", "a Ratio")
R = f"{N} / {N}"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (S, Kind.STATE),
        (B, Kind.BOOL),
        ("has_existed_within(a == b, 5s)", Kind.BOOL),
        (f"has_existed(!({B}))", Kind.BOOL),
        (N, Kind.NUMERIC),
        (f"duration_in_cur_state({S})", Kind.NUMERIC),
        (f"duration_in_cur_state({B})", Kind.NUMERIC),
        (f"!{B}", Kind.BOOL),
        (f"{B} && !{B} || {S} == 1", Kind.BOOL),
        (f"{S} < latest_event_to_state(t)", Kind.BOOL),
        (f"{S} < {N}", Kind.BOOL),
        (f"{S} == {B}", Kind.BOOL),
        (f"{N} >= {N}", Kind.BOOL),
        (f"duration_in_prior_state({B})", Kind.NUMERIC),
        (f"prior_state({S})", Kind.STATE),
        (f"prior_state({B})", Kind.STATE),
        ("count(a == 1)", Kind.NUMERIC),
        ("sum(a)", Kind.NUMERIC),
        (f"count_rises({B})", Kind.NUMERIC),
        (f"{N} + {S} - 5s", Kind.NUMERIC),
        (f"2 * {S} / 3", Kind.NUMERIC),
        (R, Kind.RATIO),
        (f"1 / {S}", Kind.RATIO),
        (f"{R} > 0.5", Kind.BOOL),
        (f"{R} == {R}", Kind.BOOL),
        (f"if({B}, {N}, 0)", Kind.NUMERIC),
        (f'if({B}, "x", "y")', Kind.STATE),
        (f"if({B}, true, false)", Kind.BOOL),
        (f"if({B}, {S}, null)", Kind.STATE),
        (f"if({B}, {B}, false)", Kind.BOOL),
        (f"lag({N}, 5s) + 1", Kind.NUMERIC),
        (f"lag(lag({B}, 1), 2)", Kind.BOOL),
        (f"lag({S}, 10m)", Kind.STATE),
        (f"{N} == null", Kind.BOOL),
        (f"{B} == {B}", Kind.BOOL),
        (f"{B} != true", Kind.BOOL),
        (f"5 < {N}", Kind.BOOL),
        (f'"x" == {S}', Kind.BOOL),
    ],
)
def test_fits(text: str, kind: Kind) -> None:
    e = parse(text)
    assert check(e) is kind
    assert kind_of(e) is kind


@pytest.mark.parametrize(
    ("text", "place", "message", "expected", "suggestion"),
    [
        # the whole
        (
            "a == 1",
            (1, 6),
            "the whole cannot be a == 1, a predicate over events",
            WHOLES,
            "has_existed(a == 1) or latest_event_to_state(a) == 1",
        ),
        (
            "a",
            (1, 1),
            "the whole cannot be a, a column of an event",
            WHOLES,
            "latest_event_to_state(a)",
        ),
        ("(5)", (2, 1), "the whole cannot be 5, a constant", WHOLES, None),
        # parameters
        (
            "latest_event_to_state('a b')",
            (23, 5),
            'latest_event_to_state(col) cannot take "a b", a constant',
            ("a column of an event",),
            'col("a b")',
        ),
        (
            "latest_event_to_state(a == 1)",
            (23, 6),
            "latest_event_to_state(col) cannot take a == 1, a predicate over events",
            ("a column of an event",),
            "latest_event_to_state(a) == 1",
        ),
        (
            "has_existed(a)",
            (13, 1),
            "has_existed(p) cannot take a, a column of an event",
            TRUTHS,
            "a == ...",
        ),
        (
            f"has_existed_within({S}, 5s)",
            (20, 24),
            f"has_existed_within(p, d) cannot take {S}, a State",
            TRUTHS,
            f"{S} == ...",
        ),
        (
            f"has_existed({N})",
            (13, 35),
            f"has_existed(p) cannot take {N}, a Numeric",
            TRUTHS,
            f"{N} > ...",
        ),
        (
            "duration_where(a == 1 && b != 2)",
            (16, 16),
            "duration_where(b) cannot take a == 1 && b != 2, a predicate over events",
            ("a Bool",),
            "latest_event_to_state(a) == 1 && latest_event_to_state(b) != 2",
        ),
        (
            "duration_where(a)",
            (16, 1),
            "duration_where(b) cannot take a, a column of an event",
            ("a Bool",),
            "latest_event_to_state(a) == ...",
        ),
        (
            "duration_in_cur_state(a)",
            (23, 1),
            "duration_in_cur_state(s) cannot take a, a column of an event",
            ("a State", "a Bool"),
            "latest_event_to_state(a)",
        ),
        (
            "duration_in_cur_state(5)",
            (23, 1),
            "duration_in_cur_state(s) cannot take 5, a constant",
            ("a State", "a Bool"),
            None,
        ),
        # boolean operators
        (
            f"{B} && b == 2 && {B}",
            (24, 6),
            "&& cannot mix b == 2, a predicate over events, with a Bool timeline",
            (),
            "has_existed(b == 2) or latest_event_to_state(b) == 2",
        ),
        (
            f"!(b == 2) || {B}",
            (1, 9),
            "|| cannot mix !(b == 2), a predicate over events, with a Bool timeline",
            (),
            "has_existed(!(b == 2)) or !(latest_event_to_state(b) == 2)",
        ),
        (f"{B} && 5", (24, 1), "&& cannot take 5, a constant", TRUTHS, None),
        (f"{B} || {S}", (24, 24), f"|| cannot take {S}, a State", TRUTHS, f"{S} == ..."),
        (f"!{S} == 1", (2, 24), f"! cannot take {S}, a State", TRUTHS, f"!({S} == ...)"),
        (
            "has_existed(!a == 1)",
            (14, 1),
            "! cannot take a, a column of an event",
            TRUTHS,
            "!(a == ...)",
        ),
        # comparisons
        (
            "1 < 2",
            (1, 5),
            "< between two constants is always the same",
            ("a column or a timeline on one side",),
            None,
        ),
        (
            f"{S} == b",
            (29, 1),
            "== beside a timeline cannot take b, a column of an event",
            (*WHOLES, "a constant"),
            "latest_event_to_state(b)",
        ),
        (
            "(a == 1) != true",
            (2, 6),
            "!= cannot take a == 1, a predicate over events",
            (*WHOLES, "a constant"),
            "latest_event_to_state(a) == 1",
        ),
        (
            f'"10" < {N}',
            (1, 4),
            "a Numeric can never equal a string, nor be ordered beside it",
            ("a number",),
            None,
        ),
        (
            f"{N} == true",
            (40, 4),
            "a Numeric can never equal a boolean, nor be ordered beside it",
            ("a number",),
            None,
        ),
        (
            f"5 < {B}",
            (5, 19),
            f"< cannot take {B}: a Bool has no order",
            (),
            f"duration_where({B})",
        ),
    ],
)
def test_misfits(
    text: str,
    place: tuple[int, int],
    message: str,
    expected: tuple[str, ...],
    suggestion: str | None,
) -> None:
    with pytest.raises(KindError) as raised:
        parse(text)
    error = raised.value
    assert error.message == message
    assert error.span == Span(1, *place)
    assert (error.expected, error.suggestion, error.source) == (expected, suggestion, text)


def test_long_expressions_are_not_quoted() -> None:
    long = " && ".join(["a == 1"] * 100)
    with pytest.raises(KindError) as raised:
        parse(f"duration_where({long})")
    assert raised.value.message == "duration_where(b) cannot take ..., a predicate over events"
    assert raised.value.suggestion == "latest_event_to_state(column) == ..."


def test_the_leftmost_misfit_is_reported() -> None:
    with pytest.raises(KindError) as raised:
        parse("duration_where(a == 1) < duration_where(b == 1)")
    assert raised.value.span == Span(1, 16, 6)


@pytest.mark.parametrize(
    ("e", "message"),
    [
        (HasExistedWithin(HasExisted(Compare("==", Column("a"), Constant(1))), 0), "at least 1ms"),
        (
            HasExistedWithin(Compare("==", Column("a"), Constant(1)), MAX_TICK + 1),
            f"a duration is at most {MAX_TICK}ms",
        ),
        (Compare("<", LatestEventToState(Column("a")), Constant(float("nan"))), "out of range"),
        (Compare("<", LatestEventToState(Column("a")), Constant(10**400)), "out of range"),
        (LatestEventToState(Column("\ud800")), "half of a surrogate pair"),
    ],
)
def test_values_that_cannot_be(e: Expression, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        check(e)


def test_depth_of_a_tree_made_by_hand() -> None:
    e: Expression = HasExisted(Compare("==", Column("a"), Constant(1)))
    for _ in range(MAX_DEPTH - 3):
        e = Not(e)
    assert check(e) is Kind.BOOL
    assert check(DurationInCurState(e.parts[0])) is Kind.NUMERIC
    with pytest.raises(ExpressionError, match="nested too deeply"):
        check(Not(e))


def test_parts_need_not_be_timelines() -> None:
    assert check_parts(Column("a")) is Kind.COLUMN
    assert check_parts(Constant(1)) is Kind.CONSTANT


@given(predicates())
def test_predicates(p: Expression) -> None:
    assert check_parts(p) is Kind.PREDICATE
    with pytest.raises(KindError):
        check(p)


@given(expressions())
def test_expressions_are_timelines(e: Expression) -> None:
    assert check(e) in TIMELINES


@given(states(), bools(1), numerics(1))
def test_kinds_of_timelines(state: Expression, boolean: Expression, numeric: Expression) -> None:
    assert [check(e) for e in (state, boolean, numeric)] == list(TIMELINES[:3])


def test_every_operator_has_both_its_names() -> None:
    assert set(calls()) == {
        *("latest_event_to_state", "has_existed", "has_existed_within"),
        *("duration_where", "duration_in_cur_state"),
        *("TL_LatestEventToState", "TL_HasExisted", "TL_HasExistedWithin"),
        *("TL_DurationWhere", "TL_DurationInCurState", "TL_Not", "TL_And", "TL_Or"),
        *("duration_in_prior_state", "prior_state", "count", "sum", "count_rises", "if", "lag"),
        *("TL_DurationInPriorState", "TL_PriorState", "TL_Count", "TL_Sum", "TL_CountRises"),
        *("TL_If", "TL_Lag"),
        *("min_so_far", "max_so_far", "TL_MinSoFar", "TL_MaxSoFar"),
    }
    assert [s.usage for s in signatures()][:2] == ["latest_event_to_state(col)", "has_existed(p)"]

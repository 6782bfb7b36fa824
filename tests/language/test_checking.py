"""Kinds: what fits, what does not, and the advice that comes with it."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.support.cases import cases, pairs
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


@pytest.mark.parametrize(("text", "name"), pairs("kinds"))
def test_fits(text: str, name: str) -> None:
    e, kind = parse(text), Kind(name)
    assert check(e) is kind
    assert kind_of(e) is kind


@pytest.mark.parametrize(
    ("text", "place", "message", "expected", "suggestion"),
    cases("kind_errors", "text", "at", "error", "expected", "suggestion"),
)
def test_misfits(
    text: str,
    place: list[int],
    message: str,
    expected: list[str] | None,
    suggestion: str | None,
) -> None:
    with pytest.raises(KindError) as raised:
        parse(text)
    error = raised.value
    assert error.message == message
    assert error.span == Span(1, *place)
    assert (error.expected, error.suggestion, error.source) == (tuple(expected or ()), suggestion, text)


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
        *("alive", "gaps", "TL_Alive", "TL_Gaps"),
        *("starts_with", "matches", "TL_StartsWith", "TL_Matches"),
        *("since", "time_since", "first", "integral", "time_weighted_avg"),
        *("distinct", "TL_Distinct"),
        *("TL_Since", "TL_TimeSince", "TL_First", "TL_Integral", "TL_TimeWeightedAvg"),
    }
    assert [s.usage for s in signatures()][:2] == ["latest_event_to_state(col)", "has_existed(p)"]

"""Booleans have no order: not in States, not in predicates, and a Bool cannot be compared so at all."""

from __future__ import annotations

import itertools

import pytest

from tests.support.oracle import Oracle
from timeline.errors import KindError
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.tables.events import from_rows
from timeline.values.scalars import Scalar

VALUES: list[Scalar] = [False, True, 1, "x"]
EVENTS: list[tuple[str, int, dict[str, Scalar]]] = [
    ("k", tick, {"a": a, "b": b}) for tick, (a, b) in enumerate(itertools.product(VALUES, repeat=2))
]
#: Where 1 stands beside "x", or a boolean beside anything, nothing is ordered.
ORDERED: dict[str, list[int]] = {"<": [], ">": [], "<=": [10, 15], ">=": [10, 15]}


@pytest.mark.parametrize("op", ORDERED)
def test_an_order_comparison_with_a_boolean_is_false(op: str) -> None:
    state = make_plan(f"latest_event_to_state(a) {op} latest_event_to_state(b)")
    evaluation = evaluate(state, from_rows(EVENTS))
    holds = [row.at for row in evaluation.values(at=list(range(len(EVENTS)))) if row.value]
    oracle = Oracle([(tick, values) for _, tick, values in EVENTS])
    assert holds == ORDERED[op]
    assert holds == [tick for _, tick, _ in EVENTS if oracle.at(state.result.expression, tick)]
    counted = make_plan(f"count(a {op} b)")
    (row,) = evaluate(counted, from_rows(EVENTS)).values()
    assert row.value == len(ORDERED[op])


@pytest.mark.parametrize("constant", ["true", "false"])
@pytest.mark.parametrize("op", ORDERED)
def test_nor_is_one_with_a_constant(op: str, constant: str) -> None:
    (row,) = evaluate(make_plan(f"count(a {op} {constant})"), from_rows(EVENTS)).values()
    assert row.value == 0


def test_a_bool_is_not_compared_so() -> None:
    with pytest.raises(KindError, match="a Bool has no order"):
        make_plan("has_existed(a == 1) < true")

"""Before a key's origin: what a node says there, and what `lag` finds there, by one rule."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, note, settings

from tests.support.oracle import Oracle
from tests.support.oracle_values import exact, same
from tests.support.streams import expressions
from timeline.language import expression as ex
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.tables.events import from_rows
from timeline.values.kinds import Kind

#: The key begins at 10, and b is true from there on.
EVENTS = [("k", 10, {"a": 7, "b": 1})]
B = "has_existed(b == 1)"


@pytest.mark.parametrize(
    ("text", "before", "then"),
    [
        (f"if({B}, 1, 2)", 2, 1),
        (f"if({B}, 1, 2) + 1", 3, 2),
        (f"if({B}, count(a == 7), 2) + 1", 3, 2),
        (f"if({B}, 1, 2) + count(a == 7)", 2, 2),
        (f"if({B}, 1, null)", None, 1),
        (f'if({B}, "broken", "fine")', "fine", "broken"),
        (f'if({B}, 0, if({B}, 1, "x"))', "x", 0),
        (f'if({B}, "broken", latest_event_to_state(a))', None, "broken"),
        (f"if({B}, true, true)", False, True),
        (f"lag(if({B}, 1, 2), 5ms)", 2, 2),
        (f'lag(if({B}, "broken", "fine"), 5ms)', "fine", "fine"),
        (f"lag(lag(if({B}, 1, 2), 5ms) + 1, 5ms)", 3, 3),
    ],
)
def test_if_is_what_it_chooses_without_its_condition(text: str, before: Any, then: Any) -> None:
    plan = make_plan(text)
    rows = evaluate(plan, from_rows(EVENTS)).values(at=[9, 10])
    assert [row.value for row in rows] == [before, then]
    oracle = Oracle([(tick, values) for _, tick, values in EVENTS])
    part = plan.result.expression
    assert (oracle.before(part), oracle.at(part, 10)) == (before, then)


@settings(max_examples=300)
@given(expressions)
def test_every_expression_is_what_its_definition_says(expression: ex.Expression) -> None:
    plan = make_plan(expression)
    note(plan.result.text)
    oracle = Oracle([(tick, values) for _, tick, values in EVENTS])
    for node in plan.nodes:
        wanted = exact(oracle.before(node.expression))
        got = node.before_origin
        got = got if isinstance(got, Fraction) else exact(got)
        assert same(got, wanted), node.text
        assert node.kind is not Kind.BOOL or got is False

"""Nodes that live together say what they say apart, whatever the policy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.support.graphs import POLICIES, WireGraph
from tests.support.poison import poison
from tests.support.streams import batches, cuts, expressions, rows
from timeline.engine.answers import Answers
from timeline.errors import NotFoundError, QuarantineError
from timeline.fragments import Policy, fragments_of
from timeline.language import expression as ex
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.tables.events import from_rows

CIRR = (
    'duration_where(has_existed(s == "play") && !has_existed_within(s == "seek", 5s) '
    '&& latest_event_to_state(s) == "buffer")'
)


@settings(max_examples=200)
@given(expressions, rows, cuts, st.sampled_from(POLICIES), st.booleans(), st.data())
def test_any_policy_gives_the_tables_of_one_pass(
    expression: ex.Expression, events: Any, at: list[int], policy: Policy, bounded: bool, data: st.DataObject
) -> None:
    plan = make_plan(expression)
    note(f"{policy}: {plan.result.text}")
    limits = Limits(4, 1_000) if bounded else Limits()
    graph = WireGraph(plan, limits, policy)
    for batch in batches(from_rows(events), at):
        for _ in range(data.draw(st.integers(1, 2), "times sent")):
            graph.feed(batch, tuple(batch.position[-1].tolist()))
        if data.draw(st.booleans(), "continues as new"):
            graph.continue_as_new(limits)
    whole = evaluate(plan, from_rows(events), Limits(limits.allowed_lateness))
    for planned, node in zip(plan.nodes, graph.nodes, strict=True):
        for key in whole.names():
            rows_now = Answers(node.state).timeline(key)[0].json_rows()
            assert rows_now == whole.timeline(key, planned).json_rows(), planned.text


def test_policies_of_the_reference_example() -> None:
    plan = make_plan(CIRR)
    operators = [f.root.operator.name for f in fragments_of(plan, "operator")]
    assert operators == [
        "has_existed",
        "has_existed_within",
        "latest_event_to_state",
        "equal",
        "duration_where",
    ]
    last = fragments_of(plan, "operator")[-1]
    assert [m.operator.name for m in last.members] == ["not", "and", "duration_where"]
    assert [(m.operator.name, i) for m, i in last.slots] == [("not", 0), ("and", 0), ("and", 2)]
    assert len(fragments_of(plan, "node")) == 7
    (whole,) = fragments_of(plan, "stream")
    assert (len(whole.members), whole.slots, sorted(whole.columns)) == (7, (), ["s"])
    digests = {fragments_of(plan, policy)[-1].digest for policy in POLICIES}
    assert len(digests) == 3
    assert fragments_of(plan, "node")[-1].digest == plan.result.digest


@given(expressions)
def test_a_fragment_follows_from_its_root_alone(expression: ex.Expression) -> None:
    """The registry cuts the whole plan, a workflow that of its root: both number the slots alike."""
    plan = make_plan(expression)
    for policy in POLICIES:
        for fragment in fragments_of(plan, policy):
            again = fragments_of(make_plan(fragment.root.text), policy)[-1]
            assert [m.text for m in again.members] == [m.text for m in fragment.members]
            assert [(m.text, i) for m, i in again.slots] == [(m.text, i) for m, i in fragment.slots]


def test_a_connective_lives_with_each_of_its_consumers() -> None:
    plan = make_plan("{a: duration_where(!has_existed(x == 1)), b: count_rises(!has_existed(x == 1))}")
    hosts = [f.root.operator.name for f in fragments_of(plan, "operator") if len(f.members) > 1]
    assert hosts == ["duration_where", "count_rises"]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_key_is_set_apart_and_released_wherever_its_operator_lives(policy: Policy) -> None:
    plan = make_plan(CIRR)
    graph = WireGraph(plan, policy=policy)
    inner = next(n for n in plan.nodes if n.operator.name == "not")
    good = graph.nodes[inner.index].state.operator
    poison(graph.nodes[inner.index], {"bad"}, reading=False)
    events = from_rows(
        [(k, t, {"s": s}) for k in ("bad", "fine") for t, s in ((1, "play"), (9_000, "buffer"))]
    )
    graph.feed(events, (3,))
    assert graph.answers.value("fine", 10_000)[0] == 1
    with pytest.raises(QuarantineError):
        graph.answers.value("bad", 10_000)
    graph.nodes[inner.index].state.operator = good
    (live,) = [f for f in graph.live if inner.index in f.nodes]
    with pytest.raises(NotFoundError, match="not quarantined here"):
        live.release("fine")
    graph.tell(live, live.release("bad"))
    for above in graph.live[graph.live.index(live) + 1 :]:
        graph.tell(above, above.advance())
    assert graph.answers.value("bad", 10_000)[0] == 1

"""States put together anew for another policy: the nodes go on as if they had lived so from the beginning."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.support.graphs import POLICIES, WireGraph
from tests.support.nodes import end_of
from tests.support.poison import poison
from tests.support.streams import batches, cuts, expressions, rows
from timeline.engine.answers import Answers
from timeline.engine.regrouping import regroup
from timeline.engine.state_wire import to_state
from timeline.errors import TimelineError
from timeline.fragments import Policy
from timeline.language import expression as ex
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.tables.events import from_rows

MOVES = list(permutations(POLICIES, 2))
#: `!` and `&&` live in both of their consumers by the policy ``operator``.
TWICE = (
    '{a: duration_where(!has_existed_within(s == "seek", 2s) && latest_event_to_state(s) == "buffer"), '
    'b: count_rises(!has_existed_within(s == "seek", 2s) && latest_event_to_state(s) == "buffer")}'
)


def assert_exact(graph: WireGraph, events: Any, limits: Limits) -> None:
    whole = evaluate(graph.plan, from_rows(events), Limits(limits.allowed_lateness))
    for live in graph.live:
        for member in live.fragment.members:
            answers = Answers(live.nodes[member.index].state)
            for key in whole.names():
                rows_now = answers.timeline(key)[0].json_rows()
                assert rows_now == whole.timeline(key, member).json_rows(), (key, member.text)


@settings(max_examples=150)
@given(expressions, rows, cuts, st.sampled_from(POLICIES), st.booleans(), st.data())
def test_moves_at_any_place_change_nothing(
    expression: ex.Expression, events: Any, at: list[int], policy: Policy, bounded: bool, data: st.DataObject
) -> None:
    plan = make_plan(expression)
    note(f"{policy}: {plan.result.text}")
    limits = Limits(4, 1_000) if bounded else Limits()
    graph = WireGraph(plan, limits, policy)
    for batch in batches(from_rows(events), at):
        graph.feed(batch, end_of(batch))
        if data.draw(st.booleans(), "moves"):
            graph = graph.moved(data.draw(st.sampled_from(POLICIES), "to"))
    assert_exact(graph, events, limits)


EVENTS = [
    (key, t * 1_000 + len(key), {"s": s})
    for t, s in enumerate(("play", "buffer", "seek", "buffer", "play", "buffer", "buffer", "seek"), 1)
    for key in ("k", "key-2", f"new-{t}")
]


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_a_node_that_lived_twice_lives_once(before: Policy, after: Policy) -> None:
    plan = make_plan(TWICE)
    graph = WireGraph(plan, policy=before)
    last = next(live for live in graph.live if plan.result.inputs[-1] in live.nodes)
    # Its nodes know their keys in another order than their copies, if they have any.
    for state in last.states:
        state.encode(["key-2"])
    for number, batch in enumerate(batches(from_rows(EVENTS), [5, 6, 12, 18])):
        if number == 3:
            graph = graph.moved(after)
        graph.feed(batch, end_of(batch))
    assert_exact(graph, EVENTS, Limits())


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_leaves_that_a_feeder_left_uneven(before: Policy, after: Policy) -> None:
    """Those of the new fragments stand at different places too, and each drops what it has had."""
    plan = make_plan('duration_where(has_existed(s == "play") && !has_existed_within(s == "seek", 5s))')
    graph = WireGraph(plan, policy=before)
    first, second, third = batches(from_rows(EVENTS), [8, 16])
    graph.feed(first, end_of(first))
    ahead = graph.live[0]
    if before == "stream":
        # It has been moved in that condition.
        graph = graph.moved("operator")
        ahead = graph.live[0]
    graph.tell(ahead, ahead.accept(second, end_of(second)))
    for above in graph.live[1:]:
        graph.tell(above, above.advance() if not above.fragment.leaves else [])
    graph = graph.moved(after)
    reading = [live for live in graph.live if live.fragment.leaves]
    assert min(live.fed or () for live in reading) == end_of(first)
    assert max(live.reader.position or () for live in reading) == end_of(second)
    assert {live.reader.accepted for live in reading} == ({16} if after == "stream" else {8, 16})
    graph.feed(second, end_of(second))
    graph.feed(third, end_of(third))
    assert {state.accepted for live in graph.live for state in live.readers if state.leaf} == {24}
    assert graph.result.state.position == end_of(third)
    assert_exact(graph, EVENTS, Limits())


def test_copies_that_differ_are_refused() -> None:
    plan = make_plan(TWICE)
    graph = WireGraph(plan, policy="operator")
    first, second = batches(from_rows(EVENTS), [12])
    graph.feed(first, end_of(first))
    one = next(live for live in graph.live if live.fragment.root.operator.name == "count_rises")
    inner = next(m for m in one.fragment.members if m.operator.name == "and")
    poison(one.nodes[inner.index], {"key-2"}, reading=False)
    graph.feed(second, end_of(second))
    carried = [(live.fragment, to_state(live.states)) for live in graph.live]
    with pytest.raises(
        TimelineError, match=r"0 quarantined keys \[\] and 1 quarantined keys \['key-2'\]; try"
    ):
        regroup(carried, WireGraph(plan, policy="node").shapes)
    one.nodes[inner.index].state.position = (13,)
    carried = [(live.fragment, to_state(live.states)) for live in graph.live]
    with pytest.raises(TimelineError, match=r"position \[13\] and position \[23\]"):
        regroup(carried, WireGraph(plan, policy="stream").shapes)

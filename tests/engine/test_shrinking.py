"""Nodes that forget: what they still say is as it was, and what they no longer know is named."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.support.histories import restless
from tests.support.nodes import end_of, fresh
from tests.support.streams import batches, expressions
from timeline.engine import shrinking
from timeline.engine.answers import Answers
from timeline.engine.node import Node
from timeline.errors import RetentionError
from timeline.language import expression as ex
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.local.graph import Graph
from timeline.plan import make_plan
from timeline.tables.events import from_rows

STATE = "latest_event_to_state(a)"


def rows_from_base(node: Node, key: str, whole: list[list[Any]]) -> tuple[list[list[Any]], list[list[Any]]]:
    """The node's rows of a key, and those of the whole history from the node's first row on."""
    mine = Answers(node.state).timeline(key)[0].json_rows()
    return mine, [row for row in whole if row[0] >= mine[0][0]]


many_rows = st.lists(
    st.tuples(
        st.sampled_from(["k", "l"]),
        st.integers(-4, 6),
        st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", 1])),
    ),
    min_size=6,
    max_size=30,
)


def walk(steps: Any) -> list[Any]:
    """Events whose ticks wander forwards, so that horizons pass over them; steps back are late."""
    tick = {"k": 5, "l": 5}
    events = []
    for key, step, values in steps:
        events.append((key, max(tick[key] + step, 0), values))
        tick[key] = max(tick[key], tick[key] + step)
    return events


@settings(max_examples=250)
@given(
    expressions,
    many_rows,
    st.lists(st.integers(0, 30), max_size=12),
    st.integers(0, 4),
    st.integers(0, 3),
    st.booleans(),
)
def test_collapse_changes_nothing_from_the_base_row_on(
    ast: ex.Expression, steps: Any, at: list[int], lateness: int, retention: int, moving: bool
) -> None:
    plan = make_plan(ast)
    note(plan.result.text)
    events = walk(steps)
    note(str(events))
    whole = evaluate(plan, from_rows(events), Limits(lateness))
    with pytest.MonkeyPatch.context() as patch, restless() if moving else nullcontext():
        patch.setattr(shrinking, "FEW", -1_000_000)
        graph = Graph(plan, Limits(lateness, retention))
        for batch in batches(from_rows(events), at):
            graph.feed(batch, end_of(batch))
    for planned, node in zip(plan.nodes, graph.nodes, strict=True):
        for key in whole.names():
            mine, wanted = rows_from_base(node, key, whole.timeline(key, planned).json_rows())
            assert mine == wanted, planned.text
            newest = Answers(node.state).timeline(key)[2]
            assert mine[0][0] <= max(newest - lateness - retention, whole.span(key)[0])
            assert len(Answers(node.state).timeline(key)[0]) <= 1 + sum(
                r[0] > newest - lateness - retention - 1 for r in wanted
            )


@settings(max_examples=100)
@given(many_rows, st.lists(st.integers(0, 30), max_size=8), st.integers(0, 30), st.data())
def test_latecomer_to_collapsed_children(steps: Any, at: list[int], joins: int, data: st.DataObject) -> None:
    """Children have forgotten different pasts: the parent begins where all of them know."""
    states = [STATE, "latest_event_to_state(b)"]
    text = data.draw(
        st.sampled_from(
            [
                f'{states[0]} == "x" && {states[1]} == "x"',
                f"{states[0]} == {states[1]}",
                f'has_existed_within(a == "x", 2ms) || {states[1]} != "y"',
            ]
        )
    )
    plan = make_plan(text)
    events = walk(steps)
    limits = Limits(2, 1)
    whole = evaluate(plan, from_rows(events), Limits(2))
    sent = batches(from_rows(events), at)
    joins = min(joins, len(sent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shrinking, "FEW", data.draw(st.sampled_from([-1_000_000, 3])))
        graph = Graph(plan, limits)
        for batch in sent[:joins]:
            graph.feed(batch, end_of(batch))
        latecomer = graph.nodes[-1] = fresh(plan, plan.result, limits)
        for place, child in enumerate(plan.result.inputs):
            if (snapshot := graph.nodes[child].snapshot()) is not None:
                latecomer.receive(place, snapshot)
        latecomer.advance()
        for batch in sent[joins:]:
            graph.feed(batch, end_of(batch))
    for key in whole.names():
        node = Answers(latecomer.state).timeline(key)[0].json_rows()
        truth = whole.timeline(key, plan.result).json_rows()
        value = next((row[1] for row in reversed(truth) if row[0] <= node[0][0]), None)
        assert node[0][1] == value
        assert node[1:] == [row for row in truth if row[0] > node[0][0]]


def test_retention_is_named_when_asked_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrinking, "FEW", 0)
    graph = Graph(make_plan(f'duration_where({STATE} == "x")'), Limits(0, 10))
    graph.feed(from_rows([("k", t, {"a": "xy"[t % 2]}) for t in range(100)]), (99,))
    with pytest.raises(RetentionError, match=r"raise limits\.retention"):
        Answers(graph.result.state).value("k", 50)
    assert Answers(graph.result.state).value("k", 99)[0] == 0.05
    assert all(len(edge.table) < 5 for node in graph.nodes for edge in node.state.edges)


def test_rows_stay_bounded_however_long_it_runs() -> None:
    plan = make_plan(f'duration_where(!has_existed_within(a == "x", 7ms) && {STATE} != "y")')
    graph = Graph(plan, Limits(5, 20))
    for step in range(150):
        ticks = range(step * 100, step * 100 + 100)
        batch = from_rows([("k", t, {"a": "xyz"[t % 3]}) for t in ticks], (step, 0))
        graph.feed(batch, (step, 99))
    assert all(len(node.state.own) <= 1_400 for node in graph.nodes)
    assert all(len(edge.table) <= 1_400 for node in graph.nodes for edge in node.state.edges)
    assert graph.nodes[-1].state.by_key.newest.tolist() == [14_999]


def test_late_event_at_the_watermark_without_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    """What held just before the watermark must still be known: the sum goes on from there."""
    monkeypatch.setattr(shrinking, "FEW", -1_000_000)
    graph = Graph(make_plan(f'duration_where({STATE} == "x")'), Limits(0, 0))
    for position, (tick, value) in enumerate([(0, "x"), (1000, "y"), (1000, "x"), (3000, "y")]):
        graph.feed(from_rows([("k", tick, {"a": value})], (position,)), (position,))
    assert Answers(graph.result.state).value("k", 3000)[0] == 3


def test_what_was_true_before_the_watermark_still_holds_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """True on [0, 5), so within 5 ms until 10, whatever is said and taken back at the watermark, 5."""
    monkeypatch.setattr(shrinking, "FEW", -1_000_000)
    graph = Graph(make_plan(f'has_existed_within({STATE} == "x", 5ms)'), Limits(0, 0))
    for position, (tick, value) in enumerate([(0, "x"), (5, "y"), (5, "x"), (5, "y")]):
        graph.feed(from_rows([("k", tick, {"a": value})], (position,)), (position,))
    assert [Answers(graph.result.state).value("k", t)[0] for t in (5, 9, 10)] == [True, True, False]

"""Nodes under whatever order, cut, repetition and moment the workflows may put them through."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.support.nodes import accepted, end_of, fresh, snapshot_of
from tests.support.streams import batches, expressions, json, rows, through_wire
from timeline.engine.answers import Answers
from timeline.engine.fitting import check_patch
from timeline.engine.node import Node
from timeline.engine.patch import Patch, parts
from timeline.engine.wire import from_patch, to_patch
from timeline.errors import LimitError
from timeline.language import expression as ex
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.local.graph import Graph
from timeline.plan import Plan, make_plan
from timeline.tables.events import Events, from_rows
from timeline.values.ticks import MAX_TICK

STATE = "latest_event_to_state(a)"


cuts = st.lists(st.integers(0, 14), max_size=5)


class Delivery:
    """Nodes with a queue on every edge, run in an order that Hypothesis chooses.

    Nodes whose index is ``late`` come to be in mid-stream: leaves from the beginning, inner nodes by
    the snapshots of the children that were there.
    """

    def __init__(self, plan: Plan, sent: dict[int, list[Events]], late: set[int], data: st.DataObject):
        self.plan, self.data, self.late = plan, data, set(late)
        for planned in plan.nodes:
            if self.late & set(planned.inputs):
                self.late.add(planned.index)
        self.nodes: dict[int, Node] = {
            n.index: fresh(plan, n) for n in plan.nodes if n.index not in self.late
        }
        self.batches = {index: deque(b) for index, b in sent.items()}
        self.edges: dict[tuple[int, int, int], deque[Patch]] = {
            (child, n.index, place): deque() for n in plan.nodes for place, child in enumerate(n.inputs)
        }

    def join(self) -> None:
        for index in sorted(self.late):
            self.nodes[index] = fresh(self.plan, self.plan.nodes[index])
            for place, child in enumerate(self.plan.nodes[index].inputs):
                if child not in self.late and (snapshot := self.nodes[child].snapshot()) is not None:
                    self.send(child, index, place, snapshot)
        self.late = set()

    def send(self, child: int, parent: int, place: int, patch: Patch) -> None:
        for part in parts(patch, self.data.draw(st.sampled_from([1, 2, 3, 50_000]))):
            for _ in range(self.data.draw(st.sampled_from([1, 1, 2])) if not part.more else 1):
                self.edges[child, parent, place].append(from_patch(json(to_patch(part))))

    def step(self) -> bool:
        """One message to one node; false when there is none left."""
        ready = [e for e, queue in self.edges.items() if queue and e[1] in self.nodes]
        leaves = [i for i, queue in self.batches.items() if queue and i in self.nodes]
        if not ready and not leaves:
            return False
        number = self.data.draw(st.integers(0, len(ready) + len(leaves) - 1))
        if number >= len(ready):
            index = leaves[number - len(ready)]
            batch = self.batches[index].popleft()
            patch = self.nodes[index].accept(batch, end_of(batch))
        else:
            _, index, place = edge = ready[number]
            self.nodes[index].receive(place, self.edges[edge].popleft())
            patch = self.nodes[index].advance()
        if patch is not None:
            for child, parent, place in self.edges:
                if child == index and parent in self.nodes:
                    self.send(child, parent, place, patch)
        if self.data.draw(st.sampled_from([False, False, True])):
            planned = self.plan.nodes[index]
            self.nodes[index] = through_wire(self.nodes[index], planned, self.plan, Limits())
        return True


@settings(max_examples=200)
@given(expressions, rows, st.data())
def test_no_order_of_delivery_changes_the_answer(
    ast: ex.Expression, events: Any, data: st.DataObject
) -> None:
    """Leaves cut otherwise, patches in parts and twice, nodes carried over, latecomers by snapshot."""
    plan = make_plan(ast)
    note(plan.result.text)
    whole = evaluate(plan, from_rows(events))
    sent = {n.index: batches(from_rows(events), data.draw(cuts)) for n in plan.leaves}
    late = data.draw(st.sets(st.integers(0, len(plan.nodes) - 1), max_size=2))
    delivery = Delivery(plan, sent, late, data)
    for _ in range(data.draw(st.integers(0, 10))):
        delivery.step()
    delivery.join()
    while delivery.step():
        pass
    for planned in plan.nodes:
        node = delivery.nodes[planned.index]
        assert not any(edge.pending for edge in node.state.edges)
        for key in whole.names():
            table, origin, newest = Answers(node.state).timeline(key)
            assert table.json_rows() == whole.timeline(key, planned).json_rows(), planned.text
            assert (origin, newest) == whole.span(key)


def test_a_latecomer_holds_no_history_of_what_catches_up() -> None:
    """A new leaf is fed from the beginning while its sibling's snapshot is far ahead."""
    plan = make_plan(f'{STATE} == "x" && has_existed(b == 1)')
    state, equal, existed, both = (fresh(plan, n) for n in plan.nodes)
    everything = from_rows([("k", t, {"a": "xy"[t % 2], "b": t % 9}) for t in range(400)])
    equal.receive(0, accepted(state, everything))
    equal.advance()
    both.receive(0, snapshot_of(equal))
    for batch in batches(everything, list(range(0, 400, 4))):
        both.receive(1, accepted(existed, batch))
        both.advance()
        assert len(both.state.edges[1].pending) <= 2
    whole = evaluate(plan, everything)
    assert both.state.position == (399,)
    assert Answers(both.state).timeline("k")[0].json_rows() == whole.timeline("k", plan.result).json_rows()


@pytest.mark.parametrize("origin", [0, 1_700_000_000_000, MAX_TICK - 30_000, MAX_TICK - 4_000, MAX_TICK])
def test_time_may_begin_anywhere(origin: int) -> None:
    """The reference example, with neighbours that end and begin where the packed key does."""
    text = (
        'duration_where(has_existed(a == "play") && !has_existed_within(a == "seek", 5s)'
        ' && latest_event_to_state(a) == "buffer")'
    )
    plan = make_plan(text)
    reference = [(1000, "play"), (2000, "seek"), (4000, "buffer")]
    events = [(key, min(origin + t, MAX_TICK), {"a": v}) for t, v in reference for key in ("k0", "k1", "k2")]
    events += [("zero", 0, {"a": "buffer"}), ("end", MAX_TICK, {"a": "buffer"}), ("zero2", 0, {"a": "play"})]
    whole = evaluate(plan, from_rows(events))
    graph = Graph(plan)
    for batch in batches(from_rows(events), [2, 5, 7, 10]):
        graph.feed(batch, end_of(batch))
    for planned, node in zip(plan.nodes, graph.nodes, strict=True):
        for key in whole.names():
            assert (
                Answers(node.state).timeline(key)[0].json_rows() == whole.timeline(key, planned).json_rows()
            )
            assert len(Answers(node.state).timeline(key)[0]) > 0
            assert Answers(node.state).value(key, None)[1] == whole.span(key)[1]
    if origin < MAX_TICK - 10_000:
        for key in ("k0", "k1", "k2"):
            asked = [Answers(graph.result.state).value(key, origin + s * 1000)[0] for s in (1, 7, 8, 9, 10)]
            assert asked == [0, 0, 1, 2, 3]


def test_the_last_tick_is_a_tick_like_others() -> None:
    """What ends or crosses exactly there is over there."""
    last = MAX_TICK
    graph = Graph(
        make_plan('has_existed_within(a == "x", 5ms) || duration_in_cur_state(' + STATE + ") < 0.005")
    )
    graph.feed(from_rows([("k", last - 5, {"a": "x"}), ("l", 0, {"a": "y"}), ("m", last, {"a": "x"})]), (2,))
    within, _, _, compared, result = graph.nodes[0], *graph.nodes[1:]
    for node in (within, compared, result):
        assert [Answers(node.state).value("k", t)[0] for t in (last - 5, last - 1, last)] == [
            True,
            True,
            False,
        ]
        assert Answers(node.state).value("m", last)[0] is True
    assert [Answers(within.state).value("l", t)[0] for t in (0, 4)] == [False, False]
    assert [Answers(compared.state).value("l", t)[0] for t in (0, 4, 5)] == [True, True, False]


@pytest.mark.parametrize("tick", [-1, MAX_TICK + 1, 1_700_000_000_000_000])
def test_a_tick_out_of_range_is_not_another_key(tick: int) -> None:
    plan = make_plan(STATE)
    graph = Graph(plan)
    events = from_rows([(f"k{i}", 1, {"a": i}) for i in range(1000)])
    graph.feed(events, (999,))
    with pytest.raises(LimitError, match="between 0 and"):
        Answers(graph.result.state).value("k1", tick)
    with pytest.raises(LimitError, match="between 0 and"):
        list(evaluate(plan, events).values(at=[tick], keys=["k1"]))
    with pytest.raises(LimitError, match="between 0 and"):
        evaluate(plan, from_rows([("k", 5, {"a": 1}), ("l", tick, {"a": 1})]))


def test_lateness_exact_and_one_less() -> None:
    graph = Graph(make_plan(STATE), Limits(allowed_lateness=3, retention=0))
    graph.feed(from_rows([("k", 10, {"a": 1}), ("k", 7, {"a": 2}), ("k", 6, {"a": 3})]), (2,))
    assert (graph.result.state.accepted, graph.result.state.refused.count) == (2, 1)
    graph.feed(from_rows([("k", 7, {"a": 4}), ("k", 6, {"a": 5})], (3,)), (4,))
    assert (graph.result.state.accepted, graph.result.state.refused.count) == (3, 2)
    assert Answers(graph.result.state).timeline("k")[0].json_rows() == [[7, 4], [10, 1]]
    assert [Answers(graph.result.state).value("k", t)[2] for t in (6, 7)] == [True, False]


def test_a_batch_that_overlaps_is_trimmed() -> None:
    node = fresh(plan := make_plan(STATE), plan.result)
    events = from_rows([("k", t, {"a": t}) for t in (1, 2, 1)] + [("k", 2, {"a": 7})])
    node.accept(events.take(slice(0, 3)), (2,))
    assert node.accept(events.take(slice(1, 3)), (2,)) is None
    patch = accepted(node, events)
    assert patch.rows.tick.tolist() == [2]
    assert node.state.accepted == 4
    assert Answers(node.state).timeline("k")[0].json_rows() == [[1, 1], [2, 7]]


def test_a_missing_patch_is_an_error_not_a_wrong_answer() -> None:
    plan = make_plan(f'{STATE} == "x"')
    leaf, parent = (fresh(plan, n) for n in plan.nodes)
    leaf.accept(from_rows([("k", 1, {"a": "x"})]), (0,))
    second = accepted(leaf, from_rows([("l", 1, {"a": "x"})], (1,)))
    with pytest.raises(LimitError, match="a patch before it is missing"):
        check_patch(parent.state, 0, second)


def test_vocabulary_holds_only_what_was_accepted() -> None:
    graph = Graph(make_plan(STATE), Limits(0, 10))
    events = from_rows([("k", 100 - (t > 0), {"a": f"v{t}"}) for t in range(50)])
    for position in range(50):
        graph.feed(events.take(slice(position, position + 1)), (position,))
    assert graph.result.state.refused.count == 49
    assert graph.result.state.own.vocabulary is not None
    assert graph.result.state.own.vocabulary.values == [None, "v0"]


def test_parts_hold_every_row_once() -> None:
    graph = Graph(make_plan(STATE))
    events = from_rows([(f"k{i % 7}", i, {"a": i % 5}) for i in range(60)])
    node = graph.nodes[0]
    patch = accepted(node, events)
    for rows_each in (1, 2, 9, 20, 59, 66, 67):
        pieces = parts(patch, rows_each)
        assert [p.more for p in pieces] == [True] * (len(pieces) - 1) + [False]
        assert np.concatenate([p.rows.at for p in pieces]).tolist() == patch.rows.at.tolist()
        assert np.concatenate([p.heard for p in pieces]).tolist() == patch.heard.tolist()
        assert np.concatenate([p.window.at for p in pieces]).tolist() == patch.window.at.tolist()
        assert [name for p in pieces for name in p.names] == patch.names


def test_patches_that_came_early_wait_for_their_own_position() -> None:
    plan = make_plan(f'{STATE} == "x" && has_existed(b == 1)')
    state, equal, existed, both = (fresh(plan, n) for n in plan.nodes)
    one, two = (from_rows([("k", t, {"a": "x", "b": 1})], (t,)) for t in (1, 2))
    for batch in (one, two):
        both.receive(1, accepted(existed, batch))
        assert both.advance() is None
    equal.receive(0, accepted(state, one))
    patch = equal.advance()
    assert patch is not None
    both.receive(0, patch)
    assert both.advance() is not None
    assert both.state.position == (1,)

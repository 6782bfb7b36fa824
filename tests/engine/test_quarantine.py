"""An operator that raises for some keys loses those only, and gets them back when it is mended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.support.graphs import WireGraph
from tests.support.poison import PoisonError, poison
from tests.support.streams import batches, cuts, expressions, rows
from timeline.engine import shrinking
from timeline.engine.answers import Answers
from timeline.engine.node import Node
from timeline.engine.patch import Patch
from timeline.engine.wire import from_patch, to_patch
from timeline.errors import NotFoundError, QuarantineError, RetentionError
from timeline.language import expression as ex
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.local.evaluation import Evaluation
from timeline.plan import make_plan
from timeline.tables.events import from_rows
from timeline.tables.table import Table, Window


def check(graph: WireGraph, whole: Evaluation, but: dict[int, set[str]]) -> None:
    for planned, node in zip(graph.plan.nodes, graph.nodes, strict=True):
        for key in whole.names():
            if key in but.get(planned.index, ()):
                with pytest.raises(QuarantineError, match="PoisonError: bad luck"):
                    Answers(node.state).value(key, None)
                continue
            assert (
                Answers(node.state).timeline(key)[0].json_rows() == whole.timeline(key, planned).json_rows()
            ), planned.text


@settings(max_examples=200)
@given(expressions, rows, cuts, st.sets(st.sampled_from(["k", "l", "m"]), min_size=1), st.data())
def test_only_the_poisoned_keys_are_lost_and_come_back(
    expression: ex.Expression, events: Any, at: list[int], keys: set[str], data: st.DataObject
) -> None:
    plan = make_plan(expression)
    note(plan.result.text)
    limits = Limits(1_000, 1_000)
    graph = WireGraph(plan, limits)
    bad = data.draw(st.integers(0, len(plan.nodes) - 1), "poisoned node")
    reading = data.draw(st.booleans(), "reading")
    good = graph.nodes[bad].state.operator
    sent = batches(from_rows(events), at)
    begin = data.draw(st.integers(0, len(sent) - 1), "poisoned from batch")
    above = {bad}
    for planned in plan.nodes:
        if above & set(planned.inputs):
            above.add(planned.index)
    seen = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shrinking, "FEW", data.draw(st.sampled_from([-1_000_000, 1_000])))
        for number, batch in enumerate(sent):
            if number >= begin:
                poison(graph.nodes[bad], keys, reading=reading)
            graph.feed(batch, tuple(batch.position[-1].tolist()))
            seen += len(batch)
            if data.draw(st.booleans(), "continue as new"):
                graph.continue_as_new(limits)
        whole = evaluate(plan, from_rows(events), limits)
        lost = {graph.nodes[bad].state.keys.names[code] for code in graph.nodes[bad].state.quarantined}
        later = {key for key, *_ in events[sum(map(len, sent[:begin])) :]}
        assert lost <= keys & later
        if reading or plan.nodes[bad].leaf:
            assert lost <= keys
        check(graph, whole, dict.fromkeys(above, lost))
        # Released before it is mended, a key is set apart again, and all stays as it was.
        for key in sorted(lost):
            graph.deliver(bad, graph.nodes[bad].release(key))
            spread(graph)
        relapsed = {graph.nodes[bad].state.keys.names[code] for code in graph.nodes[bad].state.quarantined}
        check(graph, whole, dict.fromkeys(above, relapsed))
        graph.nodes[bad].state.operator = good
        for key in sorted(relapsed):
            graph.deliver(bad, graph.nodes[bad].release(key))
            spread(graph)
        check(graph, whole, {})
        # And they go on like the others.
        more: list[tuple[str, int, dict[str, Any]]] = [(key, 25, {"a": "x", "b": 1}) for key in "klm"]
        graph.feed(from_rows(more, (len(events),)), (len(events) + 2,))
        check(graph, evaluate(plan, from_rows([*events, *more]), limits), {})


def spread(graph: WireGraph) -> None:
    """Brings what waits between the nodes to where it belongs."""
    for planned, node in zip(graph.plan.nodes, graph.nodes, strict=True):
        if not planned.leaf and (patch := node.advance()) is not None:
            graph.deliver(planned.index, patch)


def test_a_key_cannot_be_released_for_ever() -> None:
    plan = make_plan('duration_where(latest_event_to_state(a) == "x")')
    graph = WireGraph(plan, Limits(0, 1_000))
    poison(graph.nodes[1], {"k"}, reading=False)
    for number in range(40):
        batch = [(key, 100 * number + i, {"a": f"{i}"}) for key in "kl" for i in range(0, 100, 2)]
        graph.feed(from_rows(batch, (number, 0)), (number, 99))
    compare = graph.nodes[1]
    assert compare.state.operator.name == "equal"
    assert len(compare.state.edges[0].table) < 2_500, "what a quarantined key needs does not grow for ever"
    with pytest.raises(RetentionError, match="register it anew"):
        compare.release("k")
    with pytest.raises(NotFoundError):
        compare.release("l")
    with pytest.raises(NotFoundError):
        graph.result.release("k")
    assert Answers(graph.result.state).value("l", None)[0] == 0


def test_an_operator_that_raises_for_all_is_not_tried_for_ever() -> None:
    calls = 0
    plan = make_plan('!has_existed(a == "x")')
    graph = WireGraph(plan, Limits())

    class Mad(type(graph.nodes[1].state.operator)):  # type: ignore[misc]
        def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
            nonlocal calls
            calls += 1
            raise PoisonError("always")

    graph.nodes[1].state.operator = Mad()
    events = from_rows([(f"k{i}", i, {}) for i in range(3_000)])
    graph.feed(events, (3_000,))
    assert len(graph.result.state.quarantined) == 3_000
    assert calls < 500
    with pytest.raises(QuarantineError, match=r"'k7' .* since position \[3000\]: PoisonError: always"):
        Answers(graph.result.state).value("k7", None)


@pytest.mark.parametrize("reading", [True, False])
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_what_a_release_needs_is_kept(bad: int, reading: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watermark passes the place where the key was set apart, but retention does not."""
    monkeypatch.setattr(shrinking, "FEW", -1_000_000)
    plan = make_plan('duration_where(latest_event_to_state(a) == "x")')
    limits = Limits(0, 1_000)
    graph = WireGraph(plan, limits)
    events: list[tuple[str, int, dict[str, Any]]] = [
        (key, 10 * i, {"a": "xy"[i % 2]}) for i in range(90) for key in "kl"
    ]
    good = graph.nodes[bad].state.operator
    for first in range(0, len(events), 10):
        if first == 40:
            poison(graph.nodes[bad], {"k"}, reading=reading)
        batch = from_rows(events[first : first + 10], (first,))
        graph.feed(batch, (first + 9,))
    graph.nodes[bad].state.operator = good
    graph.deliver(bad, graph.nodes[bad].release("k"))
    spread(graph)
    assert (
        Answers(graph.result.state).value("k", None)[0]
        == Answers(graph.result.state).value("l", None)[0]
        == 0.45
    )
    check(graph, evaluate(plan, from_rows(events), limits), {})


def test_a_key_that_a_node_and_its_child_cannot_compute_is_rebuilt_from_where_the_first_failed() -> None:
    plan = make_plan('count(a == "x") * 1000')
    below, above = plan.nodes
    limits = Limits(20, 100_000)
    leaf = Node(below.operator, [], limits, below.before_origin)
    top = Node(above.operator, [below.operator.kind], limits, above.before_origin)
    good = leaf.state.operator, top.state.operator

    def tell(patch: Patch | None) -> None:
        assert patch is not None
        top.receive(0, from_patch(to_patch(patch)))
        top.advance()

    def feed(number: int, tick: int) -> None:
        tell(leaf.accept(from_rows([("k", tick, {"a": "x"})], (number,)), (number,)))

    feed(0, 10)
    poison(top, {"k"}, reading=False)
    feed(1, 20)
    top.state.operator = good[1]
    poison(leaf, {"k"}, reading=False)
    feed(2, 30)
    leaf.state.operator = good[0]
    tell(leaf.release("k"))
    values = [Answers(top.state).value("k", tick)[0] for tick in (10, 20, 25, 30)]
    assert values == [1000, 2000, 2000, 3000]


def test_what_one_input_said_is_kept_while_the_other_has_no_function() -> None:
    plan = make_plan('count(a == "x") + count(b == "x")')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shrinking, "FEW", -1_000_000)
        graph = WireGraph(plan, Limits(0, 1_000_000))
        bad = next(node for node in graph.nodes if node.state.leaf)
        good = bad.state.operator
        poison(bad, {"k"}, reading=False)
        for number, tick in enumerate([10, 20, 30]):
            graph.feed(from_rows([("k", tick, {"a": "x", "b": "x"})], (number,)), (number,))
        bad.state.operator = good
        live = next(live for live in graph.live if live.root is bad)
        graph.tell(live, live.release("k"))
        for live in graph.live:
            graph.tell(live, live.advance())
    assert [graph.answers.value("k", tick)[0] for tick in (10, 20, 25, 30)] == [2, 4, 4, 6]

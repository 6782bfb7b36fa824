"""Nodes that stay bounded: dictionaries shrink, idle keys close and are forgotten, old states are read."""

from __future__ import annotations

import base64
import json as json_module
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.support.graphs import POLICIES, WireGraph
from tests.support.lives import lives_of
from tests.support.oracle import Oracle
from tests.support.oracle_values import exact, same
from tests.support.schedules import marks_drawn, marks_of
from tests.support.streams import END, cuts, exact_value, expressions, json, marked_batches
from timeline.engine import shrinking
from timeline.engine.answers import Answers
from timeline.engine.node import Node
from timeline.engine.state_wire import from_state
from timeline.engine.wire import from_patch, to_patch
from timeline.language import expression as ex
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.local.graph import Graph
from timeline.plan import make_plan
from timeline.tables.events import from_rows
from timeline.tables.marks import marked
from timeline.tables.splicing import cut
from timeline.tables.table import Window

STATE_1 = Path(__file__).parents[1] / "fixtures" / "state-1.json"


rows = st.lists(
    st.tuples(
        st.sampled_from(["k", "l", "m", "n"]),
        st.integers(0, 22),
        st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", 1, 2.5, True, None])),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=300)
@given(expressions, rows, cuts, st.integers(0, 5), st.integers(1, 9), st.integers(0, 30), st.data())
def test_keys_have_lives(
    expression: ex.Expression, events: Any, at: list[int], lateness: int, ttl: int, keep: int, data: Any
) -> None:
    plan = make_plan(expression)
    note(plan.result.text)
    by_stream = data.draw(st.booleans(), "by the stream")
    marks = marks_of(events, data.draw(marks_drawn, "marks"))
    limits = Limits(lateness, keep, ttl, by_stream)
    told = lives_of(events, lateness, ttl, marks, by_stream)
    known = {
        key: lives
        for key, every in told.lives.items()
        if (lives := [v for v in every if told.time - v[-1][0] < ttl + lateness + max(keep, ttl)])
    }
    refused = [number for number, reason in enumerate(told.refused) if reason is not None]
    marked_at = [
        marked((number - 1,), mark) for number, mark in sorted(marks.items()) if number <= len(events)
    ]
    whole = evaluate(plan, from_rows(events), limits, marks=marked_at)
    assert (whole.accepted, whole.refused) == (len(events) - len(refused), len(refused))
    assert {k: whole.lives(k) for k in whole.names()} == {
        k: [(v[0][0], v[-1][0]) for v in lives] for k, lives in known.items()
    }
    graph = WireGraph(plan, limits, data.draw(st.sampled_from(POLICIES)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shrinking, "FEW", data.draw(st.sampled_from([-1_000_000, 1_000])))
        for batch, place in marked_batches(
            from_rows(events), at, marks, data.draw(st.booleans(), "marks alone")
        ):
            graph.feed(batch, place)
            if data.draw(st.booleans()):
                graph.continue_as_new(limits, data.draw(st.sampled_from([None, 0])))
    for planned, node in zip(plan.nodes, graph.nodes, strict=True):
        answers = Answers(node.state)
        assert set(answers.known_keys()) == set(known)
        if planned.leaf:
            listed = {r.position[0]: r.reason.name.lower() for r in node.state.refused.after(None, 100)}
            wanted_refused = {i: reason for i, reason in enumerate(told.refused) if reason is not None}
            assert (node.state.accepted, listed) == (len(events) - len(refused), wanted_refused)
        for key, lives in known.items():
            for number, life in enumerate(lives):
                oracle = Oracle(life)
                newest = life[-1][0]
                mine, origin, last = answers.timeline(key, oracle.origin if len(lives) > 1 else None)
                assert (origin, last) == (oracle.origin, newest)
                base = int(mine.tick[0])
                watermark = (told.time if by_stream else newest) - lateness
                assert base <= max(oracle.origin, watermark - keep), "kept as long as promised"
                for tick in range(base, END):
                    row = next(r for r in reversed(range(len(mine))) if mine.tick[r] <= tick)
                    wanted = exact(oracle.at(planned.expression, tick))
                    got = exact(exact_value(mine, row, tick))
                    assert same(got, wanted), f"{planned.text} of {key} at {tick}: {got} is not {wanted}"
                theirs = whole.timeline(key, planned, number)
                from_base = Window(theirs.at[:1] - theirs.tick[:1] + base)
                assert mine.json_rows() == cut(theirs, from_base).json_rows()


def test_a_vocabulary_of_ever_new_values_shrinks() -> None:
    plan = make_plan('prior_state(latest_event_to_state(a)) == "x"')
    limits = Limits(1_000, 1_000)
    graph = WireGraph(plan, limits)
    for number in range(40):
        values = range(number * 1000, number * 1000 + 1000)
        batch = from_rows([("k", 10 * v, {"a": f"value {v}"}) for v in values], (values[0],))
        graph.feed(batch, (values[-1],))
        if number % 7 == 0:
            graph.continue_as_new(limits)
    leaf, prior, _ = graph.nodes
    for node in (leaf, prior):
        for table in (node.state.own, node.state.edges[0].table):
            assert table.vocabulary is not None
            assert len(table.vocabulary) < 6_000
    assert Answers(leaf.state).value("k", None)[0] == "value 39999"
    assert Answers(prior.state).value("k", None)[0] == "value 39998"
    # Someone who comes now understands the codes of now, also right after shrinking.
    latecomer = Node(prior.state.operator, [leaf.state.own.kind], limits)
    snapshot = leaf.snapshot()
    assert snapshot is not None
    latecomer.receive(0, from_patch(json(to_patch(snapshot))))
    latecomer.advance()
    assert Answers(latecomer.state).value("k", None)[0] == "value 39998"


def test_keys_that_are_over_are_forgotten() -> None:
    plan = make_plan('duration_where(latest_event_to_state(a) == "x")')
    limits = Limits(100, 1_000, key_ttl=500)
    graph = WireGraph(plan, limits)
    for number in range(60):
        ids = range(number * 100, number * 100 + 100)
        batch = from_rows([(f"session {i}", 10 * i, {"a": "x"}) for i in ids], (ids[0],))
        graph.feed(batch, (ids[-1],))
    for node in graph.nodes:
        assert len(Answers(node.state).known_keys()) == 160
        assert len(node.state.keys) < 2_500
        assert len(node.state.own) < 2_500
    assert Answers(graph.result.state).value("session 5999", 59_999 + 1_000)[:2] == (1.009, 60_999)
    assert Answers(graph.result.state).value("session 5939", None) == (0, 59_390, True), "closed"
    with pytest.raises(KeyError):
        Answers(graph.result.state).value("session 5839", None)


def test_state_of_version_1_is_read() -> None:
    """The file was written by version 0.1."""
    committed = json_module.loads(STATE_1.read_text())
    plan = make_plan(committed["expression"])
    limits = Limits(60_000, 3_600_000)
    graph = Graph(plan, limits)
    for planned, node, carried in zip(plan.nodes, graph.nodes, committed["nodes"], strict=True):
        assert planned.text == carried["text"]
        rest = from_state(base64.b64decode(carried["state"]), [node.state])
        assert rest == {"inbox": [], "newcomers": [], "full": None}
        for key, values in carried["values"].items():
            got = [Answers(node.state).value(key, tick)[0] for tick in (0, 1000, 5000, 8000, 12000, 30000)]
            assert got == values, planned.text
    # The first leaf was ahead when they were written; the others catch up, and all go on.
    more = [("a", 20_000, {"state": "buffer"}), ("a", 23_000, {"state": "play"}), ("c", 1, {})]
    graph.feed(from_rows(more, (1, 7)), (1, 9))
    assert Answers(graph.nodes[-2].state).value("a", 30_000)[0] == 8
    assert Answers(graph.result.state).value("a", 30_000)[0] is True
    assert Answers(graph.result.state).value("c", 30_000)[0] is False


def test_state_of_another_version_is_refused() -> None:
    graph = Graph(make_plan("sum(a)"))
    blob = zstandard.ZstdCompressor().compress(orjson.dumps({"version": 99}))
    with pytest.raises(Exception, match="version 99, this worker reads those up to 3"):
        from_state(blob, [graph.result.state])

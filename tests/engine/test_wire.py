"""What goes over the wire and into carried state comes back as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
import zstandard

from tests.support.streams import json
from timeline.engine.answers import Answers
from timeline.engine.node import Node
from timeline.engine.state_wire import from_state, to_state
from timeline.engine.wire import from_patch, to_patch
from timeline.errors import TimelineError
from timeline.local.graph import Graph
from timeline.plan import make_plan
from timeline.tables.events import EventColumn, Events, concat, from_rows
from timeline.tables.table import empty
from timeline.tables.wire import from_events, from_table, to_events, to_table
from timeline.values.kinds import TIMELINES, Kind
from timeline.values.scalars import canonical
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import Vocabulary

STATE = "latest_event_to_state(a)"
ODD: list[Any] = [
    "", " ", "é", "日本", "😀", "\u0000", '"\\', "1", "true", "null", 1, True, 0, False, -0.0, 0.1,
    1e300, -1e300, 5e-324, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, 10**30, 1.0,
]  # fmt: skip


def rows_of(events: Events) -> list[Any]:
    return [
        (
            events.keys[events.key[i]],
            int(events.tick[i]),
            {n: c.values[c.codes[i]] for n, c in sorted(events.columns.items()) if c.codes[i]},
            tuple(events.position[i].tolist()),
        )
        for i in range(len(events))
    ]


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 30])
def test_events(width: int, count: int) -> None:
    given = [
        (f"k{i % 3}", (i * 7919) % 100 * 10**10, {"a": ODD[i % len(ODD)], "b": None}) for i in range(count)
    ]
    events = from_rows(given, (3,) * width)
    again, last = from_events(json(to_events(events, (9,) * width)))
    assert rows_of(again) == rows_of(events)
    assert last == (9,) * width
    assert again.position.shape == (count, width)


def test_empty_batch_with_columns_moves_the_position() -> None:
    none = from_rows([("k", 1, {"a": 1})]).take(slice(0, 0))
    again, last = from_events(json(to_events(none, (4,))))
    graph = Graph(make_plan(STATE))
    graph.feed(again, last)
    assert (graph.result.state.position, graph.result.state.accepted, len(graph.result.state.own)) == (
        (4,),
        0,
        0,
    )
    patch = graph.result.snapshot()
    assert patch is not None
    assert len(from_patch(json(to_patch(patch))).rows) == 0


@pytest.mark.parametrize("kind", TIMELINES)
def test_empty_table(kind: Kind) -> None:
    vocabulary = Vocabulary() if kind is Kind.STATE else None
    table = from_table(json(to_table(empty(kind, vocabulary))), vocabulary)
    assert (table.kind, len(table)) == (kind, 0)
    assert table.value.dtype == empty(kind).value.dtype
    assert table.value.shape == empty(kind).value.shape
    assert (table.slope is None) == (kind not in (Kind.NUMERIC, Kind.RATIO))


def test_any_scalar_is_a_state() -> None:
    """Each differs from the one before, or JSON and 64 bits would have made one of two."""
    plan = make_plan(f"duration_in_cur_state({STATE})")
    leaf, parent = (
        Node(n.operator, [Kind.STATE] * len(n.inputs), Graph(plan).result.state.limits) for n in plan.nodes
    )
    events = from_rows([("k", 10 * i, {"a": value}) for i, value in enumerate(ODD)])
    patch = leaf.accept(*from_events(json(to_events(events, (99,)))))
    assert patch is not None
    parent.receive(0, from_patch(json(to_patch(patch))))
    parent.advance()
    carried = Node(plan.nodes[0].operator, [], leaf.state.limits)
    from_state(to_state([leaf.state]), [carried.state])
    for node in (leaf, carried):
        for i, value in enumerate(ODD):
            got = Answers(node.state).value("k", 10 * i)[0]
            assert got == canonical(value)
            assert isinstance(got, bool) == isinstance(value, bool)
    vocabulary = parent.state.edges[0].table.vocabulary
    assert vocabulary is not None
    assert leaf.state.own.vocabulary is not None
    assert list(map(repr, vocabulary.values)) == list(map(repr, leaf.state.own.vocabulary.values))


def test_numeric_null_and_the_last_tick() -> None:
    graph = Graph(make_plan(f"duration_in_cur_state({STATE})"))
    graph.feed(from_rows([("k", 0, {}), ("k", 5, {"a": 1}), ("l", MAX_TICK, {}), ("m", 0, {"a": 1})]), (3,))
    table = graph.result.state.own.whole()
    again = from_table(json(to_table(table)), None)
    assert again.json_rows() == table.json_rows()
    assert again.at.tolist() == table.at.tolist()


def test_state_of_another_version_is_refused() -> None:
    blob = zstandard.ZstdCompressor().compress(orjson.dumps({"version": 99}))
    node = Graph(make_plan(STATE)).result
    with pytest.raises(TimelineError, match="version 99"):
        from_state(blob, [node.state])


def test_concat_of_batches_with_different_columns() -> None:
    batches = [
        from_rows([("k", 1, {}), ("l", 2, {})]),
        from_rows([("l", 3, {"a": "x", "b": 1})], (2,)),
        from_rows([("m", 3, {})], (3,)).take(slice(0, 0)),
        from_rows([("k", 4, {"b": 2}), ("k", 5, {"b": True})], (3,)),
    ]
    assert rows_of(concat(batches)) == [row for batch in batches for row in rows_of(batch)]
    assert rows_of(concat(batches[::-1])) == [row for batch in batches[::-1] for row in rows_of(batch)]


@pytest.mark.parametrize(
    ("position", "left"),
    [((0, 9), 4), ((1, 1), 3), ((1, 2), 3), ((1, 3), 2), ((2, 0), 2), ((2, 1), 1), ((9, 0), 0), ((0, 0), 4)],
)
def test_after(position: tuple[int, int], left: int) -> None:
    places = np.array([[1, 1], [1, 3], [2, 1], [4, 7]])
    column = EventColumn(np.arange(4), [None, "x", "y", "z"])
    events = Events(["k"], np.zeros(4, np.int64), np.arange(4), {"a": column}, places)
    assert events.after(position).tick.tolist() == list(range(4 - left, 4))


def test_compact_keeps_what_occurs() -> None:
    events = from_rows([(f"k{i}", i, {"a": f"v{i}", "b": None}) for i in range(9)])
    part = events.take(slice(3, 5))
    assert rows_of(part.compact()) == rows_of(part)
    assert part.compact().keys == ["k3", "k4"]
    assert part.compact().columns["a"].values == [None, "v3", "v4"]

"""States carried in pieces: what is put together is what was there, and what is kept is written once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.graphs import POLICIES, WireGraph
from tests.support.streams import batches, cuts, expressions
from timeline.engine import shrinking
from timeline.engine.frozen import Frozen
from timeline.engine.state import NodeState
from timeline.engine.state_wire import to_state
from timeline.errors import TimelineError, WireError
from timeline.fragments import Policy
from timeline.language import expression as ex
from timeline.limits import Limits
from timeline.plan import Plan, make_plan
from timeline.tables.columnar import from_bytes, to_bytes
from timeline.tables.events import Events, from_rows

CIRR = (
    'duration_where(has_existed(a == "play") && !has_existed_within(a == "seek", 5s) '
    '&& latest_event_to_state(a) == "buffer")'
)
rows = st.lists(
    st.tuples(
        st.sampled_from(["k", "l", "m", "n"]),
        st.integers(0, 22),
        st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", 1, 2.5, True, None])),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=300)
@given(expressions, rows, cuts, st.integers(0, 5), st.integers(1, 30), st.booleans(), st.data())
def test_layers_put_upon_each_other_are_the_state(
    expression: ex.Expression, events: Any, at: list[int], ttl: int, keep: int, shrink: bool, data: Any
) -> None:
    # Keys that close, rows that collapse, and codes that are given anew: all that a layer may have to say.
    limits = Limits(data.draw(st.integers(0, 5)), keep, ttl or None)
    graph = WireGraph(make_plan(expression), limits, data.draw(st.sampled_from(POLICIES)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shrinking, "FEW", -1_000_000 if shrink else 1_000)
        for batch in batches(from_rows(events), at):
            graph.feed(batch, tuple(batch.position[-1].tolist()))
            # It looks itself whether what was carried is what there was.
            graph.continue_as_new(limits, data.draw(st.sampled_from([None, 0, 0, 1 << 20])))


def batch_of(number: int, keys: int, each: int) -> Events:
    """Of every key some events, after those of the batches before; nothing in them repeats."""
    drawn = np.random.default_rng(number)
    first = number * each
    ticks = 1_000 * (first + np.arange(each))[:, None] + drawn.integers(0, 1_000, (each, keys))
    states = drawn.choice(["play", "buffer", "seek", "pause"], (each, keys))
    return from_rows(
        [
            (f"key {key}", int(ticks[i, key]), {"a": str(states[i, key])})
            for i in range(each)
            for key in range(keys)
        ],
        (first * keys,),
    )


def grown(policy: Policy, keys: int, each: int) -> WireGraph:
    graph = WireGraph(make_plan(CIRR), Limits(1_000, 1 << 40), policy)
    feed(graph, 0, keys, each)
    return graph


def feed(graph: WireGraph, number: int, keys: int, each: int) -> None:
    batch = batch_of(number, keys, each)
    graph.feed(batch, tuple(batch.position[-1].tolist()))


def written(frozen: Frozen) -> int:
    """How many bytes are written to carry a state on."""
    before = {id(piece) for piece in frozen.pieces}
    active = frozen.carry()
    return len(active) + sum(len(piece.data) for piece in frozen.pieces if id(piece) not in before)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_kept_is_written_once(policy: Policy) -> None:
    graph = grown(policy, 40, 3_000)
    frozen = Frozen(graph.live[-1].states, freeze_at=2 << 10)
    assert written(frozen) > 8 << 10
    assert len(frozen.pieces) == 1
    shares = []
    for number in range(1_500, 1_600):
        feed(graph, number, 40, 2)
        shares.append(written(frozen) / len(to_state(graph.live[-1].states)))
    # Each wrote what was new, and some of what was new lately once more.
    assert sum(shares) / len(shares) < 0.05
    assert len(frozen.pieces) <= 8


def test_all_is_written_anew_once_most_of_it_is_superseded() -> None:
    graph = WireGraph(make_plan("latest_event_to_state(a)"), Limits(0, 20_000))
    frozen = Frozen(graph.live[-1].states, freeze_at=0)
    for number in range(400):
        feed(graph, number, 3, 20)
        frozen.carry()
    state = graph.live[-1].states[0]
    held = sum(len(table) for table in state.tables) + len(state.keys)
    assert sum(piece.size for piece in frozen.pieces) <= 2 * held + 200


def loaded(plan: Plan, active: bytes, pieces: list[tuple[str, bytes]]) -> list[NodeState]:
    states = WireGraph(plan, Limits(1_000, 1 << 40), "stream").live[-1].states
    Frozen(states).load(active, pieces)
    return states


def test_pieces_must_all_be_there() -> None:
    graph = grown("stream", 2, 10)
    frozen = Frozen(graph.live[-1].states, freeze_at=0)
    for number in range(1, 30):
        feed(graph, number, 2, 10)
        active = frozen.carry()
    pieces = [(piece.name, piece.data) for piece in frozen.pieces]
    assert len(pieces) > 1
    assert to_state(loaded(graph.plan, active, pieces)) == to_state(graph.live[-1].states)
    with pytest.raises(WireError, match=rf"has {len(pieces)} pieces, got {len(pieces) - 1}"):
        loaded(graph.plan, active, pieces[1:])
    with pytest.raises(WireError, match="names keys from 2 on, and 0 are named before it"):
        loaded(graph.plan, active, [*pieces[1:], pieces[0]])


def test_a_state_that_is_whole_is_read_too() -> None:
    graph = grown("stream", 2, 10)
    whole = to_state(graph.live[-1].states)
    assert to_state(loaded(graph.plan, whole, [])) == whole


def test_a_later_version_is_refused() -> None:
    graph = grown("stream", 2, 10)
    wire = from_bytes(Frozen(graph.live[-1].states).carry()) | {"version": 9}
    with pytest.raises(TimelineError, match="has version 9, this worker reads those up to 4"):
        loaded(graph.plan, to_bytes(wire), [])

"""One feeder of a partition leads, so that all leaves have the same marks between the same messages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

from feeder.checks.topic import check_topic
from feeder.topics.lead import Lead
from tests.support.segments import Segments
from tests.support.waiting import eventually
from tests.system.test_marks import Silent, beats, heartbeat
from timeline.spec.spec import Spec
from timeline.tables.events import Position, from_rows, no_events
from timeline.tables.marks import marked
from workflows.client import Client
from workflows.names import fragment_id
from workflows.protocol import node as protocol


async def test_a_feeder_that_died_between_two_leaves(timelines: Client, tmp_path: Path) -> None:
    topic = f"uneven-{uuid.uuid4().hex[:8]}"
    wire = heartbeat(topic, {"topic": topic, "idle": "never"}).to_wire()
    spec = Spec.from_wire(wire | {"expression": "count(beat == 1) + sum(beat)"})
    segments = Segments(tmp_path)
    segments.create(topic, 1)
    await timelines.registry.register(spec)
    [partition] = segments.source(spec).partitions()
    leaves = [fragment_id(spec, fragment, 0) for fragment in spec.fragments if fragment.leaves]
    assert len(leaves) == 2

    def send(*events: tuple[str, int]) -> None:
        for row in beats(*events):
            partition.append(json.dumps(row).encode(), row["machine"])

    one = Silent(tmp_path, timelines)
    async with one.running():
        send(("a", 10_000))
        await eventually(lambda: _stands(timelines, leaves, (1, 1)))
    # It gave one leaf a mark, and the other none.
    lead = Lead(timelines)
    await lead.take(leaves)
    assert lead.leader is not None
    nothing = no_events(["beat"], 2)
    mark, about = marked((1, 1), 90_000), {leaves[0]: protocol.About(leader=lead.leader)}
    await timelines.leaves.signal_events({leaves[0]: frozenset(["beat"])}, nothing, mark, about)
    send(("a", 84_999), ("a", 85_000))
    async with one.running():
        await eventually(lambda: _stands(timelines, leaves, (1, 3)))
    for leaf in leaves:
        status = await timelines.nodes.status(leaf)
        assert (status["accepted"], status["refused"], status["newest"]) == (2, 1, 90_000)
        assert await timelines.leaves.marks(leaf) == [mark]
    check = await check_topic(segments, timelines, spec)
    assert (check.accepted, check.refused, check.differences) == (2, 1, [])
    # Feeders of other tests would look for its topic.
    await timelines.registry.remove(spec.name)


async def _stands(timelines: Client, leaves: Sequence[str], place: Position) -> bool:
    return all([(await timelines.leaves.stands(leaf)).position == place for leaf in leaves])


async def test_batches_that_waited_together_are_judged_by_the_mark_between_them(timelines: Client) -> None:
    name = f"waiting-{uuid.uuid4().hex[:8]}"
    spec = heartbeat(name, {})
    await timelines.registry.register(spec)
    [leaf] = [fragment_id(spec, f, 0) for f in spec.fragments if f.leaves]
    columns = {leaf: frozenset(["beat"])}
    await timelines.leaves.asking.signal(leaf, protocol.HOLD)
    for number, last in enumerate([marked((1, 0), 90_000), (1, 1), marked((1, 1), 99_000), (1, 2)]):
        events = from_rows([("a", 80_000, {"beat": 1})], (1, number // 2 + number % 2))
        await timelines.leaves.signal_events(columns, events.take(slice(0, number % 2 or number == 0)), last)
    await timelines.leaves.asking.signal(leaf, protocol.GO_ON)

    async def taken() -> bool:
        return (await timelines.leaves.status(spec, 0))["waiting"] == 0

    await eventually(taken)
    status = await timelines.leaves.status(spec, 0)
    assert (status["position"], status["accepted"], status["refused"]) == ([1, 2], 1, 2)


async def test_leaves_take_nothing_of_a_feeder_that_was_overtaken(timelines: Client) -> None:
    name = f"lead-{uuid.uuid4().hex[:8]}"
    spec = heartbeat(name, {})
    await timelines.registry.register(spec)
    [leaf] = [fragment_id(spec, f, 0) for f in spec.fragments if f.leaves]
    columns = {leaf: frozenset(["beat"])}
    first, second = Lead(timelines), Lead(timelines)

    async def send(lead: Lead, tick: int, last: Position) -> None:
        events = from_rows([("a", tick, {"beat": 1})], (1, last[1]))
        assert lead.leader is not None
        await timelines.leaves.signal_events(columns, events, last, {leaf: {"leader": lead.leader}})

    await first.take([leaf])
    await send(first, 10_000, (1, 1))
    await second.take([leaf])
    assert (await timelines.leaves.stands(leaf)).position == (1, 1)
    await send(first, 10_001, marked((1, 2), 99_000))
    await send(second, 10_002, (1, 2))
    await send(first, 10_003, (1, 3))
    stand = await timelines.leaves.stands(leaf)
    assert (stand.position, stand.leader) == ((1, 2), second.leader)
    first.look([stand.leader])
    second.look([stand.leader])
    assert (first.leader, second.leader) == (None, stand.leader)
    status = await timelines.leaves.status(spec, 0)
    assert (status["accepted"], status["newest"]) == (2, 10_002)

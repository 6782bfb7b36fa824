"""Timelines on a topic that keeps nothing but what was not acknowledged, moved while it is fed."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
import zlib
from pathlib import Path

import pytest

import feeder.stream
from feeder.checks.topic import check_topic
from feeder.sources.base import ends_of
from feeder.topics.service import Feeder
from producer.generated import playback
from producer.messages import Faults, limited, with_faults
from tests.support.places import CIRR
from tests.support.segments import Segments
from tests.support.waiting import eventually
from timeline.errors import NotFoundError
from timeline.fragments import Policy
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.names import node_id

PARTITIONS, SHARDS = 2, 1
FAULTS = Faults(late=0.02, repeated=0.02, broken=0.01)
POLICIES: tuple[Policy, ...] = ("stream", "node", "stream", "node")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder.stream, "BATCH_EVENTS", 100)


class Topic:
    """A topic of segments that are gone when they are acknowledged, fed by a feeder."""

    def __init__(self, root: Path, timelines: Client, spec: Spec) -> None:
        self.timelines, self.spec = timelines, spec
        self.segments = Segments(root, forgets=True)
        #: All that ever was.
        self.whole = Segments(root)
        assert spec.source.topic is not None
        self.segments.create(spec.source.topic, PARTITIONS)
        self.partitions = self.segments.source(spec).partitions()

    def send(self, messages: list[tuple[str, bytes]]) -> None:
        for key, payload in messages:
            self.partitions[zlib.crc32(key.encode()) % PARTITIONS].append(payload, key)

    def kept(self) -> int:
        return sum(len(list(partition.messages(None))) for partition in self.partitions)

    async def reached(self, *specs: Spec) -> None:
        """Waits until the results stand where the topic ends now."""
        ends = ends_of(self.whole.source(self.spec))
        missing = {node_id(spec, spec.plan.result, n): end for spec in specs for n, end in enumerate(ends)}

        async def there() -> bool:
            with contextlib.suppress(NotFoundError):  # the feeder has not opened the source yet
                for node, end in list(missing.items()):
                    position = await self.timelines.nodes.position(node)
                    if position is not None and end is not None and position >= end:
                        del missing[node]
            return not missing

        await eventually(there)

    async def fewer_than(self, count: int) -> None:
        """Waits until the topic has forgotten the rest."""

        async def there() -> bool:
            return self.kept() < count

        await eventually(there)


async def test_what_the_topic_has_forgotten_is_handed_over(timelines: Client, tmp_path: Path) -> None:
    name = f"forgets-{uuid.uuid4().hex[:8]}"

    def on_topic(which: str, expression: str) -> Spec:
        source = {"topic": name, "key": "session"}
        limits = {"shards": SHARDS}
        wire = {"name": f"{name}-{which}", "expression": expression, "source": source, "limits": limits}
        return Spec.from_wire(wire).by_policy("operator")

    # The second has all of the first's nodes: they go on when the first is moved, and are ahead at once.
    moved, same, other = on_topic("a", CIRR), on_topic("b", CIRR), on_topic("c", f"{CIRR} > 2")
    await timelines.registry.register_all([moved, same, other])
    topic = Topic(tmp_path, timelines, moved)
    chunks = with_faults(limited(playback(30, seed=5, start=10_000_000), 2_500), FAULTS, seed=5)
    messages = [pair for chunk in chunks for pair in zip(chunk.key, chunk.payload, strict=True)]
    pieces = [messages[first : first + 50] for first in range(0, len(messages), 50)]
    said: list[str] = []
    feeding = asyncio.create_task(Feeder(topic.segments, timelines, only=moved.name, say=said.append).run())
    try:
        topic.send(messages[:500])
        await topic.reached(moved, same, other)
        await topic.fewer_than(100)
        rest = iter(pieces[10:])
        for version, policy in enumerate(POLICIES, 1):
            moving = asyncio.create_task(
                timelines.registry.register_all([moved.by_policy(policy)], {moved.name: version})
            )
            while not moving.done():
                topic.send(next(rest, []))
                await asyncio.wait([moving], timeout=0.1)
            [done] = await moving
            moved = done.spec
            assert done.stopped or version == 1
            for _ in range(3):
                topic.send(next(rest, []))
                await topic.reached(same)
        for piece in rest:
            topic.send(piece)
        await topic.reached(moved, same, other)
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await feeding
    for spec in (moved, same, other):
        check = await check_topic(topic.whole, timelines, spec)
        assert check.differences == []
        assert check.messages == len(messages) == check.accepted + check.refused + check.broken
        assert check.refused > 0
    for spec in (moved, same, other):
        await timelines.registry.remove(spec.name)

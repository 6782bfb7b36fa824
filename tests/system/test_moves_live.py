"""Timelines on a topic that keeps nothing but what was not acknowledged, moved while it is fed."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
import zlib
from collections import Counter, deque
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import feeder.stream
from feeder.checks.topic import Check, check_topic
from feeder.sources.base import ends_of
from feeder.topics.dead_letters import count_by_kind
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

PARTITIONS = 2
FAULTS = Faults(late=0.02, repeated=0.02, broken=0.01)
POLICIES: tuple[Policy, ...] = ("stream", "node", "stream", "node")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder.stream, "BATCH_EVENTS", 100)


class Topic:
    """A topic of segments that are gone when they are acknowledged, fed by a feeder."""

    def __init__(self, root: Path, timelines: Client, name: str) -> None:
        self.timelines, self.name = timelines, name
        self.segments = Segments(root, forgets=True)
        #: All that ever was.
        self.whole = Segments(root)
        self.segments.create(name, PARTITIONS)
        self.partitions = self.segments.source(self.spec("x", CIRR)).partitions()

    def spec(self, which: str, expression: str) -> Spec:
        source = {"topic": self.name, "key": "session"}
        wire = {"name": f"{self.name}-{which}", "expression": expression, "source": source}
        return Spec.from_wire(wire).by_policy("operator")

    @contextlib.asynccontextmanager
    async def fed(self, spec: Spec) -> AsyncIterator[None]:
        feeding = asyncio.create_task(
            Feeder(self.segments, self.timelines, only=spec.name, say=lambda _: None).run()
        )
        try:
            yield
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding

    def send(self, messages: list[tuple[str, bytes]]) -> None:
        for key, payload in messages:
            self.partitions[zlib.crc32(key.encode()) % PARTITIONS].append(payload, key)

    def kept(self) -> int:
        return sum(len(list(partition.messages(None))) for partition in self.partitions)

    async def reached(self, *specs: Spec) -> None:
        """Waits until the results stand where the topic ends now."""
        ends = ends_of(self.whole.source(specs[0]))
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

    async def assert_exact(self, spec: Spec, messages: int) -> Check:
        check = await check_topic(self.whole, self.timelines, spec)
        assert check.differences == []
        assert check.messages == messages == check.accepted + check.refused + check.broken
        assert check.refused > 0
        return check

    def letters(self) -> Counter[str]:
        return count_by_kind(self.whole.source(self.spec("x", CIRR)))


class Load:
    """Messages with late, repeated and broken ones, sent while timelines are moved."""

    def __init__(self, topic: Topic) -> None:
        chunks = with_faults(limited(playback(30, seed=5, start=10_000_000), 2_500), FAULTS, seed=5)
        self.topic = topic
        self.messages = [pair for chunk in chunks for pair in zip(chunk.key, chunk.payload, strict=True)]
        self._rest = deque(self.messages)

    def some(self, count: int) -> None:
        self.topic.send([self._rest.popleft() for _ in range(min(count, len(self._rest)))])

    def rest(self) -> None:
        self.some(len(self._rest))

    async def move(self, spec: Spec, policy: Policy) -> Spec:
        registry = self.topic.timelines.registry
        version = (await registry.standings())[spec.name]["version"]
        moving = asyncio.create_task(registry.register_all([spec.by_policy(policy)], {spec.name: version}))
        while not moving.done():
            self.some(50)
            await asyncio.wait([moving], timeout=0.1)
        [done] = await moving
        return done.spec


@pytest.fixture
async def topic(timelines: Client, tmp_path: Path) -> AsyncIterator[Topic]:
    made = Topic(tmp_path, timelines, f"forgets-{uuid.uuid4().hex[:8]}")
    yield made
    for name, spec in (await timelines.registry.specs()).items():
        if spec.source.topic == made.name:
            await timelines.registry.remove(name)


async def test_what_the_topic_has_forgotten_is_handed_over(topic: Topic) -> None:
    # The second has all of the first's nodes: they go on when the first is moved, and are ahead at once.
    moved, same, other = topic.spec("a", CIRR), topic.spec("b", CIRR), topic.spec("c", f"{CIRR} > 2")
    await topic.timelines.registry.register_all([moved, same, other])
    load = Load(topic)
    async with topic.fed(moved):
        load.some(500)
        await topic.reached(moved, same, other)
        await topic.fewer_than(100)
        for policy in POLICIES:
            moved = await load.move(moved, policy)
            for _ in range(3):
                load.some(50)
                await topic.reached(same)
        load.rest()
        await topic.reached(moved, same, other)
    for spec in (moved, same, other):
        await topic.assert_exact(spec, len(load.messages))


async def test_every_late_event_is_a_dead_letter(topic: Topic) -> None:
    """While the only timeline on a topic is moved, there are no leaves that could be asked for them."""
    alone = topic.spec("alone", CIRR)
    await topic.timelines.registry.register(alone)
    load = Load(topic)
    async with topic.fed(alone):
        load.some(300)
        await topic.reached(alone)
        for policy in POLICIES:
            alone = await load.move(alone, policy)
            for _ in range(3):
                load.some(50)
                await asyncio.sleep(0.2)
        load.rest()
        await topic.reached(alone)
        await topic.fewer_than(1)
    check = await topic.assert_exact(alone, len(load.messages))
    assert topic.letters() == {"late": check.refused, "broken": check.broken}

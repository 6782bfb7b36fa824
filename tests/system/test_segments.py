"""The engine that feeds topics, on a source that is no broker: nothing of it may hang on Pulsar."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import feeder.stream
from feeder.checks.topic import check_topic
from feeder.sources.base import ends_of
from feeder.topics.dead_letters import count_by_kind
from feeder.topics.service import Feeder
from producer.generated import playback
from producer.messages import Faults, limited, with_faults
from tests.support.places import CIRR
from tests.support.segments import Segments
from tests.support.waiting import eventually
from timeline.errors import NotFoundError
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.names import node_id

PARTITIONS, SHARDS = 2, 2
FAULTS = Faults(late=0.02, repeated=0.02, broken=0.01)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder.stream, "BATCH_EVENTS", 150)


class Running:
    """A feeder of segments in a folder, and what it said."""

    def __init__(self, root: Path, timelines: Client) -> None:
        self.segments = Segments(root)
        self.timelines = timelines
        self.said: list[str] = []
        self.feeder = Feeder(self.segments, timelines, say=self.said.append)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.feeder.run())
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    def send(self, spec: Spec, messages: list[tuple[str, bytes]]) -> None:
        partitions = self.segments.source(spec).partitions()
        for key, payload in messages:
            partitions[zlib.crc32(key.encode()) % PARTITIONS].append(payload, key)

    async def arrived(self, *specs: Spec) -> None:
        """Waits until all results stand at the end, and all is acknowledged."""
        source = self.segments.source(specs[0])
        ends = ends_of(source)
        results = {
            node_id(spec, spec.plan.result, number * SHARDS + shard): end
            for spec in specs
            for number, end in enumerate(ends)
            for shard in range(SHARDS)
        }

        async def there() -> bool:
            try:
                reached = {name: await self.timelines.nodes.position(name) for name in results}
            except NotFoundError:  # the feeder has not opened the source yet
                return False
            offsets = [
                partition.folder / f"timeline-{specs[0].source_id}.offset"
                for partition in source.partitions()
            ]
            acknowledged = [tuple(json.loads(o.read_text())) if o.exists() else None for o in offsets]
            return reached == results and acknowledged == ends

        await eventually(there)

    @property
    def messages(self) -> int:
        return sum(counts.messages for counts in self.feeder.counts.values())


async def test_timelines_on_segments_are_exact_and_go_on_where_they_were(
    timelines: Client, tmp_path: Path
) -> None:
    topic = f"segments-{uuid.uuid4().hex[:8]}"
    first, behind, late = (
        Spec.from_wire(
            {
                "name": f"{topic}-{name}",
                "expression": expression,
                "source": {"topic": topic, "key": "session"},
                "limits": {"shards": SHARDS},
            }
        )
        for name, expression in (
            ("first", CIRR),
            ("behind", 'count(cdn == "C1")'),
            ("late", f'count(cdn == "C2") > 1 && {CIRR} > 2'),
        )
    )
    chunks = with_faults(limited(playback(30, seed=5, start=10_000_000), 2_000), FAULTS, seed=5)
    messages = [pair for chunk in chunks for pair in zip(chunk.key, chunk.payload, strict=True)]
    third = len(messages) // 3
    parts = messages[:third], messages[third : 2 * third], messages[2 * third :]

    one = Running(tmp_path, timelines)
    one.segments.create(topic, PARTITIONS)
    await timelines.registry.register(first)
    async with one.running():
        one.send(first, parts[0])
        await one.arrived(first)
    sent = one.messages

    # Another feeder, in another life: messages have come meanwhile, and a timeline that has nothing yet.
    await timelines.registry.register(behind)
    two = Running(tmp_path, timelines)
    two.send(first, parts[1])
    async with two.running():
        await two.arrived(first, behind)
        # What was acknowledged did not come again but to the new timeline's own reader.
        assert (sent, two.messages) == (third, third)
        await timelines.registry.register(late)
        two.send(first, parts[2])
        await two.arrived(first, behind, late)
    brought = [text for text in two.said if "bringing" in text]
    assert len(brought) == 2 * PARTITIONS * SHARDS, two.said
    assert sent + two.messages == len(messages)

    source = two.segments.source(first)
    checks = [await check_topic(two.segments, timelines, spec) for spec in (first, behind, late)]
    for check in checks:
        assert check.differences == []
        assert check.messages == len(messages) == check.accepted + check.refused + check.broken
        assert count_by_kind(source) == {"late": check.refused, "broken": check.broken}
        assert check.keys > 30
        assert check.refused > 0

    # Sent again, broken ones are broken again; each is sent once.
    broken = checks[0].broken
    assert two.segments.source(first).send_again("broken") == broken
    async with two.running():
        await two.arrived(first, behind, late)
    assert count_by_kind(source)["broken"] == 2 * broken
    for spec in (first, behind, late):
        await timelines.registry.remove(spec.name)
    three = Running(tmp_path, timelines)
    assert three.segments.source(first).send_again("broken") == broken
    assert three.segments.source(first).send_again("broken") == 0

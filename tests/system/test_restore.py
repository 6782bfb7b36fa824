"""Backup and restore: an older database and store beside a topic that went on (docs/deploy.md)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from feeder.broker import Broker
from feeder.checks.topic import check_topic
from feeder.leaves import leaves_of
from feeder.sources.base import Connector, ends_of
from feeder.sources.pulsar import PulsarConnector
from feeder.sources.pulsar.acknowledged import place_in
from feeder.topics import going_back
from feeder.topics.service import Feeder
from producer.pulsar.connection import connect
from tests.support.segments import SegmentPartition, Segments
from tests.support.sinks import by_key, expected, written
from tests.support.waiting import eventually
from tests.system.test_storage import OFTEN, started_with, working
from timeline.errors import NotFoundError
from timeline.local.evaluate import evaluate
from timeline.spec.spec import Spec
from timeline.tables.events import from_rows
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import node_id
from workflows.server import DevServer

Send = Callable[[Sequence[bytes]], None]


@contextlib.asynccontextmanager
async def temporal(folder: Path) -> AsyncIterator[Client]:
    """A server and a worker, with their database and the store of states in a folder."""
    async with DevServer(folder / "dev.db", options=OFTEN) as server:
        connected = await connect_embedded(server.address)
        async with working(connected, folder / "store", folder.parent):
            yield Client(connected)


@pytest.fixture(autouse=True)
def all_states_in_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.stores.store.THRESHOLD", 1)


@contextlib.asynccontextmanager
async def feeding(
    connector: Connector, timelines: Client, said: list[str], accept_gap: bool = False
) -> AsyncIterator[None]:
    feeder = Feeder(connector, timelines, say=said.append, accept_gap=accept_gap)
    task = asyncio.create_task(feeder.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def arrived(connector: Connector, timelines: Client, spec: Spec) -> None:
    """Waits until the result stands at the end of the topic."""
    end = (await asyncio.to_thread(ends_of, connector.source(spec)))[0]

    async def there() -> bool:
        with contextlib.suppress(NotFoundError):
            place = await timelines.nodes.position(node_id(spec, spec.plan.result, 0))
            return place is not None and end is not None and place >= end
        return False

    await eventually(there)


def messages(first: int, last: int) -> list[bytes]:
    return [json.dumps({"key": "k", "time": n, "a": n % 3}).encode() for n in range(first, last)]


async def back_up_and_restore(
    tmp_path: Path,
    connector: Connector,
    spec: Spec,
    send: Send,
    acknowledged: Callable[[], Awaitable[bool]],
    lose: Callable[[], None] | None = None,
) -> list[str]:
    """Feeds, backs the database up, feeds more, and goes on from the backup; all must be there again, or with
    ``lose`` all but what is lost. What the feeder said then. ``acknowledged`` says whether all is."""
    database, backup = tmp_path / "temporal", tmp_path / "backup"
    database.mkdir()
    async with temporal(database) as timelines:
        await timelines.registry.register(spec)
        async with feeding(connector, timelines, []):
            for first in range(0, 70, 10):
                await asyncio.to_thread(send, messages(first, first + 10))
                await arrived(connector, timelines, spec)
    put(database, backup)
    async with temporal(database) as timelines:
        await asyncio.to_thread(send, messages(70, 210))
        async with feeding(connector, timelines, []):
            await arrived(connector, timelines, spec)
            await eventually(acknowledged)
    put(backup, database)
    if lose is not None:
        lose()
    rows = written(tmp_path)
    said: list[str] = []
    async with temporal(database) as timelines:
        for leaf in leaves_of([spec], 0):
            # What it carries is not in the database, but in a file of the store.
            assert (await started_with(timelines.temporal, leaf))[1]
        if lose is not None:
            async with feeding(connector, timelines, said):
                await eventually(lambda: _has(said, "--accept-gap"))
            assert (await timelines.leaves.status(spec, 0))["accepted"] == 70
        async with feeding(connector, timelines, said, accept_gap=lose is not None):
            await arrived(connector, timelines, spec)
            await asyncio.to_thread(send, messages(210, 220))
            await arrived(connector, timelines, spec)
        gaps = await timelines.registry.gaps(spec.source_id)
        status = await timelines.leaves.status(spec, 0)
        if lose is None:
            assert gaps == []
            check = await check_topic(connector, timelines, spec)
            assert (check.accepted, check.refused, check.differences) == (220, 0, [])
        else:
            assert [(gap["partition"], gap["after"], gap["until"]) for gap in gaps] == [(0, [2, 20], [4, 1])]
            assert (status["accepted"], status["refused"]) == (70 + 70, 0)
        # Each row is there once, of what came since the backup those that are right now.
        await all_written(timelines, spec)
        kept = [*range(70), *range(150, 220)] if lose is not None else range(220)
        local = evaluate(spec.plan, from_rows([("k", n, {"a": n % 3}) for n in kept]), spec.node_limits)
        assert by_key(written(tmp_path)) == expected(spec, local)
        assert len(rows) > 100
        # Once more, nobody goes back.
        before = len(said)
        async with feeding(connector, timelines, said):
            await asyncio.to_thread(send, messages(220, 221))
            await arrived(connector, timelines, spec)
        assert not any("going back" in line or "gap" in line for line in said[before:])
    return said


def put(source: Path, target: Path) -> None:
    """Copies a database of SQLite, which is several files, and a store."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


async def _has(said: list[str], text: str) -> bool:
    return any(text in line for line in said)


def appending(partition: SegmentPartition) -> Send:
    def send(payloads: Sequence[bytes]) -> None:
        for payload in payloads:
            partition.append(payload, "k")

    return send


def all_of(partition: SegmentPartition, spec: Spec) -> Callable[[], Awaitable[bool]]:
    """Asks whether all of a partition is acknowledged."""
    offset = partition.folder / f"timeline-{spec.source_id}.offset"

    async def acknowledged() -> bool:
        return offset.exists() and tuple(json.loads(offset.read_text())) == partition.end()

    return acknowledged


def all_of_topic(connector: Connector, spec: Spec, broker: Broker) -> Callable[[], Awaitable[bool]]:
    """Asks whether all of a topic of Pulsar is acknowledged."""
    [partition] = connector.source(spec).partitions()

    async def acknowledged() -> bool:
        path = f"{partition.name.replace('://', '/')}/internalStats"
        stats = await asyncio.to_thread(broker.admin.ask, path)
        place = place_in(stats, f"timeline-{spec.source_id}")
        return place is not None and place == await asyncio.to_thread(partition.end)

    return acknowledged


async def all_written(timelines: Client, spec: Spec) -> None:
    """Waits until the sink stands where the leaves do."""

    async def there() -> bool:
        [sink] = await timelines.nodes.sinks(spec)
        return sink["position"] == (await timelines.leaves.status(spec, 0))["position"]

    await eventually(there)


def counting(topic: str, folder: Path) -> Spec:
    """A timeline with two leaves, and a sink in a folder that is in no backup."""
    outputs = {"n": "count(a == 1)", "s": "latest_event_to_state(a)"}
    wire: dict[str, Any] = {"name": topic, "outputs": outputs, "source": {"topic": topic}}
    sink = {"folder": str(folder), "outputs": ["n", "s"]}
    return Spec.from_wire({**wire, "limits": {"allowed_lateness": "5ms"}, "sink": sink})


@pytest.mark.parametrize("told", [True, False], ids=["told", "found-out"])
async def test_a_restored_database_gets_what_the_topic_has(
    tmp_path: Path, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not told:
        # As a broker without an admin API: nobody says what was acknowledged.
        monkeypatch.setattr("tests.support.segments.SegmentSubscription.acknowledged", lambda _: None)
        monkeypatch.setattr(going_back, "SILENCE", 0.05)
        monkeypatch.setattr("feeder.topics.live.SILENCE", 0.05)
    segments = Segments(tmp_path)
    topic = f"restore-{uuid.uuid4().hex[:8]}"
    segments.create(topic, 1)
    spec = counting(topic, tmp_path)
    [partition] = segments.source(spec).partitions()
    said = await back_up_and_restore(tmp_path, segments, spec, appending(partition), all_of(partition, spec))
    assert [line for line in said if "going back" in line] == [
        f"{topic}/0: the subscription is ahead of the workflows, as after a restore of an older backup; "
        "going back to [2, 20]"
    ]


async def test_what_the_topic_no_longer_has_is_not_passed_over(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    topic = f"restore-{uuid.uuid4().hex[:8]}"
    segments.create(topic, 1)
    spec = counting(topic, tmp_path)
    [partition] = segments.source(spec).partitions()

    def lose() -> None:
        for number in (1, 2, 3):
            (partition.folder / f"{number:08}.jsonl").unlink()

    said = await back_up_and_restore(
        tmp_path, segments, spec, appending(partition), all_of(partition, spec), lose
    )
    refusal, acceptance = [line for line in said if "no longer has" in line]
    assert refusal.endswith(
        "the workflows have had messages up to [2, 20], as after a restore of an older backup, and the topic "
        "no longer has what lies between that and [4, 1]; nothing is fed. Restore a newer backup or the "
        "topic's messages; or let the feeder go on without them: timeline feeder --accept-gap"
    )
    assert acceptance.endswith("[4, 1]; going on without them (timeline describe counts the gap)")


@pytest.mark.parametrize("told", [True, False], ids=["admin", "no-admin"])
async def test_a_restored_database_beside_pulsar(
    tmp_path: Path, broker: Broker, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if told:
        monkeypatch.setenv("PULSAR_ADMIN_URL", broker.web_url)
    else:
        monkeypatch.setattr(going_back, "SILENCE", 0.5)
        monkeypatch.setattr("feeder.topics.live.SILENCE", 0.5)
    client = await asyncio.to_thread(connect)
    try:
        spec = counting(f"restore-{uuid.uuid4().hex[:8]}", tmp_path)
        assert spec.source.topic is not None
        producer = await asyncio.to_thread(client.create_producer, spec.source.topic)

        def send(payloads: Sequence[bytes]) -> None:
            for payload in payloads:
                producer.send(payload)

        connector = PulsarConnector(client)
        acknowledged = all_of_topic(connector, spec, broker)
        said = await back_up_and_restore(tmp_path, connector, spec, send, acknowledged)
        assert len([line for line in said if "going back" in line]) == 1
    finally:
        await asyncio.to_thread(client.close)

"""What a topic no longer has after a restore: told, accepted by command, and counted by `describe`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from pathlib import Path

import pulsar
import pytest

from feeder.broker import Broker
from feeder.sources.base import ends_of
from feeder.sources.pulsar import PulsarConnector
from producer.pulsar.connection import connect
from tests.support.cli import Cli, stop
from tests.support.waiting import eventually
from tests.system.test_restore import all_of_topic, arrived, counting, feeding, messages, put, temporal
from workflows.client import Client


async def test_a_gap_in_a_topic_of_pulsar_is_told_and_accepted_by_command(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSAR_ADMIN_URL", broker.web_url)
    client = await asyncio.to_thread(connect)
    try:
        await _gap(tmp_path, broker, client)
    finally:
        await asyncio.to_thread(client.close)


async def _gap(tmp_path: Path, broker: Broker, client: pulsar.Client) -> None:
    spec = counting(f"gap-{uuid.uuid4().hex[:8]}", tmp_path)
    assert spec.source.topic is not None
    connector = PulsarConnector(client)
    producer = await asyncio.to_thread(client.create_producer, spec.source.topic)
    database, backup = tmp_path / "temporal", tmp_path / "backup"
    database.mkdir()

    async def feed(timelines: Client, first: int, last: int) -> None:
        for message in messages(first, last):
            await asyncio.to_thread(producer.send, message)
        async with feeding(connector, timelines, []):
            await arrived(connector, timelines, spec)
            await eventually(all_of_topic(connector, spec, broker))

    async with temporal(database) as timelines:
        await timelines.registry.register(spec)
        await feed(timelines, 0, 20)
    put(database, backup)
    async with temporal(database) as timelines:
        await feed(timelines, 20, 40)
    [end] = await asyncio.to_thread(ends_of, connector.source(spec))
    assert end is not None
    put(backup, database)
    # Without retention all is deleted that is acknowledged and lies in a ledger that is full.
    path = f"persistent/public/default/{spec.source.topic}"
    nothing = b'{"retentionTimeInMinutes": 0, "retentionSizeInMB": 0}'
    await asyncio.to_thread(broker.admin.ask, f"{path}/retention", nothing, "POST")
    await asyncio.to_thread(broker.admin.ask, f"{path}/unload", None, "PUT")
    for message in messages(40, 50):
        await asyncio.to_thread(producer.send, message)
    [partition] = connector.source(spec).partitions()

    def first_ledger() -> int:
        with contextlib.closing(partition.read(None)) as cursor:
            return int(cursor.receive(5_000).position[0, 0])

    async def is_deleted() -> bool:
        await asyncio.to_thread(broker.admin.ask, f"{path}/trim", b"", "POST")
        return await asyncio.to_thread(first_ledger) > end[0]

    await eventually(is_deleted)
    async with temporal(database) as timelines:
        cli = Cli(timelines.temporal.service_client.config.target_host, tmp_path)

        async def said_by(options: tuple[str, ...], text: str) -> str:
            process = cli.start("feeder", *options)
            assert process.stdout is not None
            line = ""
            while text not in line:
                line = await asyncio.to_thread(process.stdout.readline)
                assert line, "it has ended"
            if options:
                await arrived(connector, timelines, spec)
            await asyncio.to_thread(stop, process)
            return line

        refusal = await said_by((), "--accept-gap")
        assert "nothing is fed. Restore a newer backup or the topic's messages" in refusal
        assert refusal.count(partition.name) == 1
        assert (await timelines.leaves.status(spec, 0))["accepted"] == 20
        await said_by(("--accept-gap",), "going on without them (timeline describe counts the gap)")
        assert (await timelines.leaves.status(spec, 0))["accepted"] == 20 + 10
        [gap] = await timelines.registry.gaps(spec.source_id)
        assert (gap["partition"], gap["after"], gap["until"][1:]) == (0, [end[0], 19, 0], [0, 0])
        described = await asyncio.to_thread(cli.good, "describe", spec.name)
        assert (
            "1 gap of messages that were never fed:\n"
            f"  partition 0, between {end[0]}.19.0 and {gap['until'][0]}.0.0\n"
        ) in described
        as_json = await asyncio.to_thread(cli.good, "describe", spec.name, "--json")
        assert json.loads(as_json)["gaps"] == [gap]
        await timelines.registry.remove(spec.name)

"""The producer: what arrives at a real broker."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pulsar
import pytest

from feeder.broker import Broker
from producer import send as sending
from producer.generated import playback
from producer.messages import Chunk, limited
from producer.pulsar.connection import connect
from producer.send import Pace, Report, send
from tests.support.cli import PATIENCE, Cli
from tests.support.refusing import changed_once
from timeline.errors import ServiceError


async def test_sent_and_read_back(broker: Broker, tmp_path: Path) -> None:
    topic = f"produced-{time.time_ns()}"
    await broker.create_topic(topic, 2)
    chunks = list(limited(playback(10, seed=1, start=5_000), 500))
    client = await asyncio.to_thread(connect)

    def there_and_back() -> list[tuple[str, int, bytes]]:
        report = send(client, topic, chunks, Pace())
        assert report.sent == {"good": 500, "late": 0, "repeated": 0, "broken": 0}
        found = []
        for partition in range(2):
            reader = client.create_reader(f"{topic}-partition-{partition}", pulsar.MessageId.earliest)
            while reader.has_message_available():
                m = reader.read_next(timeout_millis=PATIENCE * 1_000)
                found.append((m.partition_key(), m.event_timestamp(), m.data()))
            reader.close()
        return found

    found = await asyncio.to_thread(there_and_back)
    await asyncio.to_thread(client.close)
    wanted = [
        (key, tick, payload)
        for c in chunks
        for key, tick, payload in zip(c.key, c.tick.tolist(), c.payload, strict=True)
    ]
    assert sorted(found) == sorted(wanted)


async def test_command(broker: Broker, local_cli: Cli) -> None:
    local_cli.environment["PULSAR_SERVICE_URL"] = broker.service_url
    topic = f"command-{time.time_ns()}"
    common = ("produce", "--to", topic, "--flat-out", "--json", "--start", "1000", "--broken", "10%")
    out = json.loads(await asyncio.to_thread(local_cli.good, *common, "--events", "100"))
    assert out["sent"] == {"good": 100, "late": 0, "repeated": 0, "broken": 10}
    out = await asyncio.to_thread(local_cli.good, "produce", "cards", "--to", topic, "--for", "1s")
    assert out.startswith("sent ")


def test_no_broker(local_cli: Cli) -> None:
    local_cli.environment["PULSAR_SERVICE_URL"] = "pulsar://127.0.0.1:1"
    error = local_cli.bad("produce", "--to", "t", "--events", "1")
    assert "no Pulsar broker answers at pulsar://127.0.0.1:1: connection refused" in error


async def test_a_refused_batch_is_an_error(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in a slice the message is for which it is refused."""
    rows = range(2_000)
    chunk = Chunk([f"k{i % 50}" for i in rows], np.arange(2_000), [b"number-%04d" % i for i in rows])
    for number in (3, 777, 1_990):
        topic = f"refused-{time.time_ns()}"
        await broker.create_topic(topic, 2)
        async with changed_once(broker.port, b"number-%04d" % number, b"NUMBER-%04d" % number) as port:
            monkeypatch.setenv("PULSAR_SERVICE_URL", f"pulsar://127.0.0.1:{port}")
            client = await asyncio.to_thread(connect)
            with pytest.raises(ServiceError, match=r"were not taken: .*Checksum.*; send them again"):
                await asyncio.to_thread(send, client, topic, [chunk], Pace())
            await asyncio.to_thread(client.close)


async def test_as_many_partitions_as_messages_that_may_be_pending(broker: Broker) -> None:
    """Sending would never end if fewer than a batch might be pending for each."""
    topic = f"many-{time.time_ns()}"
    await broker.create_topic(topic, 60)
    client = await asyncio.to_thread(connect)
    chunk = Chunk(["a"] * 3_000, np.arange(3_000), [b"{}"] * 3_000)
    async with asyncio.timeout(PATIENCE):
        report = await asyncio.to_thread(send, client, topic, [chunk], Pace())
    assert report.total == 3_000
    await asyncio.to_thread(client.close)


async def test_a_broker_that_dies_or_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are errors: nobody is told that all was sent."""
    settings = {
        "backlogQuotaCheckIntervalInSeconds": "1",
        "backlogQuotaDefaultLimitBytes": "100000",
        "backlogQuotaDefaultRetentionPolicy": "producer_exception",
    }
    async with Broker(tmp_path / "pulsar", settings=settings) as broker:
        monkeypatch.setenv("PULSAR_SERVICE_URL", broker.service_url)
        monkeypatch.setattr(sending, "TIMEOUT_MS", 5_000)
        client = await asyncio.to_thread(connect)

        def endless() -> Iterator[Chunk]:
            while True:
                yield Chunk([f"k{i}" for i in range(500)], np.arange(500), [b"x" * 50] * 500)

        # Somebody has not read what is in the topic.
        full = f"full-{time.time_ns()}"
        await broker.create_topic(full, 2)
        reader = await asyncio.to_thread(client.subscribe, full, "slow")
        with pytest.raises(ServiceError, match=r"were not taken: .*; send them again"):
            async with asyncio.timeout(PATIENCE):
                await asyncio.to_thread(send, client, full, endless(), Pace(rate=20_000))
        await asyncio.to_thread(reader.close)

        dead = f"dead-{time.time_ns()}"
        await broker.create_topic(dead, 2)
        begun = threading.Event()

        def progress(report: Report) -> None:
            if report.total > 5_000:
                begun.set()

        sent = asyncio.create_task(
            asyncio.to_thread(send, client, dead, endless(), Pace(rate=20_000), on_progress=progress)
        )
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        await broker.stop(kill=True)
        with pytest.raises(ServiceError, match=r"were not taken: .*; send them again"):
            async with asyncio.timeout(PATIENCE):
                await sent

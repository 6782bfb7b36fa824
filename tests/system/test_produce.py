"""The producer: what arrives at a real broker."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pulsar

from feeder.broker import Broker
from producer.generated import playback
from producer.messages import limited
from producer.pulsar.connection import connect
from producer.send import Pace, send
from tests.support.cli import PATIENCE, Cli


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

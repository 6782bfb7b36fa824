"""The broker that tests and demonstrations use: a real one, whose topics survive a kill."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pulsar
import pytest

from feeder.broker import Broker, missing
from producer.connection import connect, partitions
from tests.conftest import Cli, stop, wait_for_line
from timeline.errors import ServiceError

needs_java = pytest.mark.skipif(missing() is not None, reason=missing() or "")


def first_message(url: str, topic: str) -> bytes:
    client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    reader = client.create_reader(topic, pulsar.MessageId.earliest)
    data: bytes = reader.read_next(timeout_millis=30_000).data()
    client.close()
    return data


@needs_java
async def test_topics_survive_a_kill(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "pulsar")
    await broker.start()
    try:

        def send() -> None:
            client = pulsar.Client(broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
            client.create_producer("kept").send(b"still here")
            client.close()

        await asyncio.to_thread(send)
        await broker.stop(kill=True)
        await broker.start()
        assert await asyncio.to_thread(first_message, broker.service_url, "kept") == b"still here"
    finally:
        await broker.stop(kill=True)


async def test_partitioned_topics(broker: Broker) -> None:
    name = f"four-{time.time_ns()}"
    await broker.create_topic(name, 4)
    client = await asyncio.to_thread(connect)
    try:
        assert await asyncio.to_thread(partitions, client, name) == 4
        assert await asyncio.to_thread(partitions, client, f"other-{name}") == 0
    finally:
        await asyncio.to_thread(client.close)
    with pytest.raises(ServiceError, match="could not be made"):
        await broker.create_topic(name, 4)


@needs_java
async def test_a_broker_that_ends_says_why(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "pulsar", settings={"managedLedgerDefaultEnsembleSize": "many"})
    with pytest.raises(ServiceError, match=r"ended at once; see .*broker\.log"):
        await broker.start()


def test_without_java_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feeder.broker.shutil.which", lambda name: None)
    reason = missing()
    assert reason is not None
    assert "needs Java 17 or newer" in reason
    assert "openjdk-17-jre-headless" in reason


@needs_java
def test_command(local_cli: Cli) -> None:
    process = local_cli.start("broker", "--port", "0", "--web-port", "0", "--data", "topics")
    line = wait_for_line(process, "For other commands: export PULSAR_SERVICE_URL=")
    url = line.partition("=")[2].strip()
    client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    client.create_producer("t").send(b"x")
    client.close()
    assert stop(process) == 0

"""Who feeds what: feeders by name, as the broker and the leaves say."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

import pytest

from feeder.broker import Broker
from feeder.sources.base import Reading
from feeder.sources.pulsar import PulsarConnector
from feeder.topics.lead import feeder_of
from feeder.topics.service import Feeder, own_name
from feeder.topics.source import feeding
from producer.pulsar.connection import connect
from tests.support.cli import Cli
from tests.support.waiting import eventually
from tests.system.test_marks import heartbeat
from workflows.client import Client
from workflows.names import node_id


async def test_feeders_by_name(timelines: Client, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = f"fed-{uuid.uuid4().hex[:8]}"
    await broker.create_topic(topic, 2)
    # Marks matter to it, so that a feeder tells the leaves that it leads.
    spec = heartbeat(topic, {"topic": topic, "idle": "never"})
    await timelines.registry.register(spec)
    pulsar = await asyncio.to_thread(connect)
    connector = PulsarConnector(pulsar)
    source = connector.source(spec)

    async def known() -> list[Reading | None]:
        return await asyncio.to_thread(feeding, spec, source)

    def feeder(name: str) -> asyncio.Task[None]:
        made = Feeder(connector, timelines, only=spec.name, say=lambda _: None, name=name)
        return asyncio.create_task(made.run())

    async def who() -> list[list[tuple[str, bool]]]:
        return [[(one.name, one.reads) for one in of.readers] for of in await known() if of is not None]

    assert await known() == [None, None]
    monkeypatch.setenv("PULSAR_ADMIN_URL", broker.web_url)
    assert await who() == [[], []]
    begun = int(time.time() * 1_000)
    one = feeder("one:1")
    await eventually(lambda: _is(who, [[("one:1", True)], [("one:1", True)]]))
    two = feeder("two-b:2")
    # A partition each: the broker goes by their names.
    shared = [[("one:1", True), ("two-b:2", False)], [("two-b:2", True), ("one:1", False)]]
    await eventually(lambda: _is(who, shared))
    now = int(time.time() * 1_000)
    assert all(
        begun <= reader.since <= now for of in await known() if of is not None for reader in of.readers
    )
    producer = pulsar.create_producer(f"{topic}-partition-1")
    sent = producer.send(b'{"machine": "a", "time": 1000, "beat": 1}')
    leaf = node_id(spec, spec.plan.leaves[0], 1)

    async def led() -> bool:
        leader = (await timelines.leaves.stands(leaf)).leader
        return leader is not None and feeder_of(leader) == "two-b:2"

    await eventually(led)

    async def acknowledged() -> bool:
        [_, last] = await known()
        return last is not None and last.acknowledged == (sent.ledger_id(), sent.entry_id(), 0)

    await eventually(acknowledged)
    two.cancel()
    await asyncio.gather(two, return_exceptions=True)
    await eventually(lambda: _is(who, [[("one:1", True)], [("one:1", True)]]))
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    await timelines.registry.remove(spec.name)
    await asyncio.to_thread(pulsar.close)


async def _is(found: Callable[[], Awaitable[object]], wanted: object) -> bool:
    return await found() == wanted


def test_a_name_that_was_not_given_is_of_machine_and_process() -> None:
    assert Feeder(None, None).name == own_name()  # type: ignore[arg-type]
    host, _, process = own_name().rpartition(":")
    assert host
    assert process.isdecimal()


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 101])
def test_names_that_are_none(local_cli: Cli, name: str) -> None:
    assert "--name has 1 to 100 characters" in local_cli.bad("feeder", "--name", name)

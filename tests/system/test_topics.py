"""Feeding topics: where a source begins, timelines that come and go, dead letters, keys in two partitions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pulsar
import pytest

from feeder.broker import Broker
from feeder.checks.topic import check_topic
from feeder.sources.pulsar import PulsarConnector
from feeder.topics.dead_letters import count_by_kind
from feeder.topics.service import Feeder
from producer.pulsar.connection import connect
from tests.support.cli import Cli
from tests.support.waiting import eventually
from timeline.errors import NotCaughtUpError, NotFoundError, SplitKeyError
from timeline.spec.spec import Spec
from workflows.client import Client

PLAYING = 'duration_where(latest_event_to_state(state) == "play")'


def topic_spec(topic: str, name: str, expression: str = PLAYING, **source: Any) -> Spec:
    where = {"topic": topic, "key": "session"} | source
    return Spec.from_wire({"name": name, "expression": expression, "source": where})


class Topic:
    """A new topic of the test's broker, to send to, and a feeder for all timelines."""

    def __init__(self, client: pulsar.Client, timelines: Client, name: str) -> None:
        self.client, self.timelines, self.name = client, timelines, name
        self.connector = PulsarConnector(client)
        self.said: list[str] = []
        self.feeder = Feeder(self.connector, timelines, say=self.said.append)

    async def send(self, *events: dict[str, Any] | bytes, key: str | None = "a") -> None:
        """Sends events, or bytes as they are, in order."""

        def work() -> None:
            producer = self.client.create_producer(self.name)
            for event in events:
                body = event if isinstance(event, bytes) else orjson.dumps(event)
                producer.send(body, partition_key=key)
            producer.close()

        await asyncio.to_thread(work)

    @contextlib.asynccontextmanager
    async def fed(self) -> AsyncIterator[None]:
        """While this lasts, a feeder runs."""
        task = asyncio.create_task(self.feeder.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def value(self, spec: Spec, key: str, at: int) -> Any:
        """The value once the key's newest event is at or behind ``at``, or at all known then."""

        async def asked() -> bool:
            with contextlib.suppress(NotFoundError, NotCaughtUpError):
                [newest] = await self.timelines.questions.values(spec, spec.plan.result, [(key, None)])
                return newest.at is not None and newest.at >= at
            return False

        await eventually(asked)
        [answer] = await self.timelines.questions.values(spec, spec.plan.result, [(key, at)])
        return answer.value


@pytest.fixture
async def topic(broker: Broker, timelines: Client) -> AsyncIterator[Topic]:
    client = await asyncio.to_thread(connect)
    made = Topic(client, timelines, f"topic-{time.time_ns()}")
    try:
        yield made
    finally:
        for name, spec in (await timelines.registry.specs()).items():
            if spec.source.topic == made.name:
                await timelines.registry.remove(name)
        await asyncio.to_thread(client.close)


def event(at: int, state: str, session: str = "a") -> dict[str, Any]:
    return {"session": session, "time": at, "state": state}


async def test_timelines_that_come_and_go_while_the_feeder_runs(topic: Topic) -> None:
    first = topic_spec(topic.name, "come-first")
    second = topic_spec(topic.name, "come-second", 'count(state == "play")')
    await topic.timelines.registry.register(first)
    async with topic.fed():
        await topic.send(event(1_000, "play"), event(4_000, "stop"))
        assert await topic.value(first, "a", 4_000) == 3
        # Registered in mid-stream, it has what was there before.
        await topic.timelines.registry.register(second)
        assert await topic.value(second, "a", 4_000) == 1
        await topic.send(event(5_000, "play"))
        assert await topic.value(second, "a", 5_000) == 2
        await topic.timelines.registry.remove("come-first")
        await topic.send(event(6_000, "play"))
        assert await topic.value(second, "a", 6_000) == 3
        # Removed and registered anew at once, under the same ids: from the beginning, and nothing twice.
        await topic.timelines.registry.remove("come-second")
        await topic.timelines.registry.register(second)
        await topic.send(event(7_000, "play"))
        assert await topic.value(second, "a", 7_000) == 4
        await topic.timelines.registry.register(first)
        await topic.send(event(9_000, "stop"))
        assert await topic.value(first, "a", 9_000) == 7
    for spec in (first, second):
        assert (await check_topic(topic.connector, topic.timelines, spec)).differences == []


async def test_every_message_keeps_a_key_alive(topic: Topic) -> None:
    spec = topic_spec(topic.name, "come-silent", "gaps(5s)")
    await topic.timelines.registry.register(spec)
    async with topic.fed():
        await topic.send(
            {"session": "a", "time": 1_000}, event(4_000, "play"), {"session": "a", "time": 12_000}
        )
        assert await topic.value(spec, "a", 8_999) == 0
        assert await topic.value(spec, "a", 12_000) == 1
    assert (await check_topic(topic.connector, topic.timelines, spec)).differences == []


async def test_one_that_comes_later_is_registered_once_a_feeder_has_brought_it_all(topic: Topic) -> None:
    first = topic_spec(topic.name, "caught-first")
    second = topic_spec(topic.name, "caught-second", 'count(state == "play")')
    await topic.timelines.register(first)
    async with topic.fed():
        await topic.send(*(event(i * 1_000, ("play", "stop")[i % 2]) for i in range(2_000)))
        assert await topic.value(first, "a", 1_999_000) == 1_000
    # Nobody feeds: what there is to wait for is told, and no part of it is an answer.
    [done] = await topic.timelines.register_all([second], patience="200ms")
    assert "a feeder brings it what it lacks (`timeline feeder`)" in str(done.not_caught_up)
    with pytest.raises(NotCaughtUpError, match="it is at the beginning"):
        await topic.timelines.query("caught-second", "a")
    async with topic.fed():
        # Again it changes nothing, and waits.
        [done] = await topic.timelines.register_all([second], patience="2m")
        assert (done.new, done.not_caught_up) == (False, None)
        [answer] = await topic.timelines.query("caught-second", "a")
        assert (answer.at, answer.value) == (1_999_000, 1_000)
        third = topic_spec(topic.name, "caught-third", 'count(state == "stop")')
        await topic.timelines.register(third, patience="2m")
        [answer] = await topic.timelines.query("caught-third", "a")
        assert (answer.at, answer.value) == (1_999_000, 1_000)


async def test_where_a_source_begins(topic: Topic) -> None:
    await topic.send(event(1_000, "play"), event(2_000, "stop"))
    await asyncio.sleep(0.05)  # publish times have milliseconds
    between = int(time.time() * 1_000)
    await asyncio.sleep(0.05)
    await topic.send(event(3_000, "play"), event(5_000, "stop"))
    whole = topic_spec(topic.name, "from-earliest")
    some = topic_spec(topic.name, "from-time", start=str(between))
    none = topic_spec(topic.name, "from-latest", start="latest")
    for spec in (whole, some, none):
        await topic.timelines.registry.register(spec)
    async with topic.fed():
        assert await topic.value(whole, "a", 5_000) == 3
        assert await topic.value(some, "a", 5_000) == 2
        await topic.send(event(7_000, "play"), event(8_000, "stop"))
        assert await topic.value(whole, "a", 8_000) == 4
        assert await topic.value(some, "a", 8_000) == 3
        assert await topic.value(none, "a", 8_000) == 1
    # A feeder that comes later does not begin elsewhere.
    topic.feeder = Feeder(topic.connector, topic.timelines, say=topic.said.append)
    async with topic.fed():
        await topic.send(event(9_000, "play"))
        assert [await topic.value(spec, "a", 9_000) for spec in (whole, some, none)] == [4, 3, 1]


async def test_dead_letters(topic: Topic, cli: Cli, broker: Broker) -> None:
    spec = topic_spec(topic.name, "letters")
    await topic.timelines.registry.register(spec)
    cli.environment["PULSAR_SERVICE_URL"] = broker.service_url
    source = topic.connector.source(spec)
    async with topic.fed():
        await topic.send(event(100_000, "play"), b"{oops", event(1_000, "stop"), event(101_000, "stop"))
        assert await topic.value(spec, "a", 101_000) == 1

        async def written() -> bool:
            return (await asyncio.to_thread(count_by_kind, source)).total() == 2

        await eventually(written)
        letters = await asyncio.to_thread(lambda: list(source.letters()))
        assert [(x.kind, x.key, x.payload) for x in letters] == [
            ("broken", "a", b"{oops"),
            ("late", "a", orjson.dumps(event(1_000, "stop"))),
        ]
        out = (await asyncio.to_thread(cli.good, "dead-letters", "letters", "--json")).splitlines()
        first, second = map(json.loads, out)
        assert (first["reason"], first["message"]) == ("not JSON", "{oops")
        assert second["reason"] == "older than allowed_lateness permits"
        text = await asyncio.to_thread(cli.good, "dead-letters", "letters", "--kind", "late")
        assert text.count("\n") == 1
        assert "late: older than allowed_lateness permits" in text
        again = ("dead-letters", "letters", "--kind", "broken", "--send-again")
        assert "sent 1 broken messages" in await asyncio.to_thread(cli.good, *again)

        async def back() -> bool:
            return (await asyncio.to_thread(count_by_kind, source))["broken"] == 2

        await eventually(back)
    # What was sent again was refused again; each dead letter is sent but once.
    assert "sent 1 broken messages" in await asyncio.to_thread(cli.good, *again)
    assert "sent 0 broken messages" in await asyncio.to_thread(cli.good, *again)
    assert "--send-again needs --kind" in cli.bad("dead-letters", "letters", "--send-again")


async def test_watch(topic: Topic, cli: Cli) -> None:
    spec = topic_spec(topic.name, "watched")
    await topic.timelines.registry.register(spec)
    async with topic.fed():
        await topic.send(event(1_000, "play"), event(4_000, "stop"), event(2_000, "play", "b"))
        await topic.value(spec, "b", 2_000)
    look = json.loads(await asyncio.to_thread(cli.good, "watch", "watched", "--once", "--json"))
    rows = [(row["key"], row["value"], row["time"]) for row in look["keys"]]
    assert rows == [("a", 3, 4_000), ("b", 0, 2_000)]
    assert (look["accepted"], look["refused"], look["count"]) == (3, 0, 2)
    text = await asyncio.to_thread(cli.good, "watch", "watched", "--once", "--rows", "1")
    assert "watched: 2 keys, 3 events accepted, 0 refused" in text


async def test_a_key_in_two_partitions_is_explained(topic: Topic, broker: Broker) -> None:
    await broker.create_topic(topic.name, 2)
    spec = topic_spec(topic.name, "split")
    await topic.timelines.registry.register(spec)
    async with topic.fed():
        # Without a message key they go to one partition, then to the other.
        for partition in range(2):
            producer = await asyncio.to_thread(
                topic.client.create_producer, f"{topic.name}-partition-{partition}"
            )
            body = orjson.dumps(event(1_000 + partition, "play"))
            await asyncio.to_thread(producer.send, body)
            await asyncio.to_thread(producer.close)

        async def both() -> bool:
            with contextlib.suppress(NotFoundError):
                try:
                    await topic.timelines.questions.values(spec, spec.plan.result, [("a", None)])
                except SplitKeyError:
                    return True
            return False

        await eventually(both)
        with pytest.raises(SplitKeyError, match="with the column 'session' as the message key"):
            await topic.timelines.questions.values(spec, spec.plan.result, [("a", None)])
        assert any("without a message key" in text for text in topic.said), topic.said


async def test_files_and_topics_do_not_mix(topic: Topic, cli: Cli, tmp_path: Any) -> None:
    spec = topic_spec(topic.name, "mixed")
    await topic.timelines.registry.register(spec)
    file = tmp_path / "e.jsonl"
    file.write_bytes(orjson.dumps(event(1_000, "play")) + b"\n")
    async with topic.fed():
        await topic.send(event(1_000, "play"))
        await topic.value(spec, "a", 1_000)
    assert "is fed from its topic" in await asyncio.to_thread(cli.bad, "feed", "mixed", str(file))
    error = await asyncio.to_thread(cli.bad, "feed", "mixed")
    assert "give files of events or --pulsar" in error

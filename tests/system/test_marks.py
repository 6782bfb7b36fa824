"""Marks: the time of a stream goes on although nothing comes, the same for all that read it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from feeder.broker import Broker
from feeder.checks.dry_run import compare
from feeder.checks.topic import check_topic
from feeder.files import MarkError, feed_files, mark_files
from feeder.sources.pulsar import PulsarConnector
from feeder.topics.service import Feeder
from producer.pulsar.connection import connect
from tests.support.cli import Cli
from tests.support.places import ROOT
from tests.support.segments import Segments
from tests.support.sinks import written
from tests.support.waiting import eventually
from tests.system.test_segments import Running
from timeline.errors import LimitError, NotFoundError
from timeline.limits import Limits
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.tables.marks import mark_of
from timeline.values.ticks import parse_time
from workflows.client import Client
from workflows.names import node_id, sink_id

MINUTE = 60_000


def heartbeat(name: str, source: dict[str, Any], folder: Path | None = None, **limits: Any) -> Spec:
    """Whether a machine has sent no beat for five minutes; rows of a sink when that changes."""
    wire = {
        "name": name,
        "expression": "!has_existed_within(beat == 1, 5m)",
        "source": {"key": "machine", **source},
        "limits": {"allowed_lateness": "5s", "watermark": "stream", **limits},
    }
    return Spec.from_wire(wire | ({"sink": {"folder": str(folder)}} if folder else {}))


def beats(*events: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"machine": machine, "time": at, "beat": 1} for machine, at in events]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


async def rows_of(folder: Path) -> list[tuple[str, int, bool]]:
    return [(row["key"], row["time"], row["value"]) for row in written(folder)]


async def test_an_alert_of_files_comes_when_time_goes_on(timelines: Client, tmp_path: Path) -> None:
    name = f"heartbeat-{uuid.uuid4().hex[:8]}"
    out = tmp_path / "out"
    spec = heartbeat(name, {"name": name}, out)
    await timelines.registry.register(spec)
    with pytest.raises(MarkError, match="was fed nothing yet"):
        await mark_files(timelines, spec)
    await feed_files(timelines, spec, [write(tmp_path / "a.jsonl", beats(("a", MINUTE), ("b", 2 * MINUTE)))])
    assert await rows_of(out) == [("a", MINUTE, False)]

    assert await mark_files(timelines, spec, 6 * MINUTE + 5_001) == 6 * MINUTE + 5_001
    alert = ("a", 6 * MINUTE, True)
    assert await rows_of(out) == [("a", MINUTE, False), alert, ("b", 2 * MINUTE, False)]
    with pytest.raises(MarkError, match="is 365001 ms already, got 365001 ms"):
        await mark_files(timelines, spec, 6 * MINUTE + 5_001)
    with pytest.raises(LimitError, match=r"ahead of the clock, and limits\.max_ahead is 1d"):
        await mark_files(timelines, spec, 4_000_000_000_000)
    [answer] = await timelines.questions.values(spec, spec.plan.result, [("b", 6 * MINUTE)])
    assert (answer.value, answer.final) == (False, True)
    [answer] = await timelines.questions.values(spec, spec.plan.result, [("b", None)])
    assert (answer.value, answer.at, answer.final) == (False, 6 * MINUTE + 5_001, False)

    late = write(tmp_path / "b.jsonl", beats(("b", 6 * MINUTE), ("c", 6 * MINUTE + 1), ("a", 7 * MINUTE)))
    report = await feed_files(timelines, spec, [late])
    assert (report.accepted, report.refused) == (2, 1)
    await mark_files(timelines, spec, 20 * MINUTE)
    rows = await rows_of(out)
    assert sorted(rows[3:]) == [
        ("a", 7 * MINUTE, False),
        ("a", 12 * MINUTE, True),
        ("b", 7 * MINUTE, True),
        ("c", 6 * MINUTE + 1, False),
        ("c", 11 * MINUTE + 1, True),
    ]
    assert (await compare(timelines, spec)).differences == []

    # Who comes later has the same marks between the same lines.
    later = heartbeat(f"{name}-later", {"name": name})
    await timelines.registry.register(later)
    other = Spec.from_wire({**later.to_wire(), "name": f"{name}-other", "expression": "count(beat == 1)"})
    await timelines.registry.register(other)
    await feed_files(timelines, other, [])
    status = await timelines.leaves.status(other, 0)
    assert (status["accepted"], status["refused"], status["newest"]) == (4, 1, 20 * MINUTE)
    assert (await compare(timelines, other)).differences == []


async def test_the_example_tells_who_is_silent(timelines: Client, tmp_path: Path) -> None:
    for path in (ROOT / "examples").glob("heartbeat.*"):
        (tmp_path / path.name).write_text(path.read_text())
    example = load_spec(tmp_path / "heartbeat.toml")
    assert Spec.from_wire(example.to_wire()) == example
    await timelines.registry.register(example)
    await feed_files(timelines, example, [Path(file) for file in example.source.files])

    def alerts() -> list[tuple[str, str, int]]:
        at = "%H:%M:%S"
        rows = written(tmp_path / "silences")
        found = [
            (r["key"], datetime.fromtimestamp(r["time"] / 1_000, UTC).strftime(at), r["silences"])
            for r in rows
        ]
        return sorted(found)

    assert alerts() == [("press", "08:08:05", 1), ("saw", "08:19:20", 1)]
    await mark_files(timelines, example, parse_time("2026-11-29T08:30:00Z"))
    assert alerts() == [("press", "08:08:05", 1), ("press", "08:29:05", 2), ("saw", "08:19:20", 1)]
    assert (await compare(timelines, example)).differences == []
    await timelines.registry.remove(example.name)


async def test_mark_on_the_command_line(timelines: Client, cli: Cli, tmp_path: Path) -> None:
    name = f"mark-{uuid.uuid4().hex[:8]}"
    await timelines.registry.register(heartbeat(name, {}, watermark="key"))
    done = await asyncio.to_thread(cli.run, "mark", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'give limits.watermark = "stream" or limits.key_ttl' in done.stderr
    await timelines.registry.remove(name)
    spec = heartbeat(name, {}, shards=2)
    await timelines.registry.register(spec)
    await feed_files(timelines, spec, [write(tmp_path / "a.jsonl", beats(("a", 1), ("b", 2), ("c", 3)))])
    done = await asyncio.to_thread(cli.run, "mark", name, "--at", "1970-01-01T00:10:00Z")
    assert (done.returncode, done.stdout) == (0, f"{name}: the time of the stream is 600000 ms\n")
    for stream in range(2):
        place = await timelines.nodes.position(node_id(spec, spec.plan.result, stream))
        assert mark_of(place) == 600_000
    done = await asyncio.to_thread(cli.run, "mark", name, "--at", "nonsense")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


class Silent(Running):
    """Feeders of a topic of one partition in segments."""

    async def stands_at(self, spec: Spec, place: Position | None) -> Position:
        """Where the result stands, as soon as that is a mark behind a place."""
        found: list[Position] = []

        async def there() -> bool:
            reached = await self.timelines.nodes.position(node_id(spec, spec.plan.result, 0))
            if reached is not None and mark_of(reached) is not None and reached > (place or ()):
                found.append(reached)
            return bool(found)

        await eventually(there)
        return found[0]


async def test_a_silent_topic_goes_on_with_the_clock(timelines: Client, tmp_path: Path) -> None:
    topic = f"silent-{uuid.uuid4().hex[:8]}"
    out = tmp_path / "out"
    source = {"topic": topic, "idle": "50ms"}
    spec = Spec.from_wire(
        {
            **heartbeat(topic, source, out, allowed_lateness="100ms").to_wire(),
            "expression": "!has_existed_within(beat == 1, 1s)",
        }
    )
    segments = Segments(tmp_path)
    segments.create(topic, 1)
    await timelines.registry.register(spec)
    [partition] = segments.source(spec).partitions()

    def send(*events: tuple[str, int]) -> None:
        for row in beats(*events):
            partition.append(json.dumps(row).encode(), row["machine"])

    one, standby = Silent(tmp_path, timelines), Silent(tmp_path, timelines)
    async with one.running():
        send(("a", 10_000), ("b", 10_200))
        await eventually(lambda: _has(out, ("a", 11_000, True)))
        assert await _has(out, ("b", 11_200, True)) or await one.stands_at(spec, None)
        # A mark of the one that has the lead is between these lines, or was never sent.
        async with standby.running():
            place = await one.stands_at(spec, (1, 2))
            send(("a", 9_000), ("c", (mark_of(place) or 0) + MINUTE))
            place = await one.stands_at(spec, (1, 4))
    status = await timelines.leaves.status(spec, 0)
    assert (status["accepted"], status["refused"]) == (3, 1)

    # A feeder that comes later goes on, with a timeline that comes later still.
    later = Spec.from_wire({**spec.to_wire(), "name": f"{topic}-later", "expression": "count(beat == 1)"})
    await timelines.registry.register(later)
    async with one.running():
        after = await one.stands_at(spec, place)
        await one.stands_at(later, place)
        send(("b", (mark_of(after) or 0) + MINUTE))
        await one.stands_at(later, (1, 5))
        await one.stands_at(spec, (1, 5))
    for each in (spec, later):
        check = await check_topic(segments, timelines, each)
        assert (check.accepted, check.refused, check.differences) == (4, 1, [])
        # Feeders of other tests would look for its topic.
        await timelines.registry.remove(each.name)


async def test_a_silent_topic_of_pulsar(timelines: Client, broker: Broker, tmp_path: Path) -> None:
    topic = f"silent-{uuid.uuid4().hex[:8]}"
    await broker.create_topic(topic, 2)
    out = tmp_path / "out"
    wire = heartbeat(topic, {"topic": topic, "idle": "100ms"}, out, allowed_lateness="100ms").to_wire()
    spec = Spec.from_wire(wire | {"expression": "!has_existed_within(beat == 1, 1s)"})
    await timelines.registry.register(spec)
    client = await asyncio.to_thread(connect)
    connector = PulsarConnector(client)
    try:
        # A batch of the client's own, whose messages are of one entry.
        producer = await asyncio.to_thread(
            client.create_producer, topic, batching_enabled=True, batching_max_publish_delay_ms=50
        )
        for row in beats(("a", 10_000), ("b", 10_200)):
            producer.send_async(json.dumps(row).encode(), lambda *_: None, partition_key=row["machine"])
        await asyncio.to_thread(producer.flush)

        # With the feeder that had the messages, and with one that comes when all is read and silent.
        reached = 11_300
        for _ in range(2):
            task = asyncio.create_task(Feeder(connector, timelines, say=lambda _: None).run())
            await eventually(partial(_stands_later, timelines, spec, reached))
            task.cancel()
            await asyncio.wait([task])
            reached = await _time(timelines, spec)
        assert {("a", 11_000, True), ("b", 11_200, True)} <= set(await rows_of(out))
        check = await check_topic(connector, timelines, spec)
        assert (check.accepted, check.refused, check.differences) == (2, 0, [])
        await timelines.registry.remove(spec.name)
    finally:
        await asyncio.to_thread(client.close)


async def _time(timelines: Client, spec: Spec) -> int:
    """The time of the stream that is furthest; all of it is written."""
    return max(
        [mark_of(await timelines.nodes.position(sink_id(spec, spec.sink(), n))) or -1 for n in range(2)]
    )


async def _stands_later(timelines: Client, spec: Spec, than: int) -> bool:
    try:
        return await _time(timelines, spec) > than
    except NotFoundError:  # the feeder has not opened the source yet
        return False


async def _has(out: Path, row: tuple[str, int, bool]) -> bool:
    return row in await rows_of(out)


def test_what_goes_by_the_time_of_the_stream() -> None:
    assert not Limits(5).heeds_stream
    assert not Limits(None, by_stream=True).heeds_stream
    assert Limits(5, by_stream=True).heeds_stream
    assert Limits(5, key_ttl=7).heeds_stream

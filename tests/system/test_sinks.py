"""Sinks: what they write is what queries say of final values, each row once, whatever is killed."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pulsar
import pytest

from feeder.broker import Broker
from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from producer.pulsar.connection import connect
from producer.pulsar.sink import TopicWriter
from tests.support.cli import PATIENCE, Cli, stop
from tests.support.places import ROOT
from tests.support.servers import make_server
from tests.support.sinks import (
    OUTPUTS,
    Values,
    batch,
    by_key,
    events,
    expected,
    expected_groups,
    spec,
    write,
    written,
    written_parquet,
)
from timeline.sinks.batches import write_batch
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import sink_id


async def feed_in_parts(timelines: Client, wanted: Spec, path: Path, rows: list[dict[str, Any]]) -> None:
    for end in range(len(rows) // 4, len(rows) + 1, len(rows) // 4):
        write(path, rows[:end])
        await feed_files(timelines, wanted, [path])


@pytest.mark.parametrize(
    ("more", "ttl", "holds"),
    [
        ({}, None, lambda v: True),
        ({"where": "seconds > 2.5"}, None, lambda v: v["seconds"] > 2.5),
        ({"outputs": ["late"], "where": "late"}, "5s", lambda v: v["late"]),
        ({"every": "700ms", "where": 'state == "buffer"'}, "5s", lambda v: v["state"] == "buffer"),
        ({"every": "2s", "outputs": ["seconds"]}, None, lambda v: True),
        ({"on": "close", "where": "seconds > 1"}, "5s", lambda v: v["seconds"] > 1),
    ],
    ids=["change", "where", "alert", "every", "every-output", "close"],
)
async def test_rows_are_the_final_values(
    timelines: Client,
    tmp_path: Path,
    more: dict[str, Any],
    ttl: str | None,
    holds: Callable[[Values], bool],
) -> None:
    limits = {"key_ttl": ttl} if ttl else {}
    wanted = spec({"folder": str(tmp_path / "out")} | more, shards=2, **limits)
    await timelines.registry.register(wanted)
    await feed_in_parts(timelines, wanted, tmp_path / "events.jsonl", events(1, 5, 24))
    comparison = await compare(timelines, wanted)
    assert comparison.differences == []
    rows = written(tmp_path / "out")
    assert by_key(rows) == expected(wanted, comparison.evaluation, holds)
    assert rows
    # Asked for, the same; and nothing of it may still change.
    answers = await timelines.questions.values(
        wanted, wanted.plan.result, [(row["key"], row["time"]) for row in rows]
    )
    for row, answer in zip(rows, answers, strict=True):
        assert answer.final
        assert isinstance(answer.value, dict)
        assert {n: v for n, v in row.items() if n in OUTPUTS}.items() <= answer.value.items()


async def test_groups_of_all_keys_at_intervals(timelines: Client, tmp_path: Path) -> None:
    sink = {
        "folder": str(tmp_path / "out"),
        "every": "2s",
        "agg": "count, avg(seconds)",
        "group_by": ["state"],
    }
    wanted = spec(sink | {"where": "seconds < 10"}, key_ttl="5s")
    await timelines.registry.register(wanted)
    await feed_in_parts(timelines, wanted, tmp_path / "events.jsonl", events(2, 6, 30))
    local = (await compare(timelines, wanted)).evaluation
    rows = written(tmp_path / "out")
    assert len({row["id"] for row in rows}) == len(rows) > 10
    found = {(r["time"], r["state"]): (r["count"], r["avg(seconds)"]) for r in rows}
    assert found == expected_groups(wanted, local, 2_000, 10)


def read_topic(topic: str) -> list[Values]:
    client = connect()
    try:
        reader = client.create_reader(topic, pulsar.MessageId.earliest)
        rows = []
        while reader.has_message_available():
            rows.append(orjson.loads(reader.read_next(PATIENCE * 1_000).data()))
        return rows
    finally:
        client.close()


async def test_three_kills_lose_no_row_and_write_none_twice(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSAR_ADMIN_URL", broker.web_url)
    topic = f"rows-{uuid.uuid4().hex[:8]}"
    folders = {kind: tmp_path / kind for kind in ("jsonl", "parquet")}
    sinks: list[dict[str, Any]] = [{"topic": topic}]
    sinks += [{"folder": str(folder), "format": kind} for kind, folder in folders.items()]
    rows = events(3, 6, 400)
    async with make_server(tmp_path / "dev.db") as server:
        cli = Cli(server.address, tmp_path)

        running = await asyncio.to_thread(cli.worker)
        timelines = Client(await connect_embedded(server.address))
        specs = [spec(sink) for sink in sinks]
        await asyncio.gather(*map(timelines.registry.register, specs))
        kills = 0
        for end in range(len(rows) // 4, len(rows) + 1, len(rows) // 4):
            path = write(tmp_path / "events.jsonl", rows[:end])
            feeding = asyncio.gather(*(feed_files(timelines, one, [path]) for one in specs))
            if kills < 3:
                # As soon as an activity of this part is under way.
                await asyncio.to_thread(_grows, folders["jsonl"])
                assert not feeding.done()
                await asyncio.to_thread(stop, running, signal.SIGKILL)
                kills += 1
                running = await asyncio.to_thread(cli.worker)
            await feeding
        found = [await asyncio.to_thread(read_topic, topic)]
        found += [written(folders["jsonl"]), written_parquet(folders["parquet"])]
        for wanted, got in zip(specs, found, strict=True):
            comparison = await compare(timelines, wanted)
            assert comparison.differences == []
            assert by_key(got) == expected(wanted, comparison.evaluation)
            [status] = await timelines.nodes.sinks(wanted)
            assert (status["rows"], status["exactly_once"]) == (len(got), True)
            assert status["rows"] > 500
        described = await asyncio.to_thread(cli.good, "describe", specs[0].name)
        assert f"sink of stream 0: topic {topic}, {len(found[0])} rows" in described
        assert "exactly once" in described
        assert await asyncio.to_thread(stop, running) == 0
    assert kills == 3


def _grows(folder: Path) -> None:
    """Waits until the one file of a folder is longer."""
    deadline = time.monotonic() + PATIENCE
    before = now = sum(path.stat().st_size for path in folder.glob("*"))
    while now == before:
        assert time.monotonic() < deadline
        time.sleep(0.002)
        now = sum(path.stat().st_size for path in folder.glob("*"))


@pytest.mark.parametrize("deduplicated", [True, False])
async def test_rows_that_are_sent_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, deduplicated: bool
) -> None:
    monkeypatch.setenv("PULSAR_ADMIN_URL", broker.web_url if deduplicated else "")
    topic = f"again-{uuid.uuid4().hex[:8]}"
    first, second = batch(topic, 0, 100, kind="topic"), batch(topic, 1, 50, kind="topic")
    # The first was cut off after 60 rows.
    part = batch(topic, 0, 60, kind="topic")
    said = [await asyncio.to_thread(write_batch, TopicWriter, one) for one in (part, first, second, first)]
    assert said[2]["exactly_once"] is deduplicated
    ids = [row["id"] for row in await asyncio.to_thread(read_topic, topic)]
    if deduplicated:
        assert ids == [f"i/{n}" for n in range(150)]
    else:
        assert len(ids) == 60 + 100 + 50 + 100


async def test_the_example_tells_who_waits_too_long(timelines: Client, tmp_path: Path) -> None:
    for path in (ROOT / "examples").glob("rebuffering-alert.*"):
        (tmp_path / path.name).write_text(path.read_text())
    example = load_spec(tmp_path / "rebuffering-alert.toml")
    assert Spec.from_wire(example.to_wire()) == example
    await timelines.registry.register(example)
    await feed_files(timelines, example, [Path(file) for file in example.source.files])
    assert written(tmp_path / "alerts") == [
        {
            "id": "rebuffering-alert/0/ann/9001",
            "timeline": "rebuffering-alert",
            "stream": 0,
            "key": "ann",
            "time": 9_001,
            "too_long": True,
        }
    ]
    [status] = await timelines.nodes.sinks(example)
    assert (status["rows"], status["position"]) == (1, [1, 8])
    ran = await timelines.registry.remove(example.name)
    assert len(ran) == len(example.plan.nodes)
    # The sink is told too, and ends.
    await timelines.temporal.get_workflow_handle(sink_id(example, example.sink(), 0)).result()

"""Sinks: what they write is what queries say of final values, each row once, whatever is killed."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pulsar
import pyarrow.parquet
import pytest

from feeder.broker import Broker
from feeder.dry_run import compare
from feeder.feed import feed_files
from producer.connection import connect
from tests.conftest import Cli, stop, wait_for_line
from timeline.evaluate import Evaluation
from timeline.spec import Spec
from workflows.client import Timelines
from workflows.connection import connect_embedded
from workflows.server import DevServer

OUTPUTS = {
    "state": "latest_event_to_state(state)",
    "seconds": 'duration_where(@state == "buffer")',
    "late": "@seconds > 2.5",
}
LIMITS = {"allowed_lateness": "3s", "retention": "1h"}
Values = dict[str, Any]


def spec(sink: dict[str, Any], *, shards: int = 1, **limits: str) -> Spec:
    return Spec.from_wire(
        {
            "name": f"t-{uuid.uuid4().hex[:8]}",
            "outputs": OUTPUTS,
            "source": {"key": "session"},
            "limits": LIMITS | limits | {"shards": shards},
            "sink": sink,
        }
    )


def events(seed: int, keys: int, each: int) -> list[dict[str, Any]]:
    """Some of every key, a little out of order, at ms that are not round."""
    chance = random.Random(seed)
    return [
        {
            "session": f"k{key}",
            "time": 1_000 * step + chance.randrange(4_000),
            "state": chance.choice(["play", "buffer", "seek"]),
        }
        for step in range(each)
        for key in range(keys)
        # The later ones go on for longer, so that others close meanwhile.
        if step < each * (key + 1) / keys
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


async def feed_in_parts(timelines: Timelines, wanted: Spec, path: Path, rows: list[dict[str, Any]]) -> None:
    for end in range(len(rows) // 4, len(rows) + 1, len(rows) // 4):
        write(path, rows[:end])
        await feed_files(timelines, wanted, [path])


def expected(
    wanted: Spec, local: Evaluation, holds: Callable[[Values], bool] = lambda _: True
) -> dict[str, dict[int, Values]]:
    """By key and tick what the sink must say, found by looking at every single ms."""
    sink, limits = wanted.sink, wanted.limits
    assert sink is not None
    newest_of_all = max(local.span(key)[1] for key in local.names())
    found: dict[str, dict[int, Values]] = {}
    for key in local.names():
        origin, newest = local.span(key)
        over = limits.key_ttl is not None and newest_of_all - newest >= limits.key_ttl
        until = newest + (limits.key_ttl or 0) if over else newest - limits.allowed_lateness
        if until <= origin:
            continue
        values: dict[int, Any] = {
            row.at: row.value for row in local.values(every=1, start=origin, end=until - 1, keys=[key])
        }
        if sink.when == "close":
            ticks = [newest] if over else []
        elif sink.every:
            ticks = [t for t in values if t % sink.every == 0]
        else:
            nodes = [local.plan.outputs[name] for name in sink.outputs or OUTPUTS]
            breaks = {row[0] for node in nodes for row in local.timeline(key, node).json_rows()}
            ticks = [t for t in values if t in breaks or (t > origin and not holds(values[t - 1]))]
        shown = sink.outputs or tuple(OUTPUTS)
        rows = {t: {name: values[t][name] for name in shown} for t in ticks if holds(values[t])}
        if rows:
            found[key] = rows
    return found


def by_key(rows: list[Values]) -> dict[str, dict[int, Values]]:
    """Written rows likewise; fails if an id or a place is there twice."""
    assert len({row["id"] for row in rows}) == len(rows)
    found: dict[str, dict[int, Values]] = {}
    for row in rows:
        values = {n: v for n, v in row.items() if n not in ("id", "timeline", "stream", "key", "at")}
        assert row["at"] not in found.setdefault(row["key"], {})
        found[row["key"]][row["at"]] = values
    return found


def written(folder: Path) -> list[Values]:
    return [orjson.loads(line) for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines()]


def written_parquet(folder: Path) -> list[Values]:
    return [row for path in folder.glob("*.parquet") for row in pyarrow.parquet.read_table(path).to_pylist()]


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
    timelines: Timelines,
    tmp_path: Path,
    more: dict[str, Any],
    ttl: str | None,
    holds: Callable[[Values], bool],
) -> None:
    limits = {"key_ttl": ttl} if ttl else {}
    wanted = spec({"folder": str(tmp_path / "out")} | more, shards=2, **limits)
    await timelines.register(wanted)
    await feed_in_parts(timelines, wanted, tmp_path / "events.jsonl", events(1, 5, 24))
    comparison = await compare(timelines, wanted)
    assert comparison.differences == []
    rows = written(tmp_path / "out")
    assert by_key(rows) == expected(wanted, comparison.evaluation, holds)
    assert rows
    # Asked for, the same; and nothing of it may still change.
    answers = await timelines.values(wanted, wanted.plan.result, [(row["key"], row["at"]) for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        assert answer.final
        assert isinstance(answer.value, dict)
        assert {n: v for n, v in row.items() if n in OUTPUTS}.items() <= answer.value.items()


async def test_groups_of_all_keys_at_intervals(timelines: Timelines, tmp_path: Path) -> None:
    sink = {
        "folder": str(tmp_path / "out"),
        "every": "2s",
        "agg": "count, avg(seconds)",
        "group_by": ["state"],
    }
    wanted = spec(sink | {"where": "seconds < 10"}, key_ttl="5s")
    await timelines.register(wanted)
    await feed_in_parts(timelines, wanted, tmp_path / "events.jsonl", events(2, 6, 30))
    local = (await compare(timelines, wanted)).evaluation
    spans = {key: local.span(key) for key in local.names()}
    end = max(newest for _, newest in spans.values()) - 5_000 - 3_000
    begin = min(origin for origin, _ in spans.values())
    groups: dict[tuple[int, str], list[float]] = {}
    for at in range(-(-begin // 2_000) * 2_000, end, 2_000):
        for key, (origin, newest) in spans.items():
            [row] = local.values([at], keys=[key])
            values: Any = row.value
            # Open: begun, and an event within the last 5 s or one that is still to come.
            if origin <= at < newest + 5_000 and values["seconds"] < 10:
                groups.setdefault((at, values["state"]), []).append(values["seconds"])
    rows = written(tmp_path / "out")
    assert len({row["id"] for row in rows}) == len(rows) > 10
    assert {(r["at"], r["state"]): (r["count"], r["avg(seconds)"]) for r in rows} == {
        place: (len(found), pytest.approx(sum(found) / len(found))) for place, found in groups.items()
    }


def read_topic(topic: str) -> list[Values]:
    client = connect()
    try:
        reader = client.create_reader(topic, pulsar.MessageId.earliest)
        rows = []
        while reader.has_message_available():
            rows.append(orjson.loads(reader.read_next(10_000).data()))
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
    async with DevServer(tmp_path / "dev.db") as server:
        cli = Cli(server.address, tmp_path)

        async def worker() -> Any:
            process = cli.start("worker")
            await asyncio.to_thread(wait_for_line, process, "Worker is ready")
            return process

        running = await worker()
        timelines = Timelines(await connect_embedded(server.address))
        specs = [spec(sink) for sink in sinks]
        await asyncio.gather(*map(timelines.register, specs))
        kills = 0
        for end in range(len(rows) // 4, len(rows) + 1, len(rows) // 4):
            path = write(tmp_path / "events.jsonl", rows[:end])
            feeding = asyncio.gather(*(feed_files(timelines, one, [path]) for one in specs))
            if kills < 3:
                # As soon as an activity of this part is under way.
                before = sum(map(_size, folders["jsonl"].glob("*")))
                while not feeding.done() and sum(map(_size, folders["jsonl"].glob("*"))) == before:
                    await asyncio.sleep(0.002)
                assert not feeding.done()
                await asyncio.to_thread(stop, running, signal.SIGKILL)
                kills += 1
                running = await worker()
            await feeding
        found = [await asyncio.to_thread(read_topic, topic)]
        found += [written(folders["jsonl"]), written_parquet(folders["parquet"])]
        for wanted, got in zip(specs, found, strict=True):
            comparison = await compare(timelines, wanted)
            assert comparison.differences == []
            assert by_key(got) == expected(wanted, comparison.evaluation)
            [status] = await timelines.sinks(wanted)
            assert (status["rows"], status["exactly_once"]) == (len(got), True)
            assert status["rows"] > 500
        described = await asyncio.to_thread(cli.good, "describe", specs[0].name)
        assert f"sink of stream 0: topic {topic}, {len(found[0])} rows" in described
        assert "exactly once" in described
        assert await asyncio.to_thread(stop, running) == 0
    assert kills == 3


def _size(path: Path) -> int:
    return path.stat().st_size

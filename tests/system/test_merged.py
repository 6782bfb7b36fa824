"""Groups of all streams in one row: each once, of all keys, whatever is killed and whoever is behind."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from feeder.files.marking import mark_files
from tests.support.cli import PATIENCE, Cli, stop
from tests.support.servers import make_server
from tests.support.sinks import events, expected_groups, newest_of, spec, write, written
from tests.support.waiting import eventually
from timeline.errors import LimitError
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import merged_id, shard_of
from workflows.patience import Patience

GROUPS = {"agg": "count, avg(seconds)", "group_by": ["state"], "where": "seconds < 10", "merged": True}


async def test_three_kills_lose_no_row_and_write_none_twice(tmp_path: Path) -> None:
    wanted = spec(
        [
            {"folder": str(tmp_path / "each"), "every": "2s", "agg": "count"},
            {"name": "of-all", "folder": str(tmp_path / "all"), "every": "300ms", **GROUPS},
        ],
        shards=3,
        key_ttl="5s",
    )
    rows = events(5, 9, 120)
    assert {shard_of(f"k{key}", 3) for key in range(9)} == {0, 1, 2}
    often = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=60")
    async with make_server(tmp_path / "dev.db", options=often) as server:
        cli = Cli(server.address, tmp_path)

        running = await asyncio.to_thread(cli.worker)
        timelines = Client(await connect_embedded(server.address), Patience(PATIENCE))
        await timelines.registry.register(wanted)
        handle = timelines.temporal.get_workflow_handle(merged_id(wanted, wanted.sink("of-all")))
        first_run = (await handle.describe()).run_id
        for end in range(len(rows) // 8, len(rows) + 1, len(rows) // 8):
            before = len(written(tmp_path / "all"))
            path = write(tmp_path / "events.jsonl", rows[:end])
            feeding = asyncio.create_task(feed_files(timelines, wanted, [path]))
            if before and end < len(rows) / 2 + 1:

                async def more(before: int = before) -> bool:
                    return len(written(tmp_path / "all")) > before

                await eventually(more)
                await asyncio.to_thread(stop, running, signal.SIGKILL)
                running = await asyncio.to_thread(cli.worker)
            await feeding
        evaluation = (await compare(timelines, wanted)).evaluation
        described = await asyncio.to_thread(cli.good, "describe", wanted.name)
        [report] = [r for r in await timelines.nodes.sinks(wanted) if r["stream"] is None]
        # It has continued as new meanwhile.
        assert (await handle.describe()).run_id != first_run
        await timelines.registry.remove(wanted.name)
        await handle.result()
        assert await asyncio.to_thread(stop, running) == 0
    found = written(tmp_path / "all")
    assert {(r["time"], r["state"]): (r["count"], r["avg(seconds)"]) for r in found} == expected_groups(
        wanted, evaluation, 300, 10
    )
    assert [r["id"] for r in found] == [f'{wanted.name}+of-all/"{r["state"]}"/{r["time"]}' for r in found]
    assert len(found) > 100
    assert (report["rows"], report["exactly_once"]) == (len(found), True)
    final = newest_of(wanted, evaluation) - 5_000 - 3_000
    assert report["until"] == -(-final // 300) * 300
    assert f"sink of-all of all streams: jsonl in {tmp_path / 'all'}, {len(found)} rows in " in described
    assert "sink of-all of stream 1: hands its groups over, up to " in described


async def test_a_stream_that_is_behind_is_told_of_and_waited_for(timelines: Client, tmp_path: Path) -> None:
    sink = {"folder": str(tmp_path / "all"), "every": "10ms", "agg": "count, avg(seconds)", "merged": True}
    wanted = spec(sink, shards=2, watermark="stream", key_ttl="1h")
    await timelines.registry.register(wanted)
    here = next(f"k{n}" for n in range(20) if shard_of(f"k{n}", 2) == 0)
    rows = [{"session": here, "time": 1_000 + 10_000 * n, "state": "play"} for n in range(60)]
    path = write(tmp_path / "events.jsonl", rows)
    with pytest.raises(LimitError, match="of which stream 1 has not told yet: its events are older"):
        await feed_files(timelines, wanted, [path])
    assert written(tmp_path / "all") == []
    await mark_files(timelines, wanted, 601_000)
    found = written(tmp_path / "all")
    assert [(row["time"], row["count"]) for row in found] == [(at, 1) for at in range(1_000, 598_000, 10)]


async def test_of_a_topic_it_begins_with_the_partitions(timelines: Client, tmp_path: Path) -> None:
    sink = {"folder": str(tmp_path / "all"), "every": "1s", "agg": "count", "merged": True}
    wire = spec(sink, key_ttl="5s").to_wire()
    wanted = Spec.from_wire(wire | {"source": {"topic": wire["name"], "key": "session"}})
    await timelines.registry.register(wanted)
    assert [report["stream"] for report in await timelines.nodes.sinks(wanted)] == [0]
    await timelines.registry.open_topic(wanted.source_id, {"partitions": 3, "starts": [None] * 3})
    reports = await timelines.nodes.sinks(wanted)
    assert [report["stream"] for report in reports] == [0, 1, 2, None]
    assert (reports[-1]["until"], reports[-1]["waits_for"]) == (0, [])
    [merged] = {report["merged"] for report in reports[:-1]}
    assert merged == merged_id(wanted, wanted.sink())
    # Feeders of other tests look at all topics.
    await timelines.registry.remove(wanted.name)

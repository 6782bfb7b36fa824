"""The same file under another name is counted once, through the real server and the command."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
from pathlib import Path

from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from feeder.files.identity import describe_file
from tests.support.cli import Cli
from tests.support.timelines import many, spec, write
from workflows.client import Client
from workflows.protocol import Segment

EXPRESSION = "count(playerStateChange != null)"


async def test_a_copy_and_a_packed_one_are_not_fed_again(timelines: Client, cli: Cli, tmp_path: Path) -> None:
    timeline = spec(EXPRESSION)
    await timelines.registry.register(timeline)
    rows = many(7, 20)
    first = write(tmp_path / "a.jsonl", rows[:100])
    assert (await feed_files(timelines, timeline, [first])).accepted == 100
    copy = Path(shutil.copy(first, tmp_path / "copy.jsonl"))
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(first.read_bytes()))
    done = await asyncio.to_thread(cli.run, "feed", timeline.name, copy, packed)
    assert done.stdout == f"{timeline.name}: nothing new in these files\n"
    assert done.stderr.count(f"holds nothing but what {first} begins with, which was fed before") == 2
    # One of them grows: what is new of it is fed, and once.
    write(copy, rows)
    report = await feed_files(timelines, timeline, [copy])
    assert (report.accepted, [(known.lines, known.whole) for known in report.known]) == (40, [(100, False)])
    assert (await feed_files(timelines, timeline, [copy, write(first, rows)])).events == 0
    said = json.loads(await asyncio.to_thread(cli.good, "feed", timeline.name, "--again", packed, "--json"))
    assert (said["accepted"], said["known"]) == (100, [])
    comparison = await compare(timelines, timeline)
    assert not comparison.differences
    answer = await asyncio.to_thread(cli.good, "query", timeline.name, "k0", "--json")
    assert json.loads(answer)["value"] == 20 + sum(row[0] == "k0" for row in rows[:100])


async def test_a_copy_fed_at_the_same_time_is_not_doubled(timelines: Client, tmp_path: Path) -> None:
    timeline = spec(EXPRESSION)
    await timelines.registry.register(timeline)
    first = write(tmp_path / "a.jsonl", many(3, 5))
    copy = Path(shutil.copy(first, tmp_path / "copy.jsonl"))
    # Both were looked at before either was in the log.
    described = [describe_file(first, 5), describe_file(copy, 6)]
    for segment in described:
        log = await timelines.registry.extend_log(timeline.source_id, [segment])
    assert [(part["path"], part["now"]) for part in log] == [(str(first), 5)]
    again = Segment(**{**described[1], "again": True})
    log = await timelines.registry.extend_log(timeline.source_id, [again])
    assert [Path(part["path"]).name for part in log] == ["a.jsonl", "copy.jsonl"]
    assert "again" not in log[1]


async def test_a_log_of_before_goes_on(timelines: Client, tmp_path: Path) -> None:
    timeline = spec(EXPRESSION)
    await timelines.registry.register(timeline)
    rows = many(3, 5)
    first = write(tmp_path / "a.jsonl", rows[:10])
    now = describe_file(first)
    old: Segment = {"path": now["path"], "fingerprint": now["fingerprint"], "after": 0, "last": 10}
    assert await timelines.registry.extend_log(timeline.source_id, [old]) == [old]
    report = await feed_files(timelines, timeline, [write(first, rows)])
    assert (report.accepted, report.known) == (15, [])
    copy = Path(shutil.copy(first, tmp_path / "copy.jsonl"))
    assert (await feed_files(timelines, timeline, [copy])).events == 0

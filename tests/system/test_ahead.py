"""A wrong clock: one event in the year 2109 closes no key and has no later event refused."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from feeder.checks.dry_run import compare
from feeder.checks.topic import check_topic
from feeder.files.feed import feed_files
from feeder.topics.dead_letters import count_by_kind
from tests.support.cli import Cli
from tests.support.timelines import spec, write
from tests.system.test_segments import PARTITIONS, Running
from timeline.spec.spec import Spec
from workflows.client import Client

EXPRESSION = "count(playerStateChange != null)"
FAR = 4_390_000_000_000  # 2109
LIMITS: dict[str, Any] = {"key_ttl": "1h", "allowed_lateness": "1m"}


def rows_of(now: int) -> list[tuple[str, int, str]]:
    return [
        ("a", now, "play"),
        ("b", FAR, "play"),
        ("a", now + 1, "buffer"),
        ("c", now + 2, "play"),
        ("a", now - 120_000, "seek"),
    ]


async def test_of_a_file(timelines: Client, cli: Cli, tmp_path: Path) -> None:
    now = int(time.time() * 1_000)
    timeline = spec(EXPRESSION, **LIMITS)
    await timelines.registry.register(timeline)
    file = write(tmp_path / "a.jsonl", rows_of(now))
    report = await feed_files(timelines, timeline, [file])
    assert (report.events, report.accepted, report.refused, report.ahead) == (4, 3, 1, 1)
    listed = [event async for event in timelines.leaves.refused(timeline, 0)]
    assert [(event["key"], event["reason"]) for event in listed] == [("a", "late")]
    # Once it has come near it is judged as it was when it was fed, by a leaf that comes later too.
    later = await feed_files(timelines, timeline, [file], clock=lambda: FAR / 1_000)
    assert (later.events, later.ahead) == (0, 0)
    assert not (await compare(timelines, timeline)).differences
    other = timeline.model_copy(update={"name": f"{timeline.name}-never"})
    never = Spec.from_wire({**other.to_wire(), "limits": {**LIMITS, "max_ahead": "never"}})
    await timelines.registry.register(never)
    done = json.loads(await asyncio.to_thread(cli.good, "feed", never.name, file, "--json"))
    assert (done["accepted"], done["refused"], done["ahead"]) == (2, 3, 0)


async def test_the_command_says_so(timelines: Client, cli: Cli, tmp_path: Path) -> None:
    timeline = spec(EXPRESSION, **LIMITS)
    await timelines.registry.register(timeline)
    file = write(tmp_path / "a.jsonl", rows_of(int(time.time() * 1_000)))
    done = await asyncio.to_thread(cli.run, "feed", timeline.name, file)
    assert done.stdout == (
        f"{timeline.name}: 3 events accepted, 1 refused (timeline refused {timeline.name}), "
        "1 ahead of the clock\n"
    )
    assert "a.jsonl:2: time is further ahead of the clock than max_ahead permits: " in done.stderr
    assert "1 event skipped that limits.max_ahead refuses\n" in done.stderr
    assert "hold no event" not in done.stderr


async def test_of_a_topic(timelines: Client, tmp_path: Path) -> None:
    topic = f"segments-{uuid.uuid4().hex[:8]}"
    timeline = Spec.from_wire(
        {
            "name": topic,
            "expression": EXPRESSION,
            "source": {"topic": topic, "key": "session"},
            "limits": {"shards": 2, **LIMITS},
        }
    )
    await timelines.registry.register(timeline)
    running = Running(tmp_path, timelines)
    running.segments.create(topic, PARTITIONS)
    now = int(time.time() * 1_000)
    messages = [
        (key, json.dumps({"session": key, "time": at, "playerStateChange": state}).encode())
        for key, at, state in [*rows_of(now), ("a", FAR, "play"), ("a", now + 3, "play")]
    ]
    async with running.running():
        running.send(timeline, messages)
        await running.arrived(timeline)
    source = running.segments.source(timeline)
    assert count_by_kind(source) == {"ahead": 2, "late": 1}
    assert sum(counts.ahead for counts in running.feeder.counts.values()) == 2
    check = await check_topic(running.segments, timelines, timeline)
    assert (check.accepted, check.refused, check.ahead, check.broken) == (4, 1, 2, 0)
    assert not check.differences
    # No other source knows its topic.
    await timelines.registry.remove(timeline.name)


@pytest.mark.parametrize(("limit", "keys"), [("", ["a", "c"]), ('max_ahead = "never"', ["b"])])
async def test_of_a_local_evaluation(cli: Cli, tmp_path: Path, limit: str, keys: list[str]) -> None:
    write(tmp_path / "a.jsonl", rows_of(int(time.time() * 1_000)))
    (tmp_path / "s.toml").write_text(
        f"name = 's'\nexpression = '''{EXPRESSION}'''\n[source]\nkey = 'session'\nfiles = ['a.jsonl']\n"
        f"[limits]\nkey_ttl = '1h'\nallowed_lateness = '1m'\n{limit}\n"
    )
    done = await asyncio.to_thread(cli.run, "eval", "s.toml", "--format", "jsonl")
    found = [json.loads(line)["key"] for line in done.stdout.splitlines()]
    assert set(keys) <= set(found)
    assert ("1 event skipped that limits.max_ahead refuses\n" in done.stderr) == (limit == "")

"""A timeline that comes over a node which has forgotten: answers and rows of sinks own up."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from feeder.files.feed import feed_files
from tests.support.cli import Cli
from tests.support.sinks import written
from timeline.spec.spec import Spec
from workflows.client import Client

STATE = "latest_event_to_state(a)"
#: "old" is x for one second in two: for 1 499 s by the time at which it is asked.
OLD = [("old", 1_000 * t, "xy"[t % 2]) for t in range(2_999)]
BEFORE, AFTER = OLD[:2_994], OLD[2_994:]
NEW = [("new", 2_994_000, "x"), ("new", 2_996_000, "y"), ("new", 2_998_000, "x")]
#: The later timeline hears of "old" from here on: 5 s and 1 s, in which the first late event may look back,
#: before the newest event of that time.
FROM = 2_987_000


def write(path: Path, rows: list[tuple[str, int, str]]) -> Path:
    rows = sorted(rows, key=lambda row: row[1])
    path.write_text("".join(json.dumps({"key": k, "time": t, "a": a}) + "\n" for k, t, a in rows))
    return path


@pytest.fixture
async def late(timelines: Client, tmp_path: Path) -> AsyncIterator[Spec]:
    source = {"name": f"s-{uuid.uuid4().hex[:8]}", "key": "key"}
    limits = {"allowed_lateness": "0s", "retention": "5s", "watermark": "stream"}
    common: dict[str, Any] = {"source": source, "limits": limits}
    first = Spec.from_wire({"name": f"first-{source['name']}", "expression": STATE, **common})
    await timelines.registry.register(first)
    await feed_files(timelines, first, [write(tmp_path / "before.jsonl", BEFORE)])
    sinks = [
        {"folder": str(tmp_path / "keys"), "outputs": ["secs"]},
        {"folder": str(tmp_path / "groups"), "name": "g", "every": "2s", "agg": "count, sum(secs)"},
    ]
    outputs = {"secs": f'duration_where({STATE} == "x")', "state": STATE}
    later = Spec.from_wire({"name": f"later-{source['name']}", "outputs": outputs, "sink": sinks, **common})
    await timelines.registry.register(later)
    await feed_files(timelines, later, [write(tmp_path / "after.jsonl", AFTER + NEW)])
    yield later
    for spec in (first, later):
        await timelines.registry.remove(spec.name)


async def said(cli: Cli, *arguments: str) -> str:
    return await asyncio.to_thread(cli.good, "query", *arguments)


async def test_what_is_counted_late_is_told_wherever_it_is_asked(late: Spec, cli: Cli) -> None:
    owns_up = "1 key is counted not from where they begin but from as late as 2987000 ms on; "
    owns_up += "--exact leaves them out"
    summed = late.name, "--all", "--agg", "count, sum(secs)"
    table = (await said(cli, *summed)).splitlines()
    assert [line.split() for line in table[:2]] == [["count", "sum(secs)"], ["2", "7"]]
    assert owns_up in table
    got = json.loads(await said(cli, *summed, "--json"))
    assert (got["rows"], got["counted"]) == ([{"count": 2, "sum(secs)": 7}], {"keys": 1, "from": FROM})
    exact = (await said(cli, *summed, "--exact")).splitlines()
    assert exact[1].split() == ["1", "2"]
    assert "left out: 1 counted only from later on" in exact
    assert owns_up not in exact
    keys = json.loads(await said(cli, late.name, "--all", "--json"))
    assert [(r["key"], r["secs"], r["counted_from"]) for r in keys["rows"]] == [
        ("new", 2, None),
        ("old", 5, FROM),
    ]
    # 1 499 s is right; that it is not this, each answer says.
    one = await said(cli, late.name, "old")
    assert one.startswith('{"secs":5,"state":"x"}')
    assert "counted from 2987000 ms on, not from where the key begins" in one


async def test_programs_are_told_too(late: Spec, timelines: Client) -> None:
    result = await timelines.aggregate(late.name, "count, sum(secs)")
    assert (result.rows, result.counted, result.counted_from) == ([{"count": 2, "sum(secs)": 7}], 1, FROM)
    result = await timelines.aggregate(late.name, "count, sum(secs)", exact=True)
    assert (result.rows, result.counted) == ([{"count": 1, "sum(secs)": 2}], 0)


async def test_questions_over_intervals_own_up_too(late: Spec, cli: Cli) -> None:
    over = (
        late.name,
        "--all",
        "--agg",
        "change(secs), count",
        "--per",
        "4s",
        "--from",
        "2990s",
        "--to",
        "2998s",
    )
    got = json.loads(await said(cli, *over, "--json"))
    assert [(r["from"], r["change(secs)"], r["count"]) for r in got["rows"]] == [
        (2_990_000, 1, 1),
        (2_992_000, 4, 2),
        (2_996_000, 1, 2),
    ]
    assert got["counted"] == {"keys": 1, "from": FROM}
    got = json.loads(await said(cli, *over, "--json", "--exact"))
    assert [(r["change(secs)"], r["count"]) for r in got["rows"]] == [(None, 0), (2, 1), (0, 1)]
    assert "counted" not in got
    assert [(e["reason"], e["keys"]) for e in got["excluded"]] == [("counted only from later on", 1)] * 3


async def test_rows_of_sinks_own_up_too(late: Spec, tmp_path: Path) -> None:
    keys = [(r["key"], r["time"], r["secs"], r["counted_from"]) for r in written(tmp_path / "keys")]
    # Each second "old" begins to count, or stops; what is final are the times before the newest.
    old = [("old", 1_000 * t, (t - 2_987) // 2, FROM) for t in range(2_987, 2_998)]
    assert keys == [*old, ("new", 2_994_000, 0, None), ("new", 2_996_000, 2, None)]
    rows = written(tmp_path / "groups")
    groups = [(r["time"], r["count"], r["sum(secs)"], r["counted_keys"]) for r in rows]
    assert groups == [
        (2_988_000, 1, 0, 1),
        (2_990_000, 1, 1, 1),
        (2_992_000, 1, 2, 1),
        (2_994_000, 2, 3, 1),
        (2_996_000, 2, 6, 1),
    ]

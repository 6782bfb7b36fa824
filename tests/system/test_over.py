"""Questions over intervals: through workflows in every policy as locally, and as DuckDB says."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks.aggregates import OUTPUTS, sessions, write_sessions
from feeder.files.feed import feed_files
from tests.support.cli import Cli
from tests.support.graphs import POLICIES
from timeline.aggregate import Request, kinds_of, merge, partial
from timeline.fragments import Policy
from timeline.local.evaluate import evaluate
from timeline.spec.spec import Spec
from workflows.client import Client

#: How long sessions were on which CDN in each ten minutes, up to the newest event, from the events alone.
SQL = """
with said as (
  select key, time, arg_max(cdn, row) as cdn
  from (select *, row_number() over () as row from events) where cdn is not null group by key, time
), spells as (
  select *, lead(time, 1, (select max(time) from events)) over (partition by key order by time) as until
  from said
), intervals as (
  select greatest(a, low) as "from", least(a + 600000, high) as "to"
  from (select min(time) as low, max(time) as high from events),
       generate_series(low // 600000 * 600000, high - 1, 600000) as t(a)
)
select "from", "to", cdn, sum(least(until, "to") - greatest(time, "from")) as ms, count(distinct key) as keys
from intervals join spells on time < "to" and until > "from" group by all order by "from", cdn
"""
QUESTIONS: list[dict[str, Any]] = [
    {"agg": "duration_by(cdn, buffering), count, rises(buffering), avg(rebuffering), max", "per": "10m"},
    {"agg": "change(rebuffering), duration(buffering)", "group_by": "cdn", "per": "10m"},
    {"agg": "distinct(cdn), distinct(rebuffering)", "group_by": "buffering", "every": "10m"},
    {"agg": "distinct(cdn)", "group_by": "buffering", "per": "10m"},
    {"agg": "duration(buffering), avg", "where": "rebuffering > 5", "start": "20m", "end": "40m"},
    {"agg": "duration_by(cdn)", "group_by": "key", "top": 7, "by": "duration_by(cdn)"},
]


@pytest.mark.parametrize("policy", POLICIES)
async def test_every_policy_says_what_local_evaluation_says(
    timelines: Client, tmp_path: Path, policy: Policy
) -> None:
    wanted = Spec.from_wire(
        {
            "name": f"over-{policy}-{uuid.uuid4().hex[:6]}",
            "outputs": OUTPUTS,
            "limits": {"shards": 2, "retention": "1d"},
            "run": {"fragments": policy},
        }
    )
    events = sessions(300)
    local = evaluate(wanted.plan, events, wanted.node_limits)
    await timelines.register(wanted)
    await feed_files(timelines, wanted, [write_sessions(tmp_path / "s.parquet", events)])
    kinds = kinds_of(wanted.plan)
    for question in QUESTIONS:
        got = await timelines.aggregate(wanted.name, **question)
        want = merge(got.request, [partial(local, got.request)], kinds)
        assert (got.columns, got.rows, got.keys, got.excluded) == (want.columns, want.rows, 300, [])
        assert len(got.rows) > 0
    await timelines.remove(wanted.name)


def test_time_by_state_is_what_duckdb_says(tmp_path: Path) -> None:
    events = sessions(500)
    path = write_sessions(tmp_path / "s.parquet", events)
    local = evaluate("{cdn: latest_event_to_state(cdn)}", events)
    first, last = int(events.tick.min()), int(events.tick.max())
    request = Request.parse(
        kinds_of(local.plan), agg="duration_by(cdn), count", start=first, end=last, per=600_000
    )
    got = merge(request, [partial(local, request)])
    question = f"with events as (from '{path}') {SQL.replace('with said', ', said', 1)}"
    want = [(a, b, cdn, ms / 1000, keys) for a, b, cdn, ms, keys in duckdb.execute(question).fetchall()]
    assert len(want) == 4 * 6
    assert [tuple(row.values()) for row in got.rows] == want


async def test_the_command_line(cli: Cli, timelines: Client) -> None:
    wanted = Spec.from_wire({"name": f"over-{uuid.uuid4().hex[:6]}", "outputs": OUTPUTS})
    rows: list[tuple[str, int, dict[str, str]]] = [
        ("s1", 1_000, {"state": "play", "cdn": "C1"}),
        ("s1", 4_000, {"state": "buffer"}),
        ("s1", 6_000, {"cdn": "C2"}),
        ("s2", 9_000, {"state": "play", "cdn": "C2"}),
    ]
    path = cli.folder / "small.jsonl"
    path.write_text("".join(json.dumps({"key": k, "time": t, **c}) + "\n" for k, t, c in rows))
    await timelines.register(wanted)
    await feed_files(timelines, wanted, [path])

    async def good(*words: str) -> list[list[str]]:
        out = await asyncio.to_thread(cli.good, "query", wanted.name, "--all", *words)
        return [line.split() for line in out.splitlines()]

    table, series = await asyncio.gather(
        good("--agg", "duration_by(cdn), duration(buffering)", "--to", "10s"),
        good("--agg", "duration(buffering)", "--per", "5s", "--from", "3s", "--format", "csv"),
    )
    assert table[:3] == [
        ["from", "to", "cdn", "duration_by(cdn)", "duration(buffering)"],
        ["1000", "10000", "C1", "5", "2"],
        ["1000", "10000", "C2", "5", "4"],
    ]
    assert series == [["from,to,duration(buffering)"], ["3000,5000,1"], ["5000,9000,4"]]
    await timelines.remove(wanted.name)


async def test_a_piped_expression_asks_its_question(cli: Cli, timelines: Client) -> None:
    name = f"piped-{uuid.uuid4().hex[:6]}"
    text = (
        'duration_where(latest_event_to_state(state) == "buffer") | aggregate(group_by(cdn), count, sum, avg)'
    )
    events: list[dict[str, Any]] = [
        {"key": "a", "time": 0, "cdn": "A", "state": "buffer"},
        {"key": "a", "time": 3_000, "state": "play"},
        {"key": "b", "time": 1_000, "cdn": "B", "state": "buffer"},
        {"key": "c", "time": 2_000, "cdn": "B", "state": "buffer"},
        {"key": "c", "time": 9_000, "state": "play"},
    ]
    (cli.folder / "piped.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (cli.folder / "piped.toml").write_text(
        f"name = '{name}'\nexpression = '{text}'\n[source]\nfiles = ['piped.jsonl']\n[limits]\nshards = 2\n"
    )
    spec = str(cli.folder / "piped.toml")
    await asyncio.to_thread(cli.good, "register", spec)
    await asyncio.to_thread(cli.good, "feed", name, cli.folder / "piped.jsonl")
    long = ("--all", "--group-by", "cdn", "--agg", "count, sum(value), avg(value)")

    async def said(*words: str) -> list[str]:
        return (await asyncio.to_thread(cli.good, *words)).splitlines()[:3]

    for words in ((), ("--at", "4s"), ("--from", "2s", "--every", "3s", "--where", "value > 2")):
        piped, asked = await asyncio.gather(said("query", name, *words), said("query", name, *long, *words))
        assert piped == asked
        if "--where" not in words:
            assert piped == await said("eval", spec, *words)
    assert await said("query", name) == [
        "cdn  count  sum(value)  avg(value)",
        "A    1      3           3",
        "B    2      7           3.5",
    ]
    rows = [
        {"cdn": "A", "count": 1, "sum(value)": 3, "avg(value)": 3},
        {"cdn": "B", "count": 2, "sum(value)": 7, "avg(value)": 3.5},
    ]
    assert (await timelines.aggregate(name)).rows == rows
    assert (await timelines.aggregate(name, "count")).rows == [
        {"cdn": "A", "count": 1},
        {"cdn": "B", "count": 2},
    ]
    await timelines.remove(name)

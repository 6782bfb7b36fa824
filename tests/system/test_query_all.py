"""Questions over all keys, through workflows: equal to DuckDB over the local evaluation of the events."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks.aggregates import expected, problems, sessions, write_sessions
from feeder.files.feed import feed_files
from tests.support.cli import Cli
from tests.support.places import ROOT
from timeline.aggregate import Request, kinds_of
from timeline.errors import LimitError, NotFoundError, RequestError
from timeline.local.evaluate import evaluate
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec
from workflows.client import Client

AGG = "count, sum(rebuffering), avg, min, max, p50, p99"
OUTPUTS = {
    "cdn": "latest_event_to_state(cdn)",
    "buffering": 'latest_event_to_state(state) == "buffer"',
    "rebuffering": 'duration_where(@buffering && has_existed(state == "play"))',
}


def spec(name: str, shards: int = 4, **limits: Any) -> Spec:
    return Spec.from_wire(
        {"name": name, "outputs": OUTPUTS, "limits": {"shards": shards, "retention": "1d", **limits}}
    )


@pytest.fixture(scope="module")
async def fed(timelines: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Spec]:
    """2 000 generated sessions in four streams."""
    wanted = spec(f"all-{uuid.uuid4().hex[:6]}")
    path = write_sessions(tmp_path_factory.mktemp("sessions") / "s.parquet", sessions(2_000))
    await timelines.registry.register(wanted)
    await feed_files(timelines, wanted, [path])
    yield wanted
    await timelines.registry.remove(wanted.name)


async def test_groups_at_several_times_are_what_duckdb_says(timelines: Client, fed: Spec) -> None:
    events = sessions(2_000)
    local = evaluate(fed.plan, events, fed.node_limits)
    first, last = await timelines.questions.span(fed)
    assert (first, last) == (int(events.tick.min()), int(events.tick.max()))
    at = [first + (last - first) * i // 5 for i in range(1, 6)]
    request = await timelines.questions.request(fed, agg=AGG, group_by=["cdn"], at=at)
    result = await timelines.questions.aggregate(fed, request)
    want = expected(local, at)
    assert len(want) > 3 * len(at)
    assert problems(result, want) == []
    assert result.keys == 2_000
    assert result.excluded == []
    assert result.positions == [(1, len(events))] * 4
    # Values that differ a little would be noticed.
    result.rows[0]["sum(rebuffering)"] += 0.01
    assert len(problems(result, want)) == 1


async def test_a_series_from_first_to_last(timelines: Client, fed: Spec) -> None:
    first, last = await timelines.questions.span(fed)
    request = await timelines.questions.request(fed, agg="count, sum(rebuffering)", every=60_000)
    assert request.grid == (first, last, 60_000)
    result = await timelines.questions.aggregate(fed, request)
    assert [row["time"] for row in result.rows] == list(range(-(-first // 60_000) * 60_000, last + 1, 60_000))
    counts = [row["count"] for row in result.rows]
    assert counts == sorted(counts), "sessions come in one by one"
    again = await timelines.questions.request(
        fed, agg="count, sum(rebuffering)", at=[r["time"] for r in result.rows]
    )
    assert (await timelines.questions.aggregate(fed, again)).rows == result.rows


async def test_keys_by_top_are_those_of_one_key_each(timelines: Client, fed: Spec) -> None:
    request = await timelines.questions.request(fed, where="rebuffering > 0", top=5, by="rebuffering")
    result = await timelines.questions.aggregate(fed, request)
    assert result.columns == ("key", "time", "cdn", "buffering", "rebuffering")
    values = [row["rebuffering"] for row in result.rows]
    assert values == sorted(values, reverse=True)
    asked = await timelines.questions.values(
        fed, fed.plan.result, [(row["key"], row["time"]) for row in result.rows]
    )
    assert [answer.value for answer in asked] == [
        {name: row[name] for name in OUTPUTS} for row in result.rows
    ]


async def test_as_arrow(timelines: Client, fed: Spec) -> None:
    request = await timelines.questions.request(
        fed, agg=AGG + ", histogram(rebuffering, 0, 10)", group_by=["cdn"]
    )
    table = (await timelines.questions.aggregate(fed, request)).to_arrow()
    types = [str(type) for type in table.schema.types]
    assert types[:8] == ["string", "int64", *["double"] * 6]
    assert types[8] == "list<item: struct<from: double, to: double, count: int64>>"
    con = duckdb.connect()
    con.register("answer", table)
    assert con.execute('select sum("count") from answer').fetchone() == (2_000,)


async def test_an_answer_that_is_too_large_is_refused_with_what_to_do(timelines: Client, fed: Spec) -> None:
    big = await timelines.questions.request(
        fed, agg="p50(rebuffering), histogram", group_by=["cdn"], every=1_000
    )
    with pytest.raises(LimitError, match="ask for fewer times"):
        await timelines.questions.aggregate(fed, big)
    other = Request.parse({**kinds_of(fed.plan), "other": kinds_of(fed.plan)["cdn"]}, group_by=["other"])
    with pytest.raises(RequestError, match="there is no output other; expected cdn, buffering, rebuffering"):
        await timelines.questions.aggregate(fed, other)


async def test_without_events(timelines: Client) -> None:
    wanted = spec(f"none-{uuid.uuid4().hex[:6]}", 2)
    await timelines.registry.register(wanted)
    result = await timelines.questions.aggregate(
        wanted, await timelines.questions.request(wanted, agg="count, avg(rebuffering)")
    )
    assert (result.rows, result.positions) == ([{"count": 0, "avg(rebuffering)": None}], [None, None])
    with pytest.raises(NotFoundError, match="has no events yet"):
        await timelines.questions.request(wanted, every=1_000, agg="count")
    await timelines.registry.remove(wanted.name)


async def test_one_expression_by_whether_a_key_is_closed(timelines: Client, tmp_path: Path) -> None:
    wire = {
        "name": f"one-{uuid.uuid4().hex[:6]}",
        "expression": "count(a == 1)",
        "limits": {"key_ttl": "10s"},
    }
    wanted = Spec.from_wire(wire | {"limits": {"key_ttl": "10s", "allowed_lateness": "0s", "shards": 1}})
    await timelines.registry.register(wanted)
    path = tmp_path / "e.jsonl"
    rows = [("old", 1_000, 1), ("new", 15_000, 1), ("new", 22_000, 1)]
    path.write_text("".join(json.dumps({"key": k, "time": t, "a": a}) + "\n" for k, t, a in rows))
    await feed_files(timelines, wanted, [path])
    request = await timelines.questions.request(wanted, agg="count, sum", group_by=["closed"])
    result = await timelines.questions.aggregate(wanted, request)
    assert result.rows == [
        {"closed": False, "count": 1, "sum(value)": 2},
        {"closed": True, "count": 1, "sum(value)": 1},
    ]
    await timelines.registry.remove(wanted.name)


async def test_lives_of_the_example(timelines: Client, cli: Cli) -> None:
    """What its head says that it can be asked."""
    example = load_spec(ROOT / "examples" / "sessions-per-user.toml")
    await timelines.registry.register(example)
    await feed_files(timelines, example, example.source.files)

    async def good(*arguments: str) -> list[dict[str, Any]]:
        out = await asyncio.to_thread(cli.good, *arguments, "--json")
        return [json.loads(line) for line in out.splitlines()]

    asked = "--all", "--group-by", "key", "--agg", "count, avg(spent), sum(bought)"
    [per_user] = await good("query", example.name, *asked, "--lives")
    assert per_user["rows"] == [
        {"key": "ann", "count": 3, "avg(spent)": 100, "sum(bought)": 1},
        {"key": "ben", "count": 3, "avg(spent)": 360, "sum(bought)": 1},
    ]
    lives = await good("lives", example.name, "ann")
    assert [(life["newest"] - life["from"], life["closed"], life["value"]["spent"]) for life in lives] == [
        (240_000, True, 180),
        (60_000, True, 30),
        (90_000, True, 90),
    ]
    assert lives[0]["to"] == lives[0]["newest"] + 1_800_000
    table = await asyncio.to_thread(cli.good, "lives", example.name, "ann")
    assert table.splitlines()[0].split() == ["from", "newest", "to", "closed", "value"]
    message = await asyncio.to_thread(cli.bad, "query", example.name, "ann", "--at", "2026-03-02T10:00:00Z")
    assert "key 'ann' has no life at 1772445600000 ms: one ends at 1772440440000 ms" in message
    counted = await good("query", example.name, "--all", "--agg", "count", "--at", "2026-03-02T08:03:00Z")
    assert counted[0]["rows"] == [{"time": 1772438580000, "count": 2}]
    message = await asyncio.to_thread(cli.bad, "query", example.name, "--all", "--lives", "--at", "5s")
    assert "lives are asked at their newest events" in message
    await timelines.registry.remove(example.name)


# --- the command line --------------------------------------------------------------------------------

SMALL = [
    ("s1", 1_000, {"state": "play", "cdn": "C1"}),
    ("s1", 4_000, {"state": "buffer"}),
    ("s1", 6_000, {"state": "play", "cdn": "C2"}),
    ("s2", 2_000, {"state": "play", "cdn": "C2"}),
    ("s2", 3_000, {"state": "buffer"}),
    ("s2", 9_000, {"state": "play"}),
]


@pytest.fixture
async def small(cli: Cli, timelines: Client) -> AsyncIterator[str]:
    """Two sessions in one stream."""
    wanted = spec(f"small-{uuid.uuid4().hex[:6]}", 1)
    path = cli.folder / "small.jsonl"
    path.write_text("".join(json.dumps({"key": k, "time": t, **c}) + "\n" for k, t, c in SMALL))
    await timelines.registry.register(wanted)
    await feed_files(timelines, wanted, [path])
    yield wanted.name
    await timelines.registry.remove(wanted.name)


async def test_the_command_line(cli: Cli, small: str) -> None:
    async def good(*words: str) -> str:
        return await asyncio.to_thread(cli.good, "query", small, "--all", *words)

    table, csv, series, one, top, shown = await asyncio.gather(
        good("--group-by", "cdn", "--agg", "count, sum(rebuffering)", "--at", "5s"),
        good("--group-by", "cdn,buffering", "--at", "5s", "--format", "csv"),
        good("--agg", "count, sum(rebuffering)", "--every", "4s", "--json"),
        good("--where", "cdn == 'C2'", "--agg", "avg(rebuffering)", "--format", "jsonl"),
        good("--top", "1", "--by", "rebuffering", "--json"),
        asyncio.to_thread(cli.good, "show", small, "s1"),
    )
    assert [line.split() for line in table.splitlines()] == [
        ["time", "(ms)", "cdn", "count", "sum(rebuffering)"],
        ["5000", "C1", "1", "1"],
        ["5000", "C2", "1", "2"],
        ["2", "keys;", "positions", "0:", "1.6"],
    ]
    assert csv == "time,cdn,buffering,count\n5000,C1,true,1\n5000,C2,true,1\n"
    answer = json.loads(series)
    assert answer["timeline"] == small
    assert answer["rows"] == [
        {"time": 4_000, "count": 2, "sum(rebuffering)": 1},
        {"time": 8_000, "count": 2, "sum(rebuffering)": 7},
    ]
    assert (answer["positions"], answer["keys"], answer["excluded"]) == ({"0": [1, 6]}, 2, [])
    assert one == '{"avg(rebuffering)":4}\n'
    assert [row["key"] for row in json.loads(top)["rows"]] == ["s2"]
    lanes = [line.split(":")[0] for line in shown.splitlines() if ": " in line]
    assert lanes == list(OUTPUTS)


async def test_times_that_people_read_and_say(cli: Cli, timelines: Client) -> None:
    wanted = spec(f"dated-{uuid.uuid4().hex[:6]}", 1)
    path = cli.folder / "dated.jsonl"
    begin = 1_356_998_400_000  # 2013
    path.write_text("".join(json.dumps({"key": k, "time": begin + t, **c}) + "\n" for k, t, c in SMALL))
    await timelines.registry.register(wanted)
    await feed_files(timelines, wanted, [path])

    async def good(*words: str) -> list[list[str]]:
        out = await asyncio.to_thread(cli.good, "query", wanted.name, *words)
        return [line.split() for line in out.splitlines()]

    table, csv, one, end, spells = await asyncio.gather(
        good("--all", "--agg", "count", "--at", "end", "--at", "2013-01-01T00:00:02Z"),
        good("--all", "--agg", "duration", "--per", "5s", "--format", "csv", "--times", "iso"),
        good("s1", "--node", "cdn"),
        good("s1", "--node", "cdn", "--at", "end", "--times", "ms"),
        asyncio.to_thread(cli.good, "intervals", wanted.name, "s2", "--node", "cdn"),
    )
    assert table[:3] == [["time", "count"], ["2013-01-01T00:00:02Z", "2"], ["2013-01-01T00:00:09Z", "2"]]
    assert csv == [
        ["from,to,duration"],
        ["2013-01-01T00:00:01Z,2013-01-01T00:00:05Z,7"],
        ["2013-01-01T00:00:05Z,2013-01-01T00:00:09Z,8"],
    ]
    assert " ".join(one[0]).startswith("C2 (s1 at 2013-01-01T00:00:06Z, position 1.6,")
    assert " ".join(end[0]).startswith(f"C2 (s1 at {begin + 9_000} ms, position 1.6,")
    assert spells.splitlines()[1].split() == [
        "s2",
        "C2",
        "2013-01-01T00:00:02Z",
        "2013-01-01T00:00:09Z",
        "7",
        "true",
    ]
    await timelines.registry.remove(wanted.name)


async def test_watch_once(cli: Cli, small: str) -> None:
    look = json.loads(await asyncio.to_thread(cli.good, "watch", small, "--once", "--json"))
    assert (look["count"], look["accepted"], look["positions"]) == (2, 6, {"0": [1, 6]})
    assert [(row["key"], row["time"], row["value"]["cdn"]) for row in look["keys"]] == [
        ("s2", 9_000, "C2"),
        ("s1", 6_000, "C2"),
    ]


WRONG = [
    ("", "give a KEY, or --all"),
    ("s1 --all", "give a KEY or --all, not both"),
    ("s1 --where x", "--where needs --all"),
    ("s1 --every 1s", "--every needs --all"),
    ("s1 --format csv", "--format needs --all"),
    ("--all --node cdn", "--node goes with a KEY"),
    ("--all --json --format csv", "--json or --format, not both"),
    ("--all --format lanes", "'lanes' is not one of 'table'"),
    ("--all --top 3", "--top N and --by COLUMN go together"),
    ("--all --at 1s --every 1s", "give --at, or a series with --every"),
    ("--all --at 1s --per 1s", "give --at, or a series with --every or --per"),
    ("--all --per 1s --every 1s", "give --every (at times) or --per (over the time between them)"),
    ("--all --per 0s", "--per needs a duration of at least 1ms"),
    ("--all --per 1s --agg sum(rebuffering)", "sum(rebuffering) is of values at one time"),
    ("s1 --per 1s", "--per needs --all"),
    ("--all --from 1s", "from and to need every (a series of times), or agg"),
    ("--all --from 1s --to 1s --every 7s", "no multiple of every (7s) lies from 1000 to 1000 ms"),
    ("--all --agg sum", "sum of what?"),
    ("--all --agg count,sun(cdn)", "\n  count,sun(cdn)\n        ^^^\n"),
    ("--all --agg sum(rebufering)", "did you mean rebuffering?"),
    ("--all --agg count --group-by cdm --every 1s", "did you mean cdn?"),
    ("--all --where rebuffering", "rebuffering > ..."),
    ("--all --where cdn==C1", 'did you mean "C1"?'),
    ("--all --top 0 --by cdn", "top is a number from 1 to 10000, got 0"),
    ("--all --at soon", "not a time: 'soon'"),
    ("--all --every 1ms --from 0 --to 1d", "a series has at most 10000 times"),
]


async def test_options_that_do_not_go_together(cli: Cli, small: str) -> None:
    tasks = (asyncio.to_thread(cli.bad, "query", small, *words.split()) for words, _ in WRONG)
    for (words, phrase), message in zip(WRONG, await asyncio.gather(*tasks), strict=True):
        assert phrase in message, (words, message)
        assert message.count("rror: ") == 1

"""`eval` of an expression that is piped into ``aggregate(...)``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_local import Here, here

__all__ = ["here"]

QUESTION = 'duration_where(latest_event_to_state(s) == "buffer") | aggregate(group_by(cdn), count, sum, avg)'
EVENTS = [
    {"key": "a", "time": 0, "cdn": "A", "s": "buffer"},
    {"key": "a", "time": 3_000, "s": "play"},
    {"key": "b", "time": 1_000, "cdn": "B", "s": "buffer"},
    {"key": "c", "time": 2_000, "cdn": "B", "s": "buffer"},
    {"key": "c", "time": 9_000, "s": "play"},
]


@pytest.fixture
def file(here: Here) -> str:
    Path("e.jsonl").write_text("\n".join(map(json.dumps, EVENTS)))
    return "e.jsonl"


def test_over_all_keys(here: Here, file: str) -> None:
    assert here.good("eval", "-e", QUESTION, file) == (
        "cdn  count  sum(value)  avg(value)\nA    1      3           3\nB    2      7           3.5\n3 keys\n"
    )
    _, out, err = here.run("eval", "-e", QUESTION, file, "--at", "4s", "--format", "csv")
    assert (out, err) == ("time,cdn,count,sum(value),avg(value)\n4000,A,1,3,3\n4000,B,2,5,2.5\n", "3 keys\n")
    _, out, _ = here.run("eval", "-e", QUESTION, file, "--every", "4s", "--from", "4s", "--format", "jsonl")
    assert [(r["time"], r["cdn"], r["sum(value)"]) for r in map(json.loads, out.splitlines())] == [
        (4_000, "A", 3),
        (4_000, "B", 5),
        (8_000, "A", 3),
        (8_000, "B", 13),
    ]


def test_over_time_and_in_a_spec(here: Here, file: str) -> None:
    Path("s.toml").write_text(
        "name = 's'\nexpression = 'latest_event_to_state(s) | aggregate(duration_by(value))'\n"
        f"[source]\nfiles = ['{file}']\n"
    )
    assert here.good("eval", "s.toml").splitlines()[1:3] == [
        "0     9000  buffer  18",
        "0     9000  play    6",
    ]
    assert here.good("eval", "s.toml", "--to", "10s").splitlines()[2] == "0     10000  play    8"
    assert here.good("explain", "s.toml").splitlines()[0].startswith("outputs  set of outputs")


def test_what_does_not_go_together(here: Here, file: str) -> None:
    assert "pictures and --intervals are for single keys" in here.bad(
        "eval", "-e", QUESTION, file, "--intervals"
    )
    bad = here.bad("eval", "-e", "sum(a) | aggregate(median)", file)
    assert "did you mean p50?\n" in bad
    assert bad.rstrip().endswith("^^^^^^")


STATES = '{s: latest_event_to_state(s), cdn: latest_event_to_state(cdn), n: count(s == "buffer")}'


def rows(here: Here, file: str, *options: str) -> list[dict[str, object]]:
    out = here.run("eval", "-e", STATES, file, *options, "--format", "jsonl")[1]
    return [json.loads(line) for line in out.splitlines()]


def test_options_ask_over_all_keys_too(here: Here, file: str) -> None:
    assert rows(here, file, "--agg", "duration_by(s)", "--per", "5s") == [
        {"from": 0, "to": 5_000, "s": "buffer", "duration_by(s)": 10},
        {"from": 0, "to": 5_000, "s": "play", "duration_by(s)": 2},
        {"from": 5_000, "to": 9_000, "s": "buffer", "duration_by(s)": 8},
        {"from": 5_000, "to": 9_000, "s": "play", "duration_by(s)": 4},
    ]
    assert rows(here, file, "--agg", "count, sum(n)", "--group-by", "cdn,s", "--at", "end") == [
        {"time": 9_000, "cdn": "A", "s": "play", "count": 1, "sum(n)": 1},
        {"time": 9_000, "cdn": "B", "s": "buffer", "count": 1, "sum(n)": 1},
        {"time": 9_000, "cdn": "B", "s": "play", "count": 1, "sum(n)": 1},
    ]
    # Of its own keys each at its newest event; nothing of any is in a group.
    assert rows(here, file, "--where", 's == "play"', "--top", "1", "--by", "n") == [
        {"key": "a", "time": 3_000, "s": "play", "cdn": "A", "n": 1}
    ]
    assert rows(here, file, "--lives", "--agg", "count") == [{"count": 3}]
    # What is said replaces what is piped.
    out = here.run("eval", "-e", QUESTION, file, "--agg", "max(value)", "--format", "csv")[1]
    assert out == "cdn,max(value)\nA,3\nB,7\n"


def test_options_that_do_not_go_together(here: Here, file: str) -> None:
    asked = ("eval", "-e", STATES, file)
    assert "--top N and --by COLUMN go together" in here.bad(*asked, "--top", "1")
    assert "give --every (at times) or --per" in here.bad(*asked, "--per", "5s", "--every", "5s")
    assert "give --at, or a series" in here.bad(*asked, "--agg", "count", "--at", "1s", "--every", "5s")
    assert "are for single keys: leave out" in here.bad(*asked, "--agg", "count", "--intervals")
    assert "did you mean count?" in here.bad(*asked, "--agg", "coun")

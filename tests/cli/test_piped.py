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

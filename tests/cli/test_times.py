"""Times as people read and say them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.support.cli import Cli
from tests.support.dated import write_dated_and_plain

STATE = "latest_event_to_state(state)"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    write_dated_and_plain(tmp_path)
    made = Cli(None, tmp_path)
    made.environment["TZ"] = "America/New_York"
    return made


def asked(cli: Cli, *words: str) -> list[list[str]]:
    return [line.split() for line in cli.good("eval", "-e", STATE, *words).splitlines()]


def test_there_are_dates_where_dates_came(cli: Cli) -> None:
    assert asked(cli, "dated.csv") == [
        ["key", "time", "value"],
        ["a", "2013-01-01T10:00:00Z", "play"],
        ["b", "2013-01-02T00:00:00.250Z", "seek"],
    ]
    assert asked(cli, "plain.csv")[:2] == [["key", "time", "(ms)", "value"], ["a", "3000", "seek"]]
    assert asked(cli, "dated.csv", "--format", "csv")[1] == ["a,2013-01-01T10:00:00Z,play"]
    assert json.loads(asked(cli, "dated.csv", "--format", "jsonl")[0][0])["time"] == "2013-01-01T10:00:00Z"
    assert asked(cli, "dated.csv", "--format", "csv", "--times", "ms")[1] == ["a,1357034400000,play"]
    assert asked(cli, "plain.csv", "--format", "csv")[1] == ["a,3000,seek"]
    # A number is one, also if it is of our days.
    (cli.folder / "numbers.csv").write_text("key,time,state\na,1357034400000,play\n")
    assert asked(cli, "numbers.csv", "--format", "csv")[1] == ["a,1357034400000,play"]


def test_times_are_printed_as_is_said(cli: Cli) -> None:
    assert asked(cli, "dated.csv", "--times", "ms")[:2] == [
        ["key", "time", "(ms)", "value"],
        ["a", "1357034400000", "play"],
    ]
    assert asked(cli, "dated.csv", "--times", "local")[1] == ["a", "2013-01-01T05:00:00-05:00", "play"]
    assert asked(cli, "plain.csv", "--times", "iso")[1] == ["a", "1970-01-01T00:00:03Z", "seek"]
    assert asked(cli, "dated.csv", "--times", "iso", "--format", "csv")[1] == ["a,2013-01-01T10:00:00Z,play"]
    line = asked(cli, "dated.csv", "--times", "iso", "--format", "jsonl")[1][0]
    assert json.loads(line)["time"] == "2013-01-02T00:00:00.250Z"
    spells = asked(cli, "dated.csv", "--intervals", "--to", "2013-01-03")
    assert spells[:2] == [
        ["key", "value", "from", "to", "seconds", "open"],
        ["a", "play", "2013-01-01T10:00:00Z", "2013-01-03T00:00:00Z", "136800", "true"],
    ]


def test_a_question_that_gives_millions_of_rows_is_told_first(cli: Cli) -> None:
    """From a's 1 s to 3 s, and b's 5 s: whatever is asked of them is counted before it is printed."""
    many = cli.run("eval", "-e", STATE, "plain.csv", "--every", "1ms", "--to", "550s", "--format", "csv")
    assert many.stderr == (
        "note: 1,094,002 rows follow; --key, --from, --to or a longer --every make it fewer\n"
    )
    assert many.stdout.count("\n") == 1_094_003
    few = cli.run("eval", "-e", STATE, "plain.csv", "--every", "1ms")
    assert (few.stderr, few.stdout.count("\n")) == ("", 2_003)


def test_times_are_said_as_dates_and_words(cli: Cli) -> None:
    assert asked(cli, "dated.csv", "--at", "2013-01-02")[1:] == [
        ["a", "2013-01-02T00:00:00Z", "play"],
        ["b", "2013-01-02T00:00:00Z", "null"],
    ]
    assert asked(cli, "plain.csv", "--at", "end", "--at", "2s")[1:] == [
        ["a", "2000", "play"],
        ["a", "5000", "seek"],
        ["b", "2000", "null"],
        ["b", "5000", "play"],
    ]
    before = time.time() * 1000
    now = int(asked(cli, "plain.csv", "--at", "now", "--times", "ms")[1][1])
    assert int(before) <= now <= time.time() * 1000
    assert "not a time: 'later'" in cli.bad("eval", "-e", STATE, "plain.csv", "--at", "later")
    assert "'2013-02-30'" in cli.bad("eval", "-e", STATE, "plain.csv", "--at", "2013-02-30")
    assert "'weird' is not one of" in cli.bad("eval", "-e", STATE, "plain.csv", "--times", "weird")

"""Times that say no zone: skipped with that reason, or of the zone that is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.cli import Cli
from timeline.errors import SpecError
from timeline.reading import read_events
from timeline.reading.messages import MessageReader
from timeline.reading.model import NAIVE, REASONS
from timeline.spec.loading import spec_of
from timeline.spec.spec import Spec
from timeline.values.ticks import parse_rfc3339

#: A time of a clock in New York, and when it was: in winter, in summer, in the hour that comes twice, and in
#: the one that the clock leaves out.
TIMES = {
    "2013-01-01T05:00:00": "2013-01-01T10:00:00Z",
    "2013-07-01T05:00:00.250": "2013-07-01T09:00:00.250Z",
    "2013-11-03T01:30:00": "2013-11-03T05:30:00Z",
    "2013-03-10T02:30:00": "2013-03-10T07:30:00Z",
}


def jsonl(path: Path, times: Sequence[str]) -> None:
    path.write_text("".join(json.dumps({"key": "k", "time": time}) + "\n" for time in times))


def csv(path: Path, times: Sequence[str]) -> None:
    path.write_text("key,time\n" + "".join(f"k,{time}\n" for time in times))


def parquet(path: Path, times: Sequence[str]) -> None:
    pq.write_table(pa.table({"key": ["k"] * len(times), "time": list(times)}), path)


def timestamps(path: Path, times: Sequence[str]) -> None:
    values = pa.array([datetime.fromisoformat(time) for time in times], pa.timestamp("us"))
    pq.write_table(pa.table({"key": ["k"] * len(times), "time": values}), path)


WRITERS: dict[str, Callable[[Path, Sequence[str]], None]] = {
    "a.jsonl": jsonl,
    "a.csv": csv,
    "a.parquet": parquet,
    "b.parquet": timestamps,
}


@pytest.mark.parametrize("name", WRITERS)
def test_times_without_a_zone_are_of_the_one_that_is_said(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, [*TIMES])
    [block] = read_events(tmp_path / name, key="key", time="time", columns=[], zone="America/New_York")
    assert block.events.tick.tolist() == [parse_rfc3339(time) for time in TIMES.values()]
    assert block.rejected == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_without_one_text_is_skipped_and_says_why(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, ["2013-01-01T05:00:00", "2013-01-01T05:00:00Z", "soon"])
    [block] = read_events(tmp_path / name, key="key", time="time", columns=[])
    assert [one.reason for one in block.rejected] == [REASONS[NAIVE], "not a time"]
    assert "timezone" in REASONS[NAIVE]
    assert block.events.tick.tolist() == [parse_rfc3339("2013-01-01T05:00:00Z")]


def test_what_says_its_zone_keeps_it(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", ["2013-01-01T05:00:00+02:00", "2013-01-01"])
    [block] = read_events(tmp_path / "a.jsonl", key="key", time="time", columns=[], zone="Europe/Berlin")
    assert block.events.tick.tolist() == [
        parse_rfc3339("2013-01-01T03:00:00Z"),
        parse_rfc3339("2012-12-31T23:00:00Z"),
    ]


def test_messages_too() -> None:
    reader = MessageReader("t", key="key", time="time", columns=[], zone="Europe/Berlin")
    events, rejected = reader.read([b'{"key": "k", "time": "2013-01-01T05:00:00"}'])
    assert (events.tick.tolist(), rejected) == ([parse_rfc3339("2013-01-01T04:00:00Z")], [])


def spec(**source: str) -> Spec:
    return spec_of({"name": "a", "expression": "count(x == 1)", "source": source}, "the spec")


def test_a_spec_says_it_and_is_of_another_source_then() -> None:
    zoned = spec(timezone="Europe/Berlin")
    assert zoned.to_wire()["source"]["timezone"] == "Europe/Berlin"
    assert Spec.from_wire(zoned.to_wire()) == zoned
    assert zoned.source_id != spec().source_id
    # What was registered before there were zones is what it was.
    assert "timezone" not in spec().to_wire()["source"]
    assert spec().source_id == "a.c8927438"
    with pytest.raises(SpecError, match="no time zone is called 'Berlin'; write one such as Europe/Berlin"):
        spec(timezone="Berlin")


def test_the_command_line(tmp_path: Path) -> None:
    csv(tmp_path / "a.csv", [*TIMES])
    cli = Cli(None, tmp_path)
    asked = ("eval", "-e", "count(key == 1)", "a.csv", "--times", "iso", "--format", "jsonl")
    assert json.loads(cli.good(*asked, "--timezone", "America/New_York"))["time"] == "2013-11-03T05:30:00Z"
    assert "a time without a zone" in cli.bad(*asked)
    assert "no time zone is called 'Nowhere/X'" in cli.bad(*asked, "--timezone", "Nowhere/X")

"""Intervals of States and Bools: together they say what every tick says, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import timeline as tl
from tests.aggregate.test_definition import rows
from tests.support.aggregates import PLAN
from tests.support.cli import Cli
from timeline.errors import NotFoundError, RequestError
from timeline.tables.events import from_rows
from timeline.values.scalars import identity

LIMITS = (tl.Limits(), tl.Limits(allowed_lateness=0, key_ttl=4), tl.Limits(allowed_lateness=3, key_ttl=7))
SEEK = "has_existed_within(n == 1, 5ms)"


@settings(max_examples=300)
@given(
    rows,
    st.sampled_from(["latest_event_to_state(cdn)", SEEK, f"{SEEK} && latest_event_to_state(cdn) == 1"]),
    st.sampled_from(LIMITS),
    st.none() | st.integers(0, 25),
    st.none() | st.integers(0, 35),
)
def test_they_are_what_every_tick_says(
    events: Any, expression: str, limits: tl.Limits, start: int | None, end: int | None
) -> None:
    result = tl.evaluate(expression, from_rows(events), limits)
    got: dict[tuple[str, int], Any] = {}
    found = result.intervals(start=start, end=end)
    for one in found:
        for tick in range(one.begin, one.end):
            assert got.setdefault((one.key, tick), one.value) is one.value, "no tick is in two"
    expected: dict[tuple[str, int], Any] = {}
    open_at: set[tuple[str, int]] = set()
    for key in result.names():
        for origin, newest in result.lives(key):
            until = newest if end is None else end
            closed = limits.key_ttl is not None and result.stream_time - newest >= (limits.closed_after or 0)
            if limits.key_ttl is not None:
                over = newest + limits.key_ttl
                until = over if closed and end is None else min(until, over)
                closed &= until == over
            ticks = range(origin if start is None else max(origin, start), until)
            expected |= {(key, row.at): row.value for row in result.values(ticks, keys=[key])}
            now_too = end is None and (start is None or start <= newest)
            if ticks and not now_too and (limits.key_ttl is None or until < newest + limits.key_ttl):
                before, after = (row.value for row in result.values([until - 1, until], keys=[key]))
                assert not isinstance(before, dict)
                assert not isinstance(after, dict)
                now_too = identity(before) == identity(after)
            elif ticks:
                now_too = True
            if now_too and not closed:
                open_at.add((key, until))
    assert {place: identity(value) for place, value in got.items()} == {
        place: identity(value) for place, value in expected.items()
    }
    assert {(one.key, one.end) for one in found if one.open} == open_at
    for one, following in pairwise(found):
        if limits.key_ttl is None and one.key == following.key:
            assert identity(one.value) != identity(following.value)
    table = found.to_arrow()
    assert table.num_rows == len(found)
    assert table["seconds"].to_pylist() == [one.row()["seconds"] for one in found]


def test_of_a_frame_with_dates() -> None:
    flights = pa.table(
        {
            "tail": ["N1", "N1", "N2"],
            "when": pa.array(["2013-01-01T10:00:00Z", "2013-01-01T12:30:00Z", "2013-01-02T00:00:00Z"]),
            "place": ["JFK", "LAX", "SFO"],
        }
    )
    result = tl.evaluate("{where: latest_event_to_state(place)}", flights, key="tail", time="when")
    found = result.intervals(end="2013-01-03")
    times = [datetime(2013, 1, 1, 10, tzinfo=UTC), datetime(2013, 1, 1, 12, 30, tzinfo=UTC)]
    rows = found.to_arrow().to_pylist()
    assert rows[0] == {
        "key": "N1",
        "value": "JFK",
        "from": times[0],
        "to": times[1],
        "seconds": 9_000.0,
        "open": False,
    }
    assert [(row["key"], row["value"], row["seconds"], row["open"]) for row in rows[1:]] == [
        ("N1", "LAX", 127_800.0, True),
        ("N2", "SFO", 86_400.0, True),
    ]
    assert found[0].value == "JFK"
    assert repr(found).startswith("3 intervals\nkey  value  from")
    assert "N1   JFK    2013-01-01T10:00:00+00:00  2013-01-01T12:30:00+00:00  9000.0    false" in repr(found)
    assert result.intervals(keys=["N2"]).to_polars()["open"].to_list() == [True]
    with pytest.raises(NotFoundError, match="no events of key 'N3'"):
        result.intervals(keys=["N3"])


def test_what_has_no_intervals() -> None:
    result = tl.evaluate(PLAN, from_rows([("k", 1, {"cdn": "A"})]))
    with pytest.raises(RequestError, match="has 5 outputs; name one as the node: cdn, playing"):
        result.intervals()
    with pytest.raises(RequestError, match=r"and sum\(n\) \* 0.5 is a Numeric, which changes all the time"):
        result.intervals(PLAN.outputs["n"])
    assert [one.value for one in result.intervals(PLAN.outputs["cdn"])] == ["A"]


def test_the_command_line(tmp_path: Path) -> None:
    cli = Cli(None, tmp_path)
    (tmp_path / "e.csv").write_text("key,time,state\na,1000,play\na,4000,buffer\nb,5000,play\na,9000,play\n")
    state = "latest_event_to_state(state)"

    def good(*words: str) -> str:
        return cli.good("eval", "-e", state, "e.csv", "--intervals", *words)

    assert [line.split() for line in good().splitlines()] == [
        ["key", "value", "from", "to", "seconds", "open"],
        ["a", "play", "1000", "4000", "3", "false"],
        ["a", "buffer", "4000", "9000", "5", "false"],
        ["a", "play", "9000", "9000", "0", "true"],
        ["b", "play", "5000", "5000", "0", "true"],
    ]
    assert good("--from", "2s", "--to", "4500ms", "--key", "a", "--format", "csv").splitlines() == [
        "key,value,from,to,seconds,open",
        "a,play,2000,4000,2,false",
        "a,buffer,4000,4500,0.5,true",
    ]
    buffering = good("--node", f"{state}", "--format", "jsonl")
    assert (
        buffering.splitlines()[0]
        == '{"key":"a","value":"play","from":1000,"to":4000,"seconds":3,"open":false}'
    )
    wrong = {
        "--intervals --at 5s": "--intervals goes with --from and --to, not with --at",
        "--intervals --format lanes": "not with --at, --every or a picture",
        "--node x": "--node needs --intervals",
        "--intervals --node x": "no node 'x'; the nodes are:",
    }
    for words, message in wrong.items():
        assert message in cli.bad("eval", "-e", state, "e.csv", *words.split())
    assert "is a Numeric, which changes" in cli.bad(
        "eval", "-e", "count(state == 'play')", "e.csv", "--intervals"
    )

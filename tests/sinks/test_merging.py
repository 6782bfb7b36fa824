"""Groups of all streams in one row: the rows of one stream that has all events, whoever tells when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.graphs import WireGraph
from tests.support.played import hear
from tests.support.streams import json, marked_batches
from timeline.errors import WireError
from timeline.sinks.emission import Emission
from timeline.sinks.groups import Handed
from timeline.sinks.merging import Merging
from timeline.spec.spec import Spec
from timeline.tables.events import from_rows

OUTPUTS = {"state": "latest_event_to_state(a)", "long": 'duration_where(@state == "x")'}
STREAMS = 3
SINKS: list[dict[str, Any]] = [
    {"agg": "count, avg(long)", "group_by": ["state"]},
    {"agg": "count, sum(long), max(long), distinct(long)"},
    {"agg": "count, p50(long), histogram(long)", "where": "long > 0.002"},
]
steps = st.lists(
    st.tuples(st.sampled_from("klmn"), st.integers(0, 7), st.sampled_from("xy")), min_size=1, max_size=30
)


def spec_of(sink: Mapping[str, Any], by_stream: bool, merged: bool) -> Spec:
    limits = {"allowed_lateness": "2ms", "key_ttl": "5ms", "watermark": "stream" if by_stream else "key"}
    whole = {"folder": "out", "every": "3ms", "name": "n", **sink} | ({"merged": True} if merged else {})
    return Spec.from_wire({"name": "t", "outputs": OUTPUTS, "limits": limits, "sink": whole})


def told(spec: Spec, emission: Emission, events: list[Any], at: list[int]) -> Iterator[None]:
    """Feeds a stream; goes on after each batch."""
    graph = WireGraph(spec.plan, spec.node_limits, "operator")
    for batch, last in marked_batches(from_rows(events), at, {}) if events else ():
        said = graph.feed(batch, last)
        hear(emission, said)
        while (target := emission.next_position()) is not None:
            emission.step(target)
            yield
        emission.tidy()


def handed_over(spec: Spec, stream: int, events: list[Any], at: list[int]) -> list[Handed]:
    emission = Emission(spec, spec.sink("n"), stream)
    found: list[Handed] = []
    for _ in told(spec, emission, events, at):
        while (handed := emission.hand_over()) is not None:
            found.append(handed)
        emission.restore(json(emission.carried()))
    return found


def rows_of_one(spec: Spec, events: list[Any]) -> list[dict[str, Any]]:
    emission = Emission(spec, spec.sink("n"), 0)
    rows = []
    for _ in told(spec, emission, events, [len(events)]):
        while (more := emission.rows()) is not None:
            rows += more
    return rows


@settings(max_examples=300)
@given(
    steps,
    st.lists(st.integers(0, 30), max_size=8),
    st.sampled_from(SINKS),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_as_if_there_were_one_stream(
    drawn: Any, at: list[int], sink: dict[str, Any], by_stream: bool, chance: Any
) -> None:
    ticks = np.cumsum([step for _, step, _ in drawn]).tolist()
    events = [(key, tick, {"a": value}) for (key, _, value), tick in zip(drawn, ticks, strict=True)]
    spec = spec_of(sink, by_stream, merged=True)
    streams = [[e for e in events if "klmn".index(e[0]) % STREAMS == number] for number in range(STREAMS)]
    waiting = [handed_over(spec, number, mine, at) for number, mine in enumerate(streams)]
    merging = Merging(spec, spec.sink("n"), STREAMS)
    rows: list[dict[str, Any]] = []
    while any(waiting):
        number = chance.choice([n for n, mine in enumerate(waiting) if mine])
        handed = json(waiting[number].pop(0))
        assert merging.take(number, handed)
        while (more := merging.rows()) is not None:
            rows += more
        assert not merging.take(number, handed)
        assert merging.rows() is None
        carried = json(merging.carried())
        size, merging = merging.size, Merging(spec, spec.sink("n"), STREAMS)
        merging.restore(carried)
        assert merging.size == size
    want = rows_of_one(spec_of(sink, by_stream, merged=False), events)
    for row in want:
        del row["stream"]
        row["id"] = row["id"].replace("t+n/0/", "t+n/")
    assert rows == [row for row in want if row["at"] < merging.low]
    # Each stream says all up to where nothing changes any more.
    after = 2 if by_stream else 2 + 5
    assert merging.until == [-(-max(0, mine[-1][1] - after) // 3) * 3 if mine else 0 for mine in streams]


def test_a_stream_without_a_key_says_how_far_its_time_is() -> None:
    spec = spec_of(SINKS[1], by_stream=True, merged=True)
    emission = Emission(spec, spec.sink("n"), 1)
    emission.state.stream_time = 100
    assert emission.hand_over() == {"first": None, "until": 99, "parts": []}
    assert emission.hand_over() is None
    emission.state.stream_time = 101
    assert emission.hand_over() is None
    emission.state.stream_time = 102
    assert emission.hand_over() == {"first": None, "until": 102, "parts": []}


PART = {"at": 3, "cells": [[[], [1, "1/2", 1]]]}


@pytest.mark.parametrize(
    "handed",
    [
        {},
        {"first": 0, "until": 6},
        {"first": 0, "until": 6, "parts": 3},
        {"first": 0, "until": 7, "parts": []},
        {"first": "0", "until": 6, "parts": []},
        {"first": 0, "until": 1 << 60, "parts": []},
        {"first": 0, "until": 6, "parts": [PART | {"at": 4}]},
        {"first": 0, "until": 6, "parts": [PART | {"cells": [[[]]]}]},
        {"first": 0, "until": 6, "parts": [PART | {"cells": [[[], [1, "1/0", 1]]]}]},
        {"first": 0, "until": 6, "parts": [PART | {"cells": [[[], [1]]]}]},
    ],
)
def test_what_is_not_understood_changes_nothing(handed: dict[str, Any]) -> None:
    spec = spec_of({"agg": "count, avg(long)"}, by_stream=True, merged=True)
    merging = Merging(spec, spec.sink("n"), 1)
    with pytest.raises(WireError, match="groups of stream 0 are none"):
        merging.take(0, handed)
    assert merging.take(0, {"first": 3, "until": 6, "parts": [PART]})
    assert merging.rows() == [{"id": "t+n/3", "timeline": "t", "at": 3, "count": 1, "avg(long)": 0.5}]
    streams: list[Any] = [1, -1, True, "0", 0.5, [0], {}]
    for stream in streams:
        with pytest.raises(WireError):
            merging.take(stream, {"first": 0, "until": 9, "parts": []})


#: By what is asked: what a stream may say of a group, and what it may not.
STATES: dict[str, tuple[Any, list[Any]]] = {
    "count": (2, [-1, 1.5, True, None, "1", 1 << 62]),
    "sum(long)": ("7/2", ["1e9", "1e999999999", "1.5", "nan", 3, None, "1/0", "9" * 5_000]),
    "max(long)": ("7/2", ["1e999999999", 3, [], {}]),
    "p50(long)": (
        {"unit": "1/1000", "values": [1, 2]},
        [
            {"unit": "1e999999999", "values": [1]},
            {"unit": "0", "values": [1]},
            {"unit": "-1", "values": [1]},
            {"unit": "1", "values": [None]},
            {"unit": "1", "values": [1 << 63]},
            {"floats": ["x"]},
            {"floats": [None]},
            {"bins": [1 << 40], "counts": [1]},
            {"bins": [1, 1 << 20], "counts": [1, 1]},
            {"bins": [1 << 20, 80_000], "counts": [1, 1]},
            {"bins": [1 << 20], "counts": [1.5]},
            {"bins": [1 << 20], "counts": [1, 2]},
            {"bins": [1 << 20], "counts": [-1]},
            {"bins": ["x"], "counts": [1]},
            [1],
            3,
        ],
    ),
    "histogram(long, 0, 1)": ([[0, 1], [2, 3]], [[[3, 1]], [[-1, 1]], [["x", 1]], [[0, "x"]], [[0]], 3]),
    "distinct(long)": ("AAAAAAAAAAE=", ["AAAA", "!", "AAAAAAAAAAEAAAAAAAAAAQ==", 3, None]),
}


@pytest.mark.parametrize("agg", STATES)
def test_what_a_stream_cannot_say_of_a_group_is_refused_before_it_is_put_together(agg: str) -> None:
    spec = spec_of({"agg": agg, "group_by": ["state", "long"]}, by_stream=True, merged=True)
    good, bad = STATES[agg]
    merging = Merging(spec, spec.sink("n"), 1)
    width = len(merging.measures)

    def handed(state: Any, group: Any = ("x", 1.5), at: int = 3, **more: Any) -> Any:
        part = {"at": at, "cells": [[list(group), [state, *[2] * (width - 1)]]], **more}
        return {"first": 3, "until": at + 3, "parts": [part]}

    for state in bad:
        with pytest.raises(WireError, match="groups of stream 0 are none"):
            merging.take(0, handed(state))
    groups: list[Any] = [[], ["x"], ["x", 1, 2], ["x", "y"], [[1], 2], [{}, None], ["x", True]]
    for group in groups:
        with pytest.raises(WireError, match="groups of stream 0 are none"):
            merging.take(0, handed(good, group))
    for more in ({"excluded": "x"}, {"excluded": -1}, {"counted": True}, {"counted": 0.5}):
        with pytest.raises(WireError, match="groups of stream 0 are none"):
            merging.take(0, handed(good, **more))
    assert merging.rows() is None
    assert merging.take(0, handed(good))
    assert merging.take(0, handed(good, [None, None], 6, excluded=1))
    rows = merging.rows()
    assert rows is not None
    assert [row["state"] for row in rows] == ["x", None]

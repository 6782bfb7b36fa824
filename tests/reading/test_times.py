"""How `timeline.reading` makes ticks of times, by the name of the rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.reading import jsonl, read, ticks
from timeline.reading import TimeUnit
from timeline.reading.times import float_ticks, tick_of, whole_ticks
from timeline.values.ticks import MAX_TICK


def test_time_in_ms(tmp_path: Path) -> None:
    assert ticks(tmp_path, "0", "1500", "1500.0", "1500.9", str(MAX_TICK)) == [
        0,
        1500,
        1500,
        1500,
        MAX_TICK,
    ]


def test_time_units(tmp_path: Path) -> None:
    assert ticks(tmp_path, "2", "1.001", "1.0019", "1.9999999", unit="s") == [
        2000,
        1001,
        1001,
        2000,
    ]
    assert ticks(tmp_path, "1999", "2000", "1999.9", unit="us") == [1, 2, 2]
    assert ticks(tmp_path, "1999999", "1772362800250999999", unit="ns") == [1, 1772362800250]


def test_time_out_of_range(tmp_path: Path) -> None:
    texts = ["-1", "-0.5", str(MAX_TICK + 1), "1e300", "9" * 30, '"1969-12-31T23:59:59Z"']
    assert ticks(tmp_path, *texts) == ["time out of range"] * len(texts)
    assert ticks(tmp_path, str(1 << 62), str(MAX_TICK), unit="s") == ["time out of range"] * 2


def test_not_a_time(tmp_path: Path) -> None:
    texts = ['"5000"', '"soon"', "true", "[1]", "{}", '"2026-13-01T00Z"']
    assert ticks(tmp_path, *texts) == ["not a time"] * len(texts)
    assert ticks(tmp_path, "null") == ["no time"]


def test_rfc3339(tmp_path: Path) -> None:
    texts = ["12:00:00.250+01:00", "11:00:00.25Z", "11:00:00.250999999Z", "11:00:00.250000Z"]
    want = 1772362800250
    assert ticks(tmp_path, *(f'"2026-03-01T{t}"' for t in texts)) == [want] * 4
    assert ticks(tmp_path, '"2026-03-01 11:00:00Z"') == [1772362800000]


def test_times_of_several_kinds_in_one_file(tmp_path: Path) -> None:
    texts = ["1", '"1970-01-01T00:00:00.002Z"', "3.0", "null", '"x"', '"1970-01-01T00:00:04Z"']
    rows, rejected = read(jsonl(tmp_path, *(f'{{"k":"a","t":{t}}}' for t in texts)))
    assert [row[2] for row in rows] == [1, 2, 3, 4000]
    assert rejected == [(4, "no time"), (5, "not a time")]


@given(
    st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-5, MAX_TICK + 5), min_size=1),
    st.sampled_from(["ms", "s", "us", "ns"]),
)
def test_whole_times_as_a_vector_and_one_by_one(numbers: list[int], unit: TimeUnit) -> None:
    got = whole_ticks(np.array(numbers, np.int64), unit).tolist()
    assert got == [tick_of(number, unit) for number in numbers]


@given(
    st.lists(st.floats() | st.floats(0, 2.0 * MAX_TICK), min_size=1),
    st.sampled_from(["ms", "s", "us", "ns"]),
)
@example([1.001, 1.0009999, 2.0**63, -0.0, float("nan"), float("inf")], "s")
def test_fractional_times_as_a_vector_and_one_by_one(numbers: list[float], unit: TimeUnit) -> None:
    got = float_ticks(np.array(numbers, np.float64), unit).tolist()
    assert got == [tick_of(number, unit) for number in numbers]

"""Every rule of Parquet in `timeline.reading`, by the name of the rule."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.reading import parquet, read, same
from timeline.reading import count_lines


@pytest.mark.parametrize(
    "times",
    [
        pa.array([1000, 2000], pa.timestamp("ms")),
        pa.array([1, 2], pa.timestamp("s", "UTC")),
        pa.array([1000_999, 2000_000], pa.timestamp("us", "Europe/Berlin")),
        pa.array([1000_000_001, 2000_000_000], pa.timestamp("ns")),
        pa.array([1000, 2000], pa.uint64()),
        pa.array([1000, 2000], pa.int16()),
        pa.array([1000.9, 2000.0], pa.float64()),
        pa.array([Decimal("1000.0"), Decimal("2000.5")]),
        pa.array(["1970-01-01T00:00:01Z", "1970-01-01T01:00:02+01:00"]),
        pa.array(["1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"]).dictionary_encode(),
    ],
)
def test_parquet_times(tmp_path: Path, times: Any) -> None:
    assert [r[2] for r in read(parquet(tmp_path, k=["a", "a"], t=times))[0]] == [1000, 2000]


def test_parquet_times_that_are_none(tmp_path: Path) -> None:
    t = pa.array([None, float("nan"), float("inf"), -1.0, 5.0])
    rows, rejected = read(parquet(tmp_path, k=["a"] * 5, t=t))
    assert [row[2] for row in rows] == [5]
    assert rejected == [
        (1, "no time"),
        (2, "not a time"),
        (3, "time out of range"),
        (4, "time out of range"),
    ]


@pytest.mark.parametrize(
    ("column", "want"),
    [
        (pa.array([1, None], pa.int8()), [1, None]),
        (pa.array([2**64 - 1, 0], pa.uint64()), [2**64 - 1, 0]),
        (pa.array([1.0, None]), [1, None]),
        (pa.array([-0.0, 0.0]), [0, 0]),
        (pa.array([0.5, None], pa.float32()), [0.5, None]),
        (pa.array([True, False]), [True, False]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array([b"a", None]), ["a", None]),
        (pa.array([Decimal("1.00"), Decimal("2.50")]), [1, 2.5]),
        (pa.nulls(2), [None, None]),
        (pa.DictionaryArray.from_arrays([2, 0], pa.array(["b", "z", "a"])), ["a", "b"]),
        (pa.array([datetime(2026, 3, 1, tzinfo=UTC), None]), ["2026-03-01 00:00:00.000000Z", None]),
    ],
)
def test_parquet_types(tmp_path: Path, column: Any, want: list[Any]) -> None:
    rows, rejected = read(parquet(tmp_path, k=["a", "b"], t=[1, 2], x=column))
    assert rejected == []
    assert all(same(row[3]["x"], value) for row, value in zip(rows, want, strict=True))


def test_parquet_nested_and_keys(tmp_path: Path) -> None:
    path = parquet(tmp_path, k=[7, None, 9], t=[1, 2, 3], x=[[1], None, None], y=[{"a": 1}] * 3)
    rows, rejected = read(path)
    assert rows == [(3, "9", 3, {"x": None})]
    assert rejected == [(1, "column 'x' holds a nested value"), (2, "no key")]
    path = parquet(tmp_path, k=[True, False], t=[1, 2])
    assert read(path)[1] == [(i, "key is not text or a whole number") for i in (1, 2)]


NOT_TEXT = pa.Array.from_buffers(
    pa.string(), 3, [None, pa.py_buffer(struct.pack("4i", 0, 1, 2, 3)), pa.py_buffer(b"a\xffb")]
)
BEYOND = [1000, 2**61, -(2**61)]


@pytest.mark.parametrize(
    ("column", "bad", "what"),
    [
        (NOT_TEXT, [2], "text that is not UTF-8"),
        (NOT_TEXT.dictionary_encode(), [2], "text that is not UTF-8"),
        (pa.array([b"a", b"\xff", b"b"]), [2], "text that is not UTF-8"),
        (pa.array(BEYOND, pa.timestamp("us", "UTC")), [2, 3], "a time outside the years 1 to 9999"),
        (pa.array([1, 2**30, -(2**30)], pa.date32()), [2, 3], "a time outside the years 1 to 9999"),
        (pa.array([0.5, float("nan"), float("-inf")]), [2, 3], "NaN or an infinity"),
        (pa.array([0.5, float("nan"), 1], pa.float32()), [2], "NaN or an infinity"),
    ],
)
def test_parquet_a_bad_value_costs_its_own_event_only(
    tmp_path: Path, column: Any, bad: list[int], what: str
) -> None:
    good = [line for line in (1, 2, 3) if line not in bad]
    rows, rejected = read(parquet(tmp_path, k=["a", "b", "c"], t=[1, 2, 3], x=column))
    assert [row[0] for row in rows] == good
    assert None not in [row[3]["x"] for row in rows]
    assert rejected == [(line, f"column 'x' holds {what}") for line in bad]


@pytest.mark.parametrize(
    ("name", "column", "reason"),
    [
        ("k", NOT_TEXT, "key is not text or a whole number"),
        ("k", pa.array([1.0, 1.5, 2.0]), "key is not text or a whole number"),
        ("k", pa.array([1.0, float("nan"), 2.0]), "key is not text or a whole number"),
        (
            "k",
            pa.array([Decimal("1.0"), Decimal("1.5"), Decimal("2.0")]),
            "key is not text or a whole number",
        ),
        ("k", pa.array(["1", "", "2"]), "no key"),
        ("t", NOT_TEXT, "not a time"),
        ("t", pa.array(BEYOND, pa.timestamp("us", "UTC")), "time out of range"),
        ("t", pa.array([1, 2**30, -(2**30)], pa.date32()), "time out of range"),
    ],
)
def test_parquet_a_bad_key_or_time_costs_its_own_event_only(
    tmp_path: Path, name: str, column: Any, reason: str
) -> None:
    columns: dict[str, Any] = {"k": ["a", "b", "c"], "t": [1, 2, 3]} | {name: column}
    rows, rejected = read(parquet(tmp_path, **columns))
    assert (2, reason) in rejected
    assert len(rows) + len(rejected) == 3


def test_parquet_rows_over_groups_and_blocks(tmp_path: Path) -> None:
    n = 1000
    path = parquet(tmp_path, 130, k=[f"s{i % 7}" for i in range(n)], t=range(n))
    assert count_lines(path) == n
    for after in (0, 129, 130, 131, 999, 1000):
        rows, _ = read(path, after=after, block_bytes=64 * 50)
        assert [(r[0], r[1], r[2]) for r in rows] == [(i + 1, f"s{i % 7}", i) for i in range(after, n)]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary()])
def test_parquet_too_long_values_of_every_text_type(tmp_path: Path, kind: Any) -> None:
    x = pa.array(["s", "x" * 65_537]).cast(kind)
    rows, rejected = read(parquet(tmp_path, k=["a", "b"], t=[1, 2], x=x))
    assert [row[3]["x"] for row in rows] == ["s"]
    assert rejected == [(2, "column 'x' holds a value longer than 65536 characters")]

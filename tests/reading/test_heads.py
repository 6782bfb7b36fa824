"""The heads of files, and times that are read in another unit than they are in."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timeline.reading.heads import Head, head_of, unit_mistake
from timeline.reading.model import TimeUnit

JSON = (
    b'{"k": "a", "at": 1700000000}\n{oops\n[1]\n{"k": "b", "at": null, "x": {"y": 1}}\n{"at": 1700000001.5}'
)
WHOLE = Head(("k", "at", "x"), (1_700_000_000, 1_700_000_001.5))


@pytest.mark.parametrize(
    ("name", "text", "head"),
    [
        ("a.jsonl", JSON, WHOLE),
        ("a.jsonl.gz", gzip.compress(JSON, mtime=0), WHOLE),
        ("a.csv", b'\xef\xbb\xbfk,at,x\na,1700000000,"b\nc"\nb,,\nc,1700000001.5,1\n', WHOLE),
        ("a.csv", b'k,at\na,"1700000000"\n"', Head(("k", "at"), (1_700_000_000,))),
        ("a.csv", b"", Head()),
        ("a.jsonl", b"", Head()),
        # Text says what it means.
        ("a.jsonl", b'{"at": 1}\n{"at": "2026-03-01T12:00:00Z"}', Head(("at",))),
        ("a.jsonl", b'{"at": true}', Head(("at",))),
        ("a.jsonl", b'{"a": 1}', Head(("a",))),
        ("a.csv", b"k\n1\n", Head(("k",))),
    ],
)
def test_heads(tmp_path: Path, name: str, text: bytes, head: Head) -> None:
    (tmp_path / name).write_bytes(text)
    assert head_of(str(tmp_path / name), "at") == head


@pytest.mark.parametrize(
    ("times", "head"),
    [
        ([1_700_000_000, None, 1_700_000_001.5], WHOLE),
        ([datetime(2026, 3, 1, tzinfo=UTC)], Head(("k", "at", "x"))),
        ([], Head(("k", "at", "x"))),
    ],
)
def test_head_of_parquet(tmp_path: Path, times: list[Any], head: Head) -> None:
    path = tmp_path / "a.parquet"
    nothing = [None] * len(times)
    pq.write_table(pa.table({"k": nothing, "at": pa.array(times), "x": nothing}), path)
    assert head_of(str(path), "at") == head
    assert head_of(str(path), "no").names == head.names


def test_only_the_beginning_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"at": 1}\n' * 1_000 + '{"at": 2, "late": 1}\n')
    assert head_of(str(path), "at") == Head(("at",), (1,) * 1_000)


#: 2023-11-14 in seconds.
NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("times", "unit", "was", "meant"),
    [
        ([NOW, NOW + 5], "ms", "before 1990 if they are in ms (the first is 1970-01-20)", "s"),
        ([NOW * 10**6 + 1, NOW * 10**6 + 2], "ms", "after 2100 if they are in ms", "us"),
        ([NOW * 10**3, NOW * 10**3], "s", "after 2100 if they are in s", "ms"),
        ([NOW * 1e6, NOW * 1e6], "ns", "before 1990 if they are in ns (the first is 1970-01-20)", "us"),
        ([NOW, NOW], "us", "before 1990 if they are in us (the first is 1970-01-01)", "s"),
    ],
)
def test_times_of_another_unit(times: list[float], unit: TimeUnit, was: str, meant: str) -> None:
    assert str(unit_mistake(times, unit, "at", 'unit = "{}"')) == (
        f"the times in the column at are all {was}, and begin on 2023-11-14 if they are in {meant} "
        f'(2 looked at); did you mean unit = "{meant}"?'
    )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_our_days_and_times_since_something_are_good(unit: TimeUnit) -> None:
    per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    for times in (
        [],
        [0],
        [0, 3_600_000],
        [t * per for t in (NOW, NOW + 1)],
        [t * per for t in (0, 3_600)],
        [t * per for t in (0, 40 * 86_400)],
        # One that cannot be: whatever the unit is, they are not all of our days.
        [0, NOW],
        [NOW, NOW * 10**3],
        [-1, NOW],
    ):
        assert unit_mistake(times, unit, "at", "{}") is None, times


def test_the_first_and_the_last_time_of_our_days() -> None:
    first, last = 631_152_000, 4_102_444_800  # 1990 and 2100
    for times in ([first], [last], [first, last]):
        assert unit_mistake(times, "ms", "at", "{}") is not None
    for times in ([first - 1], [last + 1]):
        assert unit_mistake(times, "ms", "at", "{}") is None

"""What holds of `timeline.reading` in every format, by the name of the rule."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.reading import jsonl, read, write
from timeline.errors import EventError
from timeline.reading import count_lines, read_events
from timeline.values.scalars import canonical


def test_import_does_not_load_pyarrow() -> None:
    code = "import sys, timeline.reading; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_last_line_without_newline_counts_unless_blank(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    for text, lines in [('{"k":"a","t":1}', 1), ('{"k":"a","t":1}\n  ', 1), ("", 0), ("\n", 1)]:
        path.write_text(text)
        blocks = list(read_events(path, key="k", time="t", columns=[]))
        assert count_lines(path) == lines
        assert (blocks[-1].last if blocks else 0) == lines


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".json", ".csv", ".parquet"])
def test_empty_file_has_no_events(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"e{suffix}"
    path.write_bytes(b"")
    assert read(path) == ([], [])


def test_absent_directory_and_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(EventError, match=r"no such file: .*none\.jsonl; check the path"):
        read_events(tmp_path / "none.jsonl", key="k", time="t", columns=[])
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(EventError, match="is a directory"):
        read_events(tmp_path / "d.csv", key="k", time="t", columns=[])
    with pytest.raises(EventError, match=r"known are \.jsonl"):
        count_lines(tmp_path / "e.xml")


def test_damaged_parquet_and_gzip(tmp_path: Path) -> None:
    (tmp_path / "e.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(EventError, match="as Parquet"):
        read(tmp_path / "e.parquet")
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(b"{}" * 5000)[:-20])
    with pytest.raises(EventError, match="is the file whole"):
        read(tmp_path / "e.jsonl.gz")


def test_gzip(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(b'{"k":"a","t":1}\n{"k":"b","t":2}\n'))
    assert [r[:3] for r in read(tmp_path / "e.jsonl.gz")[0]] == [(1, "a", 1), (2, "b", 2)]
    assert count_lines(tmp_path / "e.jsonl.gz") == 2
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress(b"k,t\na,1\n"))
    assert [r[:3] for r in read(tmp_path / "e.csv.gz")[0]] == [(2, "a", 1)]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_no_such_column(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"e{suffix}", [{"a": "s", "b": 1}])
    with pytest.raises(EventError) as raised:
        list(read_events(path, key="k", time="b", columns=[]))
    assert str(raised.value) == (
        f"no column 'k' in {path}; its columns are a, b; name the key column with --key-column"
    )
    with pytest.raises(EventError, match=r"no column 't' .* with --time-column"):
        list(read_events(path, key="a", time="t", columns=[]))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("block_bytes", [1, 64, 200, 1 << 20])
def test_after_goes_on_where_a_block_ended(tmp_path: Path, suffix: str, block_bytes: int) -> None:
    path = write(tmp_path / f"e{suffix}", [{"k": f"s{i}", "t": i, "x": "v"} for i in range(20)])
    whole = read(path)[0]
    assert len(whole) == 20
    for after in range(24):
        rest = read(path, after=after, block_bytes=block_bytes)[0]
        assert rest == [row for row in whole if row[0] > after]


def test_key_and_time_may_be_columns_too(tmp_path: Path) -> None:
    want = [(1, "7", 5, {"k": 7, "t": 5})]
    assert read(jsonl(tmp_path, '{"k":7,"t":5}'), columns=["k", "t"])[0] == want


def test_columns_that_do_not_exist_are_missing(tmp_path: Path) -> None:
    for suffix in (".jsonl", ".csv", ".parquet"):
        path = write(tmp_path / f"e{suffix}", [{"k": "a", "t": 1}])
        assert read(path, columns=["x", "y"])[0][0][1:] == ("a", 1, {"x": None, "y": None})


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("block_bytes", [1, 1 << 24])
def test_keys_and_values_that_are_too_long(tmp_path: Path, suffix: str, block_bytes: int) -> None:
    # Characters count, not bytes: é is two.
    rows: list[dict[str, Any]] = [
        {"k": "é" * 1_024, "t": 1, "x": "é" * 65_536, "y": ""},
        {"k": "é" * 1_025, "t": 2, "x": "s", "y": ""},
        {"k": "a", "t": 3, "x": "é" * 65_537, "y": ""},
        {"k": "a", "t": 4, "x": "s", "y": "y" * 65_537},
        {"k": "b" * 1_025, "t": None, "x": "x" * 65_537, "y": ""},
    ]
    path = write(tmp_path / f"e{suffix}", rows)
    first = 2 if suffix == ".csv" else 1
    got, rejected = read(path, block_bytes=block_bytes)
    assert [(row[1], row[2], row[3]["x"]) for row in got] == [
        ("é" * 1_024, 1, "é" * 65_536),
        ("a", 4, "s"),
    ]
    assert rejected == [
        (first + 1, "key is longer than 1024 characters"),
        (first + 2, "column 'x' holds a value longer than 65536 characters"),
        (first + 4, "key is longer than 1024 characters"),
    ]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_what_only_rejected_events_carry_is_not_kept(tmp_path: Path, suffix: str) -> None:
    rows = [{"k": "a", "t": 1, "x": "s"}, {"k": "b", "t": 2, "x": "x" * 65_537}]
    [block] = read_events(write(tmp_path / f"e{suffix}", rows), key="k", time="t", columns=["x"])
    assert block.events.keys == ["a"]
    assert block.events.columns["x"].values == [None, "s"]


TEXT = st.text("ab \",\n'é", max_size=5).filter(lambda s: s.strip() != "" and "\r" not in s)


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(TEXT, st.integers(0, 10**9)), min_size=1, max_size=20
    ),
    st.sampled_from([st.booleans(), st.integers(-(2**62), 2**62), st.floats(-1e9, 1e9), TEXT]),
    st.data(),
    st.sampled_from([1, 100, 1 << 20]),
)  # fmt: skip
def test_the_same_rows_in_every_format(
    keyed: list[tuple[str, int]], kind: st.SearchStrategy[Any], data: st.DataObject, size: int
) -> None:
    rows = [{"k": k, "t": t, "x": data.draw(st.none() | kind)} for k, t in keyed]
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for suffix in (".jsonl", ".csv", ".parquet"):
            got, rejected = read(write(Path(folder) / f"e{suffix}", rows), block_bytes=size)
            assert rejected == []
            results.append([(row[1:], type(row[3]["x"])) for row in got])
    want = [((r["k"], r["t"], {"x": canonical(r["x"])}), type(canonical(r["x"]))) for r in rows]
    assert results == [want] * 3

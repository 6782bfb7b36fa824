"""Every rule of `timeline.reading`, by the name of the rule."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from timeline import reading, reading_jsonl
from timeline.errors import EventError
from timeline.reading import (
    Block,
    Rejected,
    TimeUnit,
    count_lines,
    float_ticks,
    read_events,
    tick_of,
    whole_ticks,
)
from timeline.ticks import MAX_TICK
from timeline.vocabulary import canonical

Row = tuple[int, str, int, dict[str, Any]]


def rows_of(blocks: Sequence[Block]) -> list[Row]:
    """(line, key, tick, {column: value}) of every event; checks what holds of every block."""
    rows: list[Row] = []
    last = 0
    for block in blocks:
        events = block.events
        assert events.position.shape == (len(events), 1)
        assert len(set(events.keys)) == len(events.keys)
        assert set(events.key.tolist()) == set(range(len(events.keys)))
        for column in events.columns.values():
            assert column.values[0] is None
            assert None not in column.values[1:]
            assert len({(type(v) is bool, v) for v in column.values}) == len(column.values)
            assert all(canonical(v) is v for v in column.values)
            assert column.codes.dtype == np.int64
        lines = events.position[:, 0].tolist()
        everything = sorted([*lines, *(r.line for r in block.rejected)])
        assert all(last < line <= block.last for line in everything)
        assert lines == sorted(set(lines))
        last = block.last
        for i, line in enumerate(lines):
            values = {n: c.values[c.codes[i]] for n, c in events.columns.items()}
            rows.append((line, events.keys[events.key[i]], int(events.tick[i]), values))
    return rows


def read(
    path: Path,
    columns: Sequence[str] = ("x",),
    unit: TimeUnit = "ms",
    after: int = 0,
    block_bytes: int = 1 << 24,
) -> tuple[list[Row], list[tuple[int, str]]]:
    blocks = list(
        read_events(
            path,
            key="k",
            time="t",
            columns=columns,
            unit=unit,
            after=after,
            block_bytes=block_bytes,
        )
    )
    return rows_of(blocks), [(r.line, r.reason) for b in blocks for r in b.rejected]


def jsonl(tmp_path: Path, *lines: str | bytes, name: str = "e.jsonl") -> Path:
    path = tmp_path / name
    path.write_bytes(b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in lines))
    return path


def values(tmp_path: Path, *texts: str) -> list[Any]:
    """What ``x`` comes to for each JSON text, all in one file."""
    lines = [f'{{"k": "a", "t": 1, "x": {text}}}' for text in texts]
    rows, rejected = read(jsonl(tmp_path, *lines))
    assert rejected == []
    return [row[3]["x"] for row in rows]


def ticks(tmp_path: Path, *texts: str, unit: TimeUnit = "ms") -> list[Any]:
    """The tick of each JSON text as a time, or the reason why it is none; each in its own file."""
    out: list[Any] = []
    for text in texts:
        rows, rejected = read(jsonl(tmp_path, f'{{"k": "a", "t": {text}}}'), unit=unit)
        out.append(rows[0][2] if rows else rejected[0][1])
    return out


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


# --- Files -------------------------------------------------------------------------------------


def test_import_does_not_load_pyarrow() -> None:
    code = "import sys, timeline.reading; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_line_numbers_count_blank_and_broken_lines(tmp_path: Path) -> None:
    path = jsonl(tmp_path, '{"k":"a","t":1}', "", "oops", "  ", '{"k":"b","t":2,"x":"s"}', "")
    assert read(path) == (
        [(1, "a", 1, {"x": None}), (5, "b", 2, {"x": "s"})],
        [(3, "not JSON")],
    )
    assert count_lines(path) == 6
    [block] = read_events(path, key="k", time="t", columns=[])
    assert block.last == 6


def test_rejected_says_where_why_and_what(tmp_path: Path) -> None:
    path = jsonl(tmp_path, '{"k":"a","t":1}', "x" * 300)
    [block] = read_events(path, key="k", time="t", columns=[])
    assert block.rejected == [Rejected(str(path), 2, "not JSON", "x" * 200)]
    assert str(block.rejected[0]) == f"{path}:2: not JSON: {'x' * 200}"


@pytest.mark.parametrize("text", ["[1]", "1", '"s"', "null"])
def test_not_an_object(tmp_path: Path, text: str) -> None:
    assert read(jsonl(tmp_path, '{"k":"a","t":1}', text))[1] == [(2, "not a JSON object")]


@pytest.mark.parametrize(
    "line",
    [
        '{"k":"a","t":1}{"k":"b","t":2}',
        '{"k":"a","t":1,"y":NaN}',
        '{"k":"a","t":1,"y":Infinity}',
        '{"k":"a","t":01}',
        b'{"k":"a","t":1,"y":"\xff"}',
        b'{"k":"\xff","t":1}',
        '{"k":"a","t":1,}',
    ],
)
@pytest.mark.parametrize("sample", [1, 64])
def test_not_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str | bytes, sample: int) -> None:
    # A sample of one does not see the broken line: pyarrow's answer has to be refused by itself.
    monkeypatch.setattr(reading_jsonl, "_SAMPLE", sample)
    rows, rejected = read(jsonl(tmp_path, '{"k":"z","t":9}', line))
    assert [row[:3] for row in rows] == [(1, "z", 9)]
    assert rejected == [(2, "not JSON")]


def test_an_object_over_two_lines_is_two_broken_lines(tmp_path: Path) -> None:
    path = jsonl(tmp_path, '{"k":', '"a","t":1}{"k":"b","t":2}', '{"k":"c","t":3}')
    rows, rejected = read(path)
    assert [row[0] for row in rows] == [3]
    assert rejected == [(1, "not JSON"), (2, "not JSON")]


def test_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    path = jsonl(tmp_path, b'\xef\xbb\xbf{"k":"a","t":1}\r', b"\r", b'{"k":"b","t":2}\r')
    for size in (1, 2, 5, 1 << 20):
        rows, rejected = read(path, block_bytes=size)
        assert [row[:3] for row in rows] == [(1, "a", 1), (3, "b", 2)]
        assert rejected == []


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


def test_null_in_every_row_is_a_column_all_the_same(tmp_path: Path) -> None:
    assert read(jsonl(tmp_path, '{"k":null,"t":1}'))[1] == [(1, "no key")]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("block_bytes", [1, 64, 200, 1 << 20])
def test_after_goes_on_where_a_block_ended(tmp_path: Path, suffix: str, block_bytes: int) -> None:
    path = write(tmp_path / f"e{suffix}", [{"k": f"s{i}", "t": i, "x": "v"} for i in range(20)])
    whole = read(path)[0]
    assert len(whole) == 20
    for after in range(24):
        rest = read(path, after=after, block_bytes=block_bytes)[0]
        assert rest == [row for row in whole if row[0] > after]


def test_after_does_not_let_the_skipped_line_join_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_jsonl, "_SAMPLE", 0)
    path = jsonl(tmp_path, '{"k":"a","t":"1970-01-01T00:00:01Z","y":', '{"z":1}}')
    assert read(path, after=1) == ([], [(2, "not JSON")])


def test_a_line_longer_than_a_block(tmp_path: Path) -> None:
    long = "y" * 5_000_000
    path = jsonl(tmp_path, '{"k":"a","t":1}', f'{{"k":"b","t":2,"x":"{long}"}}', '{"k":"c","t":3}')
    rows, rejected = read(path, block_bytes=100)
    assert [row[:3] for row in rows] == [(1, "a", 1), (2, "b", 2), (3, "c", 3)]
    assert rows[1][3]["x"] == long
    assert rejected == []


def test_one_broken_line_sends_only_its_neighbours_the_slow_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LEAF_BYTES", 200)
    slow: list[int] = []
    exact = reading_jsonl._Reader.exact

    def counting(self: reading_jsonl._Reader, piece: reading.Piece) -> reading.Parts:
        slow.append(len(piece.starts))
        return exact(self, piece)

    monkeypatch.setattr(reading_jsonl._Reader, "exact", counting)
    lines = [f'{{"k":"a","t":{i}}}' for i in range(1000)]
    lines[500] = "{oops"
    rows, rejected = read(jsonl(tmp_path, *lines))
    assert len(rows) == 999
    assert rejected == [(501, "not JSON")]
    assert sum(slow) < 20


# --- Keys, times, values -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('"a"', "a"),
        ("4111", "4111"),
        ("4111.0", "4111"),
        ("1.5", "1.5"),
        ("9007199254740993", "9007199254740993"),
        ("99999999999999999999", "99999999999999999999"),
        ("null", "no key"),
        ("true", "key is not a string or number"),
        ("[1]", "key is not a string or number"),
        ('{"a":1}', "key is not a string or number"),
    ],
)
def test_key(tmp_path: Path, text: str, want: str) -> None:
    rows, rejected = read(jsonl(tmp_path, f'{{"k":{text},"t":1}}'))
    assert (rows[0][1] if rows else rejected[0][1]) == want


def test_a_number_and_its_text_are_one_key(tmp_path: Path) -> None:
    path = jsonl(tmp_path, '{"k":"4111","t":1}', '{"k":4111,"t":2}', '{"k":4111.0,"t":3}')
    [block] = read_events(path, key="k", time="t", columns=[])
    assert block.events.keys == ["4111"]


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
    texts = ['"5000"', '"soon"', "true", "[1]", "{}", '"2026-03-01T12:00:00"', '"2026-13-01T00Z"']
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


def test_values_keep_their_types(tmp_path: Path) -> None:
    got = values(tmp_path, '"s"', "1", "true", "1.5", "null", "false", "0", '"1"', "1.0")
    want = ["s", 1, True, 1.5, None, False, 0, "1", 1]
    assert all(map(same, got, want))


@pytest.mark.parametrize(
    ("texts", "want"),
    [
        (["1", "1.0", "-0.0", "0", "2.5"], [1, 1, 0, 0, 2.5]),
        (["9007199254740993", "1.5"], [9007199254740993, 1.5]),
        (["9007199254740993", "9007199254740992"], [9007199254740993, 9007199254740992]),
        (["18446744073709551615", "1"], [18446744073709551615, 1]),
        (["99999999999999999999", "-99999999999999999999"], [10**20 - 1, 1 - 10**20]),
        (["true", "null", "false"], [True, None, False]),
        (['"2026-03-01"', '"2026-03-01T00:00:00Z"'], ["2026-03-01", "2026-03-01T00:00:00Z"]),
        (['"NaN"', '"Infinity"', '"é€😀"', '""'], ["NaN", "Infinity", "é€😀", ""]),
        (['"\\u0041\\n\\""'], ['A\n"']),
    ],
)
def test_values_exactly(tmp_path: Path, texts: list[str], want: list[Any]) -> None:
    assert all(map(same, values(tmp_path, *texts), want))


def test_a_column_that_changes_its_type_late(tmp_path: Path) -> None:
    lines = [f'{{"k":"a","t":{i},"x":{i}}}' for i in range(500)]
    lines[333] = '{"k":"a","t":333,"x":"s"}'
    lines[444] = '{"k":"a","t":444,"x":9007199254740993.0}'
    rows, _ = read(jsonl(tmp_path, *lines), block_bytes=3000)
    want = [*range(333), "s", *range(334, 444), 9007199254740992, *range(445, 500)]
    assert [row[3]["x"] for row in rows] == want


def test_nested_value_in_a_needed_column_only(tmp_path: Path) -> None:
    path = jsonl(tmp_path, '{"k":"a","t":1,"x":[1],"y":{}}', '{"k":"a","t":2,"x":5,"y":[2]}')
    rows, rejected = read(path)
    assert rows == [(2, "a", 2, {"x": 5})]
    assert rejected == [(1, "column 'x' holds a nested value")]


def test_of_a_repeated_name_the_last_counts(tmp_path: Path) -> None:
    assert read(jsonl(tmp_path, '{"k":"a","t":1,"x":1,"k":"b","x":"s"}'))[0] == [(1, "b", 1, {"x": "s"})]


def test_key_and_time_may_be_columns_too(tmp_path: Path) -> None:
    want = [(1, "7", 5, {"k": 7, "t": 5})]
    assert read(jsonl(tmp_path, '{"k":7,"t":5}'), columns=["k", "t"])[0] == want


def test_columns_that_do_not_exist_are_missing(tmp_path: Path) -> None:
    for suffix in (".jsonl", ".csv", ".parquet"):
        path = write(tmp_path / f"e{suffix}", [{"k": "a", "t": 1}])
        assert read(path, columns=["x", "y"])[0][0][1:] == ("a", 1, {"x": None, "y": None})


# --- CSV ---------------------------------------------------------------------------------------


def text_file(tmp_path: Path, text: str | bytes, name: str = "e.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_csv_types(tmp_path: Path) -> None:
    fields = ["", "1", "1.0", "1.5", "-0", "1e3", "true", "True", "007", "NaN", "NA", "null", "+1"]
    want = [None, 1, 1, 1.5, 0, 1000, True, "True", "007", "NaN", "NA", "null", "+1"]
    path = text_file(tmp_path, "k,t,x\n" + "".join(f"a,1,{f}\n" for f in fields))
    rows, rejected = read(path)
    assert all(same(row[3]["x"], value) for row, value in zip(rows, want, strict=True))
    assert rejected == []


def test_csv_integers_beyond_a_float_stay_exact(tmp_path: Path) -> None:
    path = text_file(tmp_path, "k,t,x\na,1,9007199254740993\na,1,99999999999999999999\na,1,1e400\n")
    assert [row[3]["x"] for row in read(path)[0]] == [9007199254740993, 10**20 - 1, None]


def test_csv_key_is_text_as_it_stands(tmp_path: Path) -> None:
    rows, rejected = read(text_file(tmp_path, "k,t\n007,1\n1.0,1\ntrue,1\n,1\n"))
    assert [row[1] for row in rows] == ["007", "1.0", "true"]
    assert rejected == [(5, "no key")]


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        (["1", "2"], [1, 2]),
        (["1", "2.5"], [1, 2]),
        (["1970-01-01T00:00:01Z"], [1000]),
        (["1", "1970-01-01T00:00:01Z", "3.5"], [1, 1000, 3]),
        (["1", "", "soon", "007", "-1", "99999999999999999999"], [1]),
    ],
)
def test_csv_times(tmp_path: Path, fields: list[str], want: list[int]) -> None:
    rows, rejected = read(text_file(tmp_path, "k,t\n" + "".join(f"a,{f}\n" for f in fields)))
    assert [row[2] for row in rows] == want
    if len(fields) == 6:
        assert rejected == [
            (3, "no time"),
            (4, "not a time"),
            (5, "not a time"),
            (6, "time out of range"),
            (7, "time out of range"),
        ]


def test_csv_wrong_number_of_fields(tmp_path: Path) -> None:
    rows, rejected = read(text_file(tmp_path, "k,t,x\na,1,s\nb,2\n\nc,3,s,more\nd,4,s\n"))
    assert [row[:2] for row in rows] == [(2, "a"), (6, "d")]
    assert rejected == [
        (3, "has 2 fields, the header has 3"),
        (5, "has 4 fields, the header has 3"),
    ]


@pytest.mark.parametrize("block_bytes", [1, 10, 1 << 20])
def test_csv_quoted_newlines_keep_the_line_numbers(tmp_path: Path, block_bytes: int) -> None:
    path = text_file(tmp_path, 'k,t,x\na,1,"two\nlines, ""x"""\r\nb,2,"q"\n"c",3,\nd,4\ne,5,"\n"\n')
    rows, rejected = read(path, block_bytes=block_bytes)
    assert rows == [
        (2, "a", 1, {"x": 'two\nlines, "x"'}),
        (4, "b", 2, {"x": "q"}),
        (5, "c", 3, {"x": None}),
        (7, "e", 5, {"x": "\n"}),
    ]
    assert rejected == [(6, "has 2 fields, the header has 3")]
    assert count_lines(path) == 8
    for after in (2, 3):
        assert read(path, after=after, block_bytes=block_bytes)[0] == rows[1:]


def test_csv_stray_quotes_hurt_only_their_line(tmp_path: Path) -> None:
    path = text_file(tmp_path, 'k,t,x\na,1,5" disk\nb,2,"open\nc,3,s\nd,4,"x"y\ne,5,"a\nb"\n')
    rows, rejected = read(path)
    assert [row[:2] for row in rows] == [(2, "a"), (4, "c"), (6, "e")]
    assert rows[0][3] == {"x": '5" disk'}
    assert [line for line, _ in rejected] == [3, 5]


def test_csv_invalid_utf8(tmp_path: Path) -> None:
    rows, rejected = read(text_file(tmp_path, b"k,t,y\na,1,s\nb,2,\xff\nc,3,s\n"))
    assert [row[1] for row in rows] == ["a", "c"]
    assert rejected == [(3, "not UTF-8")]


def test_csv_with_mark_and_returns(tmp_path: Path) -> None:
    rows, rejected = read(text_file(tmp_path, b"\xef\xbb\xbfk,t,x\r\na,1,s\r\n\r\nb,2,\r\n"))
    assert rows == [(2, "a", 1, {"x": "s"}), (4, "b", 2, {"x": None})]
    assert rejected == []


def test_csv_repeated_header(tmp_path: Path) -> None:
    with pytest.raises(EventError, match="column 'x' is twice"):
        read(text_file(tmp_path, "k,t,x,x\na,1,2,3\n"))


# --- Parquet -----------------------------------------------------------------------------------


def parquet(tmp_path: Path, row_group_size: int | None = None, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), tmp_path / "e.parquet", row_group_size=row_group_size)
    return tmp_path / "e.parquet"


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
        (pa.array([1.0, float("nan")]), [1, None]),
        (pa.array([-0.0, 0.0]), [0, 0]),
        (pa.array([0.5, float("inf")], pa.float32()), [0.5, None]),
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
    assert read(path)[1] == [(i, "key is not a string or number") for i in (1, 2)]


def test_parquet_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(EventError, match=r"column 'x' of .* no JSON scalars"):
        read(parquet(tmp_path, k=["a"], t=[1], x=[b"\xff"]))


def test_parquet_rows_over_groups_and_blocks(tmp_path: Path) -> None:
    n = 1000
    path = parquet(tmp_path, 130, k=[f"s{i % 7}" for i in range(n)], t=range(n))
    assert count_lines(path) == n
    for after in (0, 129, 130, 131, 999, 1000):
        rows, _ = read(path, after=after, block_bytes=64 * 50)
        assert [(r[0], r[1], r[2]) for r in rows] == [(i + 1, f"s{i % 7}", i) for i in range(after, n)]


# --- Against an oracle -------------------------------------------------------------------------


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    else:
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            text = {n: json.dumps(v) if isinstance(v, bool) else v for n, v in row.items()}
            writer.writerow(text)
        path.write_text(out.getvalue())
    return path


def oracle(data: bytes) -> tuple[list[Row], list[tuple[int, str]]]:
    """JSON Lines by the rules, one line after the other."""
    rows: list[Row] = []
    rejected = []
    for line, text in enumerate(data.split(b"\n"), 1):
        if not text.strip(b" \t\r"):
            continue
        try:
            orjson.loads(text)  # stricter than json: no NaN, no Infinity, no stray bytes
            row = json.loads(text)
        except ValueError:
            rejected.append((line, "not JSON"))
            continue
        if not isinstance(row, dict):
            rejected.append((line, "not a JSON object"))
            continue
        key, time, x = row.get("k"), row.get("t"), row.get("x")
        tick = tick_of(time, "ms")
        if key is None:
            rejected.append((line, "no key"))
        elif isinstance(key, bool | dict | list):
            rejected.append((line, "key is not a string or number"))
        elif tick < 0:
            rejected.append((line, reading._REASONS[-tick]))
        elif isinstance(x, dict | list):
            rejected.append((line, "column 'x' holds a nested value"))
        else:
            name = key if isinstance(key, str) else repr(canonical(key))
            rows.append((line, name, tick, {"x": canonical(x)}))
    return rows, rejected


LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
NUMBERS = (
    st.integers(-3, 3)
    | st.integers(-(10**22), 10**22)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1.0, -0.0, 2.0**53, 2**53 + 1, 1e22])
)
SCALARS = st.none() | st.booleans() | NUMBERS | LETTERS | st.just("2026-03-01T00:00:00Z")
ANY = SCALARS | st.just([1]) | st.just({"x": 1})
TIMES = st.integers(0, 10**6) | st.sampled_from(["1970-01-01T00:00:01.5Z", "soon", "1", None, 2.5])
PAIRS = st.lists(
    st.tuples(st.just("k"), st.sampled_from(["a", "b", 1, 1.0, "1"]) | ANY)
    | st.tuples(st.just("t"), TIMES | ANY)
    | st.tuples(st.sampled_from(["x", "y"]), ANY),
    max_size=5,
)
GOOD = st.tuples(st.sampled_from("ab"), st.integers(0, 9999), SCALARS).map(
    lambda r: json.dumps({"k": r[0], "t": r[1], "x": r[2]}).encode()
)
UNIFORM = st.integers(0, 99).map(lambda i: b'{"k":"u","t":%d,"x":"s%d"}' % (i, i % 3))
WILD = PAIRS.map(
    lambda pairs: b"{" + b",".join(b'"%s":%s' % (n.encode(), json.dumps(v).encode()) for n, v in pairs) + b"}"
)
BROKEN = st.sampled_from(
    [b"", b" ", b"\r", b"{", b"}", b"{}", b"[1]", b"{oops}", b'{"k":', b'{"x":{"k":1}', b"\xff",
     b'{"k":"a","t":1,"y":NaN}', b'{"k":"a","t":1}{"k":"a","t":2}', b'1}', b'{"k":"a","t":1} ',
     b'{"k":"a","t":1,"y":"\xff"}', b'{"k":"a","t":1,"y":[{}', b'{}]}', b'{"k":"a","t":1}\r']
)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    lines=st.lists(UNIFORM | GOOD | WILD | BROKEN, max_size=30),
    block_bytes=st.sampled_from([1, 50, 300, 1 << 20]),
    leaf_bytes=st.sampled_from([1, 100, 1 << 18]),
    sample=st.sampled_from([0, 1, 64]),
    newline=st.booleans(),
)
@example([b'{"k":', b"1}"], 1 << 20, 1 << 18, 1, True)
def test_any_lines_as_the_oracle_reads_them(
    lines: list[bytes], block_bytes: int, leaf_bytes: int, sample: int, newline: bool
) -> None:
    # The first line makes sure that the file has the columns.
    data = b"\n".join([b'{"k":"first","t":0,"x":"s"}', *lines]) + b"\n" * newline
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "LEAF_BYTES", leaf_bytes)
        # A small sample leaves it to the other guards of the fast path to see what is broken.
        patch.setattr(reading_jsonl, "_SAMPLE", sample)
        path = Path(folder) / "e.jsonl"
        path.write_bytes(data)
        got, got_rejected = read(path, block_bytes=block_bytes)
        want, want_rejected = oracle(data)
        assert got == want
        assert [type(r[3]["x"]) for r in got] == [type(r[3]["x"]) for r in want]
        assert got_rejected == want_rejected
        cut = len(lines) // 2
        after = [r for r in want if r[0] > cut]
        assert read(path, after=cut, block_bytes=block_bytes)[0] == after


TEXT = st.text("ab \",\n'é", max_size=5).filter(lambda s: s.strip() != "" and "\r" not in s)


@settings(max_examples=150, deadline=None)
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

"""Every rule of CSV in `timeline.reading`, by the name of the rule."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from time import perf_counter

import pytest

from tests.support.reading import read, same, text_file
from timeline.errors import EventError
from timeline.reading import count_lines


def test_csv_types(tmp_path: Path) -> None:
    fields = ["", "1", "1.0", "1.5", "-0", "1e3", "true", "True", "007", "NaN", "NA", "null", "+1"]
    want = [None, 1, 1, 1.5, 0, 1000, True, "True", "007", "NaN", "NA", "null", "+1"]
    path = text_file(tmp_path, "k,t,x\n" + "".join(f"a,1,{f}\n" for f in fields))
    rows, rejected = read(path)
    assert all(same(row[3]["x"], value) for row, value in zip(rows, want, strict=True))
    assert rejected == []


def test_csv_integers_stay_exact(tmp_path: Path) -> None:
    path = text_file(tmp_path, "k,t,x\na,1,9007199254740993\na,1,99999999999999999999\na,1,1e400\n")
    rows, rejected = read(path)
    assert [row[3]["x"] for row in rows] == [9007199254740993, Decimal(99999999999999999999)]
    assert rejected == [(4, "column 'x' holds NaN or an infinity")]


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


def test_csv_a_quote_that_never_closes_takes_linear_time(tmp_path: Path) -> None:
    # Each further line must not make the csv module read all the lines before it again.
    lines = [f"a,{i},s\n" for i in range(100_000)]
    path = text_file(tmp_path, "".join(["k,t,x\n", 'b,1,"open\n', *lines]))
    started = perf_counter()
    rows, rejected = read(path)
    assert perf_counter() - started < 10
    assert len(rows) == 100_000
    assert [line for line, _ in rejected] == [2]


def test_csv_too_long_text_that_looks_like_a_number(tmp_path: Path) -> None:
    path = text_file(tmp_path, f"k,t,x\na,1,{'1' * 65_537}\na,2,1\n")
    rows, rejected = read(path)
    assert [row[3]["x"] for row in rows] == [1]
    assert rejected == [(2, "column 'x' holds a value longer than 65536 characters")]


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_csv_blank_rest_is_no_line(tmp_path: Path, block_bytes: int) -> None:
    path = text_file(tmp_path, "k,t,x\na,1,s\n  ")
    assert read(path, block_bytes=block_bytes) == ([(2, "a", 1, {"x": "s"})], [])
    assert count_lines(path) == 2

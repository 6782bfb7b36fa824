"""Every rule of JSON Lines in `timeline.reading`, by the name of the rule, and against an oracle."""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.cases import pairs
from tests.support.reading import Row, jsonl, read, same, values
from timeline.reading import Rejected, count_lines, jsonl_exact, jsonl_fast, read_events, records
from timeline.reading import jsonl as jsonl_module
from timeline.reading.model import REASONS, Part, Wanted
from timeline.reading.records import Piece
from timeline.reading.times import tick_of


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
    monkeypatch.setattr(jsonl_fast, "_SAMPLE", sample)
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


def test_null_in_every_row_is_a_column_all_the_same(tmp_path: Path) -> None:
    assert read(jsonl(tmp_path, '{"k":null,"t":1}'))[1] == [(1, "no key")]


def test_after_does_not_let_the_skipped_line_join_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl_fast, "_SAMPLE", 0)
    path = jsonl(tmp_path, '{"k":"a","t":"1970-01-01T00:00:01Z","y":', '{"z":1}}')
    assert read(path, after=1) == ([], [(2, "not JSON")])


def test_a_line_longer_than_a_block(tmp_path: Path) -> None:
    lines = ['{"k":"a","t":1}', f'{{"k":"b","t":2,"x":"s","y":"{"y" * 5_000_000}"}}', '{"k":"c","t":3}']
    rows, rejected = read(jsonl(tmp_path, *lines), block_bytes=100)
    assert [row[:3] for row in rows] == [(1, "a", 1), (2, "b", 2), (3, "c", 3)]
    assert rows[1][3]["x"] == "s"
    assert rejected == []


def test_one_broken_line_sends_only_its_neighbours_the_slow_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "LEAF_BYTES", 200)
    slow: list[int] = []
    exact = jsonl_exact.read_exactly

    def counting(wanted: Wanted, piece: Piece) -> Part:
        slow.append(len(piece))
        return exact(wanted, piece)

    monkeypatch.setattr(jsonl_module, "read_exactly", counting)
    lines = [f'{{"k":"a","t":{i}}}' for i in range(1000)]
    lines[500] = "{oops"
    rows, rejected = read(jsonl(tmp_path, *lines))
    assert len(rows) == 999
    assert rejected == [(501, "not JSON")]
    assert sum(slow) < 20


@pytest.mark.parametrize(("text", "want"), pairs("json_keys"))
def test_key(tmp_path: Path, text: str, want: str) -> None:
    rows, rejected = read(jsonl(tmp_path, f'{{"k":{text},"t":1}}'))
    assert (rows[0][1] if rows else rejected[0][1]) == want


def test_a_number_and_its_text_are_one_key(tmp_path: Path) -> None:
    path = jsonl(tmp_path, '{"k":"4111","t":1}', '{"k":4111,"t":2}', '{"k":4111.0,"t":3}')
    [block] = read_events(path, key="k", time="t", columns=[])
    assert block.events.keys == ["4111"]


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
        (
            ["99999999999999999999", "-99999999999999999999"],
            [Decimal(99999999999999999999), Decimal(-99999999999999999999)],
        ),
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
    lines[444] = '{"k":"a","t":444,"x":9007199254740993.5}'
    rows, _ = read(jsonl(tmp_path, *lines), block_bytes=3000)
    want = [*range(333), "s", *range(334, 444), Decimal("9007199254740993.5"), *range(445, 500)]
    assert [row[3]["x"] for row in rows] == want


def test_nested_value_in_a_needed_column_only(tmp_path: Path) -> None:
    path = jsonl(tmp_path, '{"k":"a","t":1,"x":[1],"y":{}}', '{"k":"a","t":2,"x":5,"y":[2]}')
    rows, rejected = read(path)
    assert rows == [(2, "a", 2, {"x": 5})]
    assert rejected == [(1, "column 'x' holds a nested value")]


def test_of_a_repeated_name_the_last_counts(tmp_path: Path) -> None:
    assert read(jsonl(tmp_path, '{"k":"a","t":1,"x":1,"k":"b","x":"s"}'))[0] == [(1, "b", 1, {"x": "s"})]


def carried(value: Any) -> Any:
    """A value of JSON that was read with all its digits: what no float is written as, stays as it is."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return value
    if value == int(value) and -(2**63) <= value < 2**64:
        return int(value)
    nearest = float(value)
    return nearest if Decimal(repr(nearest)) == value else Decimal(value)


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
        exact = json.loads(text, parse_float=Decimal)
        key, time, x = exact.get("k"), row.get("t"), exact.get("x")
        tick = tick_of(time, "ms")
        if key is None or key == "":
            rejected.append((line, "no key"))
        elif isinstance(key, bool | dict | list) or (
            isinstance(key, Decimal) and not isinstance(carried(key), int)
        ):
            rejected.append((line, "key is not text or a whole number"))
        elif tick < 0:
            rejected.append((line, REASONS[-tick]))
        elif isinstance(x, dict | list):
            rejected.append((line, "column 'x' holds a nested value"))
        else:
            # A key is as it is written, however many digits it has.
            name = str(key) if isinstance(key, str | int) else str(carried(key))
            rows.append((line, name, tick, {"x": carried(x)}))
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


@settings(max_examples=400)
@given(
    lines=st.lists(UNIFORM | GOOD | WILD | BROKEN, max_size=30),
    block_bytes=st.sampled_from([1, 50, 300, 1 << 20]),
    leaf_bytes=st.sampled_from([1, 100, 1 << 18]),
    sample=st.sampled_from([0, 1, 64]),
    newline=st.booleans(),
    short=st.sampled_from([0, 0, 100, 1 << 16]),
)
@example([b'{"k":', b"1}"], 1 << 20, 1 << 18, 1, True, 0)
def test_any_lines_as_the_oracle_reads_them(
    lines: list[bytes], block_bytes: int, leaf_bytes: int, sample: int, newline: bool, short: int
) -> None:
    # The first line makes sure that the file has the columns.
    data = b"\n".join([b'{"k":"first","t":0,"x":"s"}', *lines]) + b"\n" * newline
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "LEAF_BYTES", leaf_bytes)
        patch.setattr(jsonl_module, "SHORT_BYTES", short)
        patch.setattr(jsonl_exact, "_FEW", 0 if short == 100 else 1_000)
        # A small sample leaves it to the other guards of the fast path to see what is broken.
        patch.setattr(jsonl_fast, "_SAMPLE", sample)
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


@pytest.mark.parametrize("broken", [[], ["{oops"]])
def test_too_long_among_values_of_several_types(tmp_path: Path, broken: list[str]) -> None:
    texts = ["1", f'"{"x" * 65_537}"', "true", f'"{"x" * 65_536}"', "[1]"]
    lines = [f'{{"k":"a","t":1,"x":{text}}}' for text in texts]
    rows, rejected = read(jsonl(tmp_path, *lines, *broken))
    assert [row[3]["x"] for row in rows] == [1, True, "x" * 65_536]
    assert rejected[:2] == [
        (2, "column 'x' holds a value longer than 65536 characters"),
        (5, "column 'x' holds a nested value"),
    ]
    assert len(rejected) == 2 + len(broken)

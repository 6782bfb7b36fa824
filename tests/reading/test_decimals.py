"""Numbers that no float stands for: `sum` adds them up as they are, all else sees the nearest float."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.reading import parquet, read, text_file
from timeline.errors import WireError
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.reading import read_events
from timeline.reading.long_numbers import full_object, rounds
from timeline.reading.messages import MessageReader
from timeline.tables.columnar import from_bytes, to_bytes
from timeline.tables.events import Events
from timeline.tables.wire import from_events, to_events
from timeline.values.scalars import number_of

LONG = Decimal("12345678901234567.1")


def events_of(path: Path) -> Events:
    [block] = read_events(path, key="k", time="t", columns=["x"])
    assert block.rejected == []
    return block.events


def sent(events: Events) -> Events:
    """The same after a way through a signal."""
    return from_events(from_bytes(to_bytes(to_events(events, (len(events),)))))[0]


def total(events: Events, text: str = "sum(x)", key: str = "a") -> Fraction:
    found = evaluate(make_plan(text), events)
    [table] = found.tables
    row = np.flatnonzero(table.key == events.keys.index(key))[-1]
    return int(table.value[row]) * table.unit


def files(tmp_path: Path, numbers: Sequence[Decimal]) -> list[Path]:
    column = pa.array(numbers, pa.decimal128(38, 10))
    rows = "".join(f"a,{t},{number:f}\n" for t, number in enumerate(numbers))
    lines = "".join(f'{{"k": "a", "t": {t}, "x": {number:f}}}\n' for t, number in enumerate(numbers))
    return [
        parquet(tmp_path, k=["a"] * len(numbers), t=np.arange(len(numbers)), x=column),
        text_file(tmp_path, "k,t,x\n" + rows),
        text_file(tmp_path, lines, "short.jsonl"),
        # So long that pyarrow reads it.
        text_file(tmp_path, lines + '{"k": "b", "t": 1, "x": 0.5}\n' * 4_000, "long.jsonl"),
    ]


@pytest.mark.parametrize(
    "numbers",
    [
        ["0.1", "12345678901234567.1"],
        ["0.1234567890", "-0.1234567889", "99999999999999999999999999.0000000001"],
        ["9007199254740993.5", "9007199254740993.5", "-9007199254740993"],
        ["9223372036854700000", "0.5", "-23511045950428210"],
        ["18446744073709551617", "-36893488147419103233", "0.5"],
        ["1.5", "2", "2.0"],
    ],
)
def test_a_sum_is_exact_from_the_file_to_the_node(tmp_path: Path, numbers: list[str]) -> None:
    exact = list(map(Decimal, numbers))
    for path in files(tmp_path, exact):
        events = events_of(path)
        assert total(events) == total(sent(events)) == sum(map(Fraction, exact)), path.suffix


@pytest.mark.parametrize(
    "text", ["12345678901234567.1", "1234567890123456789e-5", "-0.1000000000000000055511151231257827"]
)
def test_a_sum_of_messages_is_exact(text: str) -> None:
    reader = MessageReader("t", key="k", time="t", columns=["x"])
    messages = [f'{{"k":"a", "t": {t}, "x": {x}, "s": [0.1]}}'.encode() for t, x in enumerate((0.5, text, 2))]
    events, rejected = reader.read(messages)
    assert rejected == []
    assert total(events) == Fraction("2.5") + Fraction(text)


def test_a_key_and_a_time_of_many_digits_stay_what_they_are(tmp_path: Path) -> None:
    line = '{"k": 18446744073709551617, "t": 1700000000000.12345678901, "x": 1}\n'
    rows, rejected = read(text_file(tmp_path, line, "k.jsonl"), columns=["x", "t", "k"])
    assert (rejected, [row[1:3] for row in rows]) == ([], [("18446744073709551617", 1_700_000_000_000)])
    assert rows[0][3] == {
        "x": 1,
        "t": Decimal("1700000000000.12345678901"),
        "k": Decimal(18446744073709551617),
    }


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_what_a_float_is_written_as_is_no_decimal(numbers: list[float]) -> None:
    for text in map(json.dumps, numbers):
        assert not rounds(f'{{"x": {text}, "y":{text}}}'.encode(), ["x", "y"])
    assert not rounds("".join(json.dumps({"x": n}) + "\n" for n in numbers).encode(), ["x"])


NAMES = ["x", "é", "a b", 'q"t', "back\\slash", "\u2028", ""]


@given(
    st.decimals(-(10**20), 10**20, places=8),
    st.sampled_from(NAMES),
    st.sampled_from(["", " ", "  ", "\t"]),
    st.booleans(),
)
def test_what_no_float_stands_for_is_found(number: Decimal, name: str, space: str, escape: bool) -> None:
    quoted = "".join(f"\\u{ord(c):04x}" for c in name) if escape else orjson.dumps(name).decode()[1:-1]
    line = f'{{"other": 1, "{quoted}":{space}{number:f}}}'
    data = line.encode()
    row = {"x": full_object(data, {name: float(number)})[name]}
    assert (
        rounds(data, [*NAMES[3:], *NAMES[:3]])
        == isinstance(number_of(number), Decimal)
        == isinstance(row["x"], Decimal)
    )
    if isinstance(row["x"], Decimal):
        assert row["x"] == number


def test_only_columns_that_are_read_are_looked_at() -> None:
    data = b'{"y": 0.30000000000000001, "time":1.00000000000000001, "x":"0.30000000000000001", "xx":2}'
    assert not rounds(data, ["x", "xx"])
    assert rounds(data, ["y"])
    assert rounds(data, ["time"])


def test_states_and_predicates_see_the_nearest_float(tmp_path: Path) -> None:
    for path in files(tmp_path, [LONG, LONG + Decimal("0.1"), Decimal("0.5")])[:3]:
        events = sent(events_of(path))
        assert events.column("x").values[1:] == [LONG, LONG + Decimal("0.1"), 0.5]
        [row] = evaluate(make_plan("latest_event_to_state(x)"), events).values(at=[1])
        assert (type(row.value), row.value) == (int, 12345678901234568)
        assert total(events, "count(x == 12345678901234568)") == 2
        [table] = evaluate(make_plan("latest_event_to_state(x)"), events).tables
        assert table.vocabulary is not None
        assert table.vocabulary.values == [None, 12345678901234568, 0.5]
        # It is no change, because a person sees none.
        assert len(table) == 2


def test_who_knows_no_decimals_has_the_nearest_floats(tmp_path: Path) -> None:
    path, *_ = files(tmp_path, [LONG, Decimal("0.5")])
    wire = orjson.loads(orjson.dumps(to_events(events_of(path), (1,)), option=orjson.OPT_SERIALIZE_NUMPY))
    assert list(map(Decimal, wire["columns"]["x"].pop("decimals").values())) == [LONG]
    assert from_events(wire)[0].column("x").values[1:] == [12345678901234568, 0.5]
    path, *_ = files(tmp_path, [Decimal("0.5")])
    assert "decimals" not in to_events(events_of(path), (1,))["columns"]["x"]


@pytest.mark.parametrize(
    "decimals", [{"0": "1e999999999"}, {"0": "NaN"}, {"0": "1" * 500}, {"9": "1"}, {"-1": "1"}, {"x": "1"}]
)
def test_what_is_no_decimal_is_not_taken(tmp_path: Path, decimals: dict[str, Any]) -> None:
    wire = to_events(events_of(text_file(tmp_path, "k,t,x\na,1,0.5\n")), (1,))
    wire["columns"]["x"]["decimals"] = decimals
    with pytest.raises(WireError):
        from_events(wire)


@pytest.mark.parametrize("text", ["1e-999999999", "0." + "1" * 600, "1" * 600 + ".5", "1" * 600])
def test_more_digits_than_are_kept_are_the_nearest_float(tmp_path: Path, text: str) -> None:
    rows, rejected = read(text_file(tmp_path, f"k,t,x\na,1,{text}\n"))
    if float(text) == float("inf"):
        assert rejected == [(2, "column 'x' holds NaN or an infinity")]
    else:
        assert not isinstance(rows[0][3]["x"], Decimal)
        assert rows[0][3]["x"] == float(text)


def test_a_long_time_stays_one(tmp_path: Path) -> None:
    rows, rejected = read(text_file(tmp_path, "k,t,x\na,1700000000000.1234567,1\na,soon,1\n"))
    assert [row[2] for row in rows] == [1_700_000_000_000]
    assert rejected == [(3, "not a time")]


@pytest.mark.parametrize("text", ["9.2233720368547e18", "9.22337203685e18", "2.351104595042821e+16", "5e18"])
def test_a_large_whole_number_with_an_exponent(tmp_path: Path, text: str) -> None:
    lines = "".join(f'{{"k": "a", "t": {t}, "x": {x}}}\n' for t, x in enumerate([0.5, text]))
    more = '{"k": "b", "t": 1, "x": 0.5}\n' * 4_000
    for path in (
        text_file(tmp_path, f"k,t,x\na,0,0.5\na,1,{text}\n"),
        text_file(tmp_path, lines, "short.jsonl"),
        text_file(tmp_path, lines + more, "long.jsonl"),
    ):
        assert total(events_of(path)) == Fraction("0.5") + Fraction(text), path.name


def test_a_little_more_than_a_float_counts(tmp_path: Path) -> None:
    events = events_of(text_file(tmp_path, "k,t,x\n" + "a,1,0.10000000000000000001\n" * 3))
    assert total(events) == total(sent(events)) == 3 * Fraction("0.10000000000000000001")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8) | st.decimals(-10, 10))
def test_what_a_float_has_is_one(value: Decimal) -> None:
    if not value.is_finite() or value.adjusted() > 300:
        return
    number = number_of(value)
    if not isinstance(number, Decimal):
        assert Fraction(str(number)) == Fraction(value) or len(value.as_tuple().digits) > 15
    else:
        assert Fraction(str(float(value))) != Fraction(value)

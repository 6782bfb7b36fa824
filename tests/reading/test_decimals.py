"""Numbers that no float stands for: `sum` adds them up as they are, all else sees the nearest float."""

from __future__ import annotations

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


def total(events: Events, text: str = "sum(x)") -> Fraction:
    [table] = evaluate(make_plan(text), events).tables
    return int(table.value[-1]) * table.unit


def files(tmp_path: Path, numbers: Sequence[Decimal]) -> list[Path]:
    column = pa.array(numbers, pa.decimal128(38, 10))
    rows = "".join(f"a,{t},{number:f}\n" for t, number in enumerate(numbers))
    return [
        parquet(tmp_path, k=["a"] * len(numbers), t=np.arange(len(numbers)), x=column),
        text_file(tmp_path, "k,t,x\n" + rows),
    ]


@pytest.mark.parametrize(
    "numbers",
    [
        ["0.1", "12345678901234567.1"],
        ["0.1234567890", "-0.1234567889", "99999999999999999999999999.0000000001"],
        ["9007199254740993.5", "9007199254740993.5", "-9007199254740993"],
        ["1.5", "2", "2.0"],
    ],
)
def test_a_sum_is_exact_from_the_file_to_the_node(tmp_path: Path, numbers: list[str]) -> None:
    exact = list(map(Decimal, numbers))
    for path in files(tmp_path, exact):
        events = events_of(path)
        assert total(events) == total(sent(events)) == sum(map(Fraction, exact)), path.suffix


def test_states_and_predicates_see_the_nearest_float(tmp_path: Path) -> None:
    for path in files(tmp_path, [LONG, LONG + Decimal("0.1"), Decimal("0.5")]):
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
    [path, _] = files(tmp_path, [LONG, Decimal("0.5")])
    wire = orjson.loads(orjson.dumps(to_events(events_of(path), (1,)), option=orjson.OPT_SERIALIZE_NUMPY))
    assert list(map(Decimal, wire["columns"]["x"].pop("decimals").values())) == [LONG]
    assert from_events(wire)[0].column("x").values[1:] == [12345678901234568, 0.5]
    [path, _] = files(tmp_path, [Decimal("0.5")])
    assert "decimals" not in to_events(events_of(path), (1,))["columns"]["x"]


@pytest.mark.parametrize(
    "decimals", [{"0": "1e999999999"}, {"0": "NaN"}, {"0": "1" * 500}, {"9": "1"}, {"-1": "1"}, {"x": "1"}]
)
def test_what_is_no_decimal_is_not_taken(tmp_path: Path, decimals: dict[str, Any]) -> None:
    wire = to_events(events_of(text_file(tmp_path, "k,t,x\na,1,0.5\n")), (1,))
    wire["columns"]["x"]["decimals"] = decimals
    with pytest.raises(WireError):
        from_events(wire)


@pytest.mark.parametrize("text", ["1e-999999999", "0." + "1" * 600, "1" * 600 + ".5"])
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

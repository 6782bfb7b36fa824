"""Values with columns come back from bytes as they were, and bytes that lie are refused at once."""

from __future__ import annotations

import struct
import tracemalloc
from contextlib import suppress
from typing import Any
from unittest import mock

import numpy as np
import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pcodec import standalone

from timeline.errors import TimelineError, WireError
from timeline.tables import bounds, columnar
from timeline.tables.bounds import MAX_NUMBERS
from timeline.tables.columnar import (
    MAGIC,
    decompress,
    from_bytes,
    has_columns,
    to_bytes,
)

LEAST, MOST = -(2**63), 2**63 - 1
numbers = st.integers(LEAST, MOST) | st.integers(-3, 3) | st.sampled_from([LEAST, MOST])
columns = st.builds(
    lambda values, times: np.array(values * times, np.int64), st.lists(numbers), st.sampled_from([1, 40])
)
scalars = st.none() | st.booleans() | st.integers(LEAST, MOST) | st.text() | st.just(10**18)
texts = st.lists(scalars) | st.dictionaries(st.text(), scalars)
leaves = scalars | texts | columns
values = st.recursive(
    leaves,
    lambda inner: (
        st.dictionaries(st.text(), inner)
        | st.lists(columns, min_size=1)
        | st.lists(st.dictionaries(st.text(), inner), min_size=1)
    ),
    max_leaves=12,
)


def as_lists(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))


@given(values, st.sampled_from([1, 2, 64]), st.sampled_from([1, 3]))
def test_what_comes_back_is_what_was_given(value: Any, fewest: int, level: int) -> None:
    with mock.patch.object(columnar, "FEWEST", fewest):
        data = to_bytes(value, level)
    assert as_lists(from_bytes(data)) == as_lists(value)


@given(values)
def test_form_1_is_json_that_workers_of_before_read(value: Any) -> None:
    with mock.patch.object(columnar, "FORM", 1):
        data = to_bytes(value)
        assert not has_columns(value)
    assert orjson.loads(zstandard.ZstdDecompressor().decompress(data)) == as_lists(value)
    assert from_bytes(data) == as_lists(value)


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64])
def test_columns_are_arrays(kind: Any) -> None:
    given = np.arange(-50, 50).astype(kind)[::2][::-1].repeat(2)
    value = {"a": [given, given[:3]], "b": {"c": given}, "names": ["x"], "no": np.zeros((2, 70), np.int64)}
    again = from_bytes(to_bytes(value))
    for column in (again["a"][0], again["b"]["c"]):
        assert column.dtype == np.int64
        assert column.tolist() == given.tolist()
    assert again["a"][1] == given[:3].tolist()
    assert (again["names"], again["no"]) == (["x"], [[0] * 70] * 2)


def test_names_of_fields_are_no_places() -> None:
    """Keys and columns are called as users like."""
    value = {"0": {"": np.arange(99), "null": None}, "value": [{"~": np.arange(98)}]}
    again = from_bytes(to_bytes(value))
    assert len(again["0"][""]) == 99
    assert again["0"]["null"] is None
    assert len(again["value"][0]["~"]) == 98


def test_numbers_beyond_64_bits_are_text_and_none_is_lost() -> None:
    value = {"value": [str(2**70), str(-(2**70))], "other": np.array([2**62, LEAST] * 50)}
    assert as_lists(from_bytes(to_bytes(value))) == as_lists(value)


def test_a_constant_column_is_small_and_text_is_compressed() -> None:
    assert len(to_bytes({"a": np.zeros(1_000_000, np.int64)})) < 500
    assert len(to_bytes({"names": ["name"] * 10_000})) < 1_000


# --- what lies -----------------------------------------------------------------------------------


def container(text: Any, rest: bytes = b"", plain: int | None = None, stored: int | None = None) -> bytes:
    data = text if isinstance(text, bytes) else orjson.dumps(text)
    plain = len(data) if plain is None else plain
    return MAGIC + struct.pack("<II", plain, len(data) if stored is None else stored) + data + rest


COLUMN = standalone.simple_compress(np.arange(100), columnar._config())
SIZE = len(COLUMN)
LIES = {
    "empty": b"",
    "no form": b"hello",
    "form of a later version": b"TLC\x63" + container([None, []])[4:],
    "header cut": MAGIC + b"\0\0",
    "text cut": container([None, []], stored=1_000),
    "text absurd": container([None, []], plain=2**32 - 1),
    "text longer than said": container([None, []], plain=5, stored=9),
    "text is no zstd": container(b"x" * 9, plain=5_000),
    "zstd says another size": container(zstandard.compress(b"[null,[]]"), plain=5_000),
    "text is no json": container(b"[nul"),
    "text is no pair": container({"a": 1}),
    "text is of four": container([None, [], 0, 0]),
    "padding that there is not": container([None, [], 5]),
    "padding below 0": container([None, [], -1], b"x"),
    "padding of text": container([None, [], "x"], b"x"),
    "padding that is a column": container([None, [[[], 100, SIZE]], SIZE], COLUMN),
    "no index": container([None, 3]),
    "index of another shape": container([None, [[["a"], 1]]]),
    "negative": container([None, [[[], -1, 0]]]),
    "numbers absurd": container([None, [[[], 2**62, SIZE]]], COLUMN),
    "numbers absurd together": container([[None, None], [[[0], MAX_NUMBERS, SIZE], [[1], 1, 0]]], COLUMN),
    "more numbers than there are": container([None, [[[], 1_000_000, SIZE]]], COLUMN),
    "fewer numbers than there are": container([None, [[[], 99, SIZE]]], COLUMN),
    "column cut": container([None, [[[], 100, SIZE - 9]]], COLUMN[:-9]),
    "column too long": container([None, [[[], 100, SIZE]]], COLUMN[:-9]),
    "bytes that none asked for": container([None, []], COLUMN),
    "no place": container([{"a": None}, [[["b"], 100, SIZE]]], COLUMN),
    "place within text": container(["text", [[[2], 100, SIZE]]], COLUMN),
    "place that is taken": container([{"a": 1}, [[["a"], 100, SIZE]]], COLUMN),
    "twice in one place": container([[None], [[[0], 100, SIZE], [[0], 100, SIZE]]], COLUMN * 2),
    "place of another kind": container([[None], [[[{}], 100, SIZE]]], COLUMN),
    "of 32 bits": container(
        [None, [[[], 0, 0]]], standalone.simple_compress(np.zeros(9, np.int32), columnar._config())
    ),
    "form 1 of an absurd size": b"\x28\xb5\x2f\xfd\xc0" + struct.pack("<Q", 2**60) + b"\1\0\0",
    "form 1 of no size": zstandard.ZstdCompressor(write_content_size=False).compress(b"{}"),
    "form 1 cut": zstandard.compress(b"[1]" * 999)[:-4],
    "form 1 is no json": zstandard.compress(b"{"),
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES)
def test_bytes_that_lie_are_refused(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(WireError) as raised:
            from_bytes(data)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(raised.value, TimelineError)
    assert most < 16 << 20


@given(st.data(), st.binary(max_size=8))
def test_damaged_bytes_are_refused_or_read(data: Any, junk: bytes) -> None:
    whole = to_bytes({"names": ["a", "b"], "key": np.arange(300) % 7, "rows": [np.arange(90)]})
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, len(whole)))
    with suppress(WireError):
        from_bytes(whole[:begin] + junk + whole[end:])


def test_what_none_could_read_is_not_written() -> None:
    with (
        mock.patch.object(bounds, "MAX_NUMBERS", 99),
        pytest.raises(WireError, match="more than 99 numbers"),
    ):
        to_bytes({"a": np.arange(100)})
    with mock.patch.object(bounds, "MAX_TEXT", 99), pytest.raises(WireError, match="at most 99"):
        to_bytes({"a": "x" * 100})


def test_what_is_very_regular_is_as_long_as_what_it_takes() -> None:
    """So its size says what it takes, and nobody can have a reader make much of little."""
    value = {"a": np.zeros(300_000, np.int64), "names": ["name"] * 20_000, "b": {"padding": [1]}}
    with (
        mock.patch.object(bounds, "NUMBERS_ROOM", 100_000),
        mock.patch.object(bounds, "ITEMS_ROOM", 1_000),
        mock.patch.object(bounds, "TEXT_ROOM", 10_000),
    ):
        data = to_bytes(value)
        assert as_lists(from_bytes(data)) == as_lists(value)
        # Items count most here: 8 bytes for each above the first 1 000.
        assert 152_000 < len(data) < 153_000
        short = to_bytes({**value, "names": []}, 3)
        assert 133_000 < len(short) < 134_000
        long_text = to_bytes({"a": "x" * 100_000})
        assert 45_000 < len(long_text) < 46_000
        # Of the room it has a share, if others have the rest.
        assert 193_000 < len(to_bytes({**value, "names": []}, 3, 0.1)) < 194_000
        with pytest.raises(WireError, match="a value says that it has 101000 numbers, at most 100"):
            from_bytes(container([None, [[[], 101_000, SIZE]]], COLUMN))
        with pytest.raises(WireError, match="about 2000 items in it, at most 1"):
            from_bytes(container([[1] * 2_000, []]))
    assert len(to_bytes(value)) < 2_000


def test_what_is_read_together_shares_what_may_be_read() -> None:
    data = to_bytes({"a": np.zeros(3 << 20, np.int64)})
    budget = bounds.Budget.of(2 * len(data))
    from_bytes(data, budget)
    with pytest.raises(WireError, match="a value says that it has 3145728 numbers, at most 1049"):
        from_bytes(data, budget)


def test_a_state_of_before_that_is_very_regular_is_read_if_that_is_wanted() -> None:
    old = zstandard.compress(orjson.dumps({"a": [0] * 2_000_000}))
    with pytest.raises(WireError, match="start workers with TIMELINE_STATES_OF_0_2=accept"):
        from_bytes(old)
    with mock.patch.object(bounds, "OLD_STATES", True):
        assert len(from_bytes(old)["a"]) == 2_000_000
    many = zstandard.compress(orjson.dumps({"a": ["x"] * 300_000}))
    with pytest.raises(WireError, match="about 300001 texts in it, at most 262"):
        from_bytes(many)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zstandard.compress(bytes((1 << 20) + 1))
    with pytest.raises(WireError, match="of 1048577 bytes, at most 1048576 are taken"):
        decompress(bomb, 1 << 20)

"""Tables against the plainest model there is: a dict of the value at every tick."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeline.errors import LimitError
from timeline.tables.packing import MAX_KEYS, pack
from timeline.tables.splicing import (
    align,
    coalesce,
    collapse,
    cut,
    difference,
    known_to_all,
    merge,
    splice,
    without,
)
from timeline.tables.table import Table, Window, lookup
from timeline.values.exact import NULL
from timeline.values.kinds import TIMELINES, Kind
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import Vocabulary

END = 12
KEYS = (0, 1, 2, MAX_KEYS - 1)
VOCABULARY = Vocabulary(["x", "y"])
#: Value and slope (None: null) from each tick of each key on.
Rows: TypeAlias = dict[tuple[int, int], tuple[int | None, int]]
Model: TypeAlias = dict[tuple[int, int], Any]

shapes = st.sampled_from(TIMELINES)


def places(ticks: st.SearchStrategy[int] | None = None) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.sampled_from(KEYS), ticks or st.integers(0, END - 1))


rows = st.dictionaries(
    places(), st.tuples(st.sampled_from([None, 0, 1, 2]), st.sampled_from([0, 1])), max_size=12
)
windows = st.dictionaries(st.sampled_from(KEYS), st.integers(0, END - 1), max_size=4)


def table_of(kind: Kind, given: Rows) -> Table:
    order = sorted(given)
    at = pack(np.array([k for k, _ in order], np.int64), np.array([t for _, t in order], np.int64))
    values = [given[place][0] for place in order]
    if kind is Kind.BOOL:
        return Table(kind, at, np.array([bool(v) for v in values], bool))
    if kind is Kind.STATE:
        return Table(kind, at, np.array([v or 0 for v in values], np.int64), None, VOCABULARY)
    slope = [0 if value is None else given[p][1] for p, value in zip(order, values, strict=True)]
    numbers = [NULL if v is None else v for v in values]
    return Table(kind, at, np.array(numbers, np.int64), np.array(slope, np.int64))


def window_of(starts: dict[int, int]) -> Window:
    keys = sorted(starts)
    return Window(pack(np.array(keys, np.int64), np.array([starts[k] for k in keys], np.int64)))


def model(table: Table, end: int = END) -> Model:
    """The value, and where it is heading, at each tick of each key that the table speaks of."""
    assert np.all(np.diff(table.at) > 0)
    told: Model = {}
    values, slopes = table.value.tolist(), None if table.slope is None else table.slope.tolist()
    for row, (key, tick) in enumerate(zip(table.key.tolist(), table.tick.tolist(), strict=True)):
        for t in range(tick, end):
            slope = 0 if slopes is None else slopes[row]
            null = table.kind is Kind.NUMERIC and values[row] == NULL
            told[key, t] = (None, 0) if null else (values[row] + slope * (t - tick), slope)
    return told


def inside(place: tuple[int, int], starts: dict[int, int]) -> bool:
    return place[0] in starts and place[1] >= starts[place[0]]


@given(shapes, rows, st.lists(places(), max_size=20))
def test_lookup(shape: Kind, given: Rows, asked: list[tuple[int, int]]) -> None:
    table = table_of(shape, given)
    keys, ticks = (np.array([place[i] for place in asked], np.int64) for i in (0, 1))
    at = pack(keys, ticks)
    row, held = lookup(table, at)
    for place, r, known in zip(asked, row.tolist(), held.tolist(), strict=True):
        earlier = [p for p in sorted(given) if p[0] == place[0] and p[1] <= place[1]]
        assert known == bool(earlier)
        assert not earlier or sorted(given)[r] == earlier[-1]


@given(shapes, rows, windows)
def test_cut(kind: Kind, given: Rows, starts: dict[int, int]) -> None:
    table = table_of(kind, given)
    result = cut(table, window_of(starts))
    assert model(result) == {p: v for p, v in model(table).items() if inside(p, starts)}


@given(shapes, rows, windows)
def test_without(kind: Kind, given: Rows, starts: dict[int, int]) -> None:
    table = table_of(kind, given)
    left = {p: row for p, row in given.items() if not inside(p, starts)}
    assert without(table, window_of(starts)).at.tolist() == table_of(kind, left).at.tolist()


@given(shapes, rows)
def test_coalesce(kind: Kind, given: Rows) -> None:
    table = table_of(kind, given)
    result = coalesce(table)
    truth = model(table)
    assert model(result) == truth
    needed = [p for p in sorted(truth) if (p[0], p[1] - 1) not in truth or changes(truth, p)]
    assert list(zip(result.key.tolist(), result.tick.tolist(), strict=True)) == needed


def changes(truth: Model, place: tuple[int, int]) -> bool:
    value, slope = truth[place[0], place[1] - 1]
    return bool(truth[place] != ((None, 0) if value is None else (value + slope, slope)))


@given(shapes, rows, rows)
def test_merge(kind: Kind, one: Rows, other: Rows) -> None:
    other = {p: row for p, row in other.items() if p not in one}
    result = merge(table_of(kind, one), table_of(kind, other))
    wanted = table_of(kind, one | other)
    assert result.at.tolist() == wanted.at.tolist()
    assert result.value.tolist() == wanted.value.tolist()
    assert (result.slope is None) == (wanted.slope is None)
    assert result.slope is None or wanted.slope is None or result.slope.tolist() == wanted.slope.tolist()


@given(shapes, rows, rows, windows)
def test_splice_and_difference(kind: Kind, old: Rows, new: Rows, starts: dict[int, int]) -> None:
    table = coalesce(table_of(kind, old))
    window = window_of(starts)
    patch = coalesce(cut(table_of(kind, new), window))
    before, after = model(table), {p: v for p, v in model(table).items() if not inside(p, starts)}
    # A key that the patch has no row for at its start goes on with what it was before it.
    patch = patch.take(np.isin(patch.key, patch.key[np.isin(patch.at, window.at)]))
    starts = {k: t for k, t in starts.items() if k in set(patch.key.tolist())}
    window = window_of(starts)
    after = {p: v for p, v in before.items() if not inside(p, starts)} | model(patch)
    result = splice(table, window, patch)
    assert model(result) == after
    assert coalesce(result).at.tolist() == result.at.tolist()
    first: dict[int, int] = {}
    for key, tick in sorted(before.keys() | after.keys(), reverse=True):
        if before.get((key, tick)) != after.get((key, tick)):
            first[key] = tick
    changed = difference(table, patch, window)
    assert list(zip(changed.key.tolist(), changed.tick.tolist(), strict=True)) == sorted(first.items())


@given(shapes, rows, st.lists(st.integers(0, END), min_size=3, max_size=3))
def test_collapse(kind: Kind, given: Rows, ticks: list[int]) -> None:
    table = table_of(kind, {p: row for p, row in given.items() if p[0] < 3})
    result = collapse(table, pack(np.arange(3), np.array(ticks)))
    for (key, tick), value in model(table).items():
        if tick >= ticks[key]:
            assert model(result)[key, tick] == value
    for key in range(3):
        assert np.count_nonzero(result.tick[result.key == key] <= ticks[key]) <= 1


@given(st.lists(st.tuples(shapes, rows), min_size=2, max_size=3), windows)
def test_align_where_all_are_known(given: list[tuple[Kind, Rows]], starts: dict[int, int]) -> None:
    tables = [table_of(kind, r) for kind, r in given]
    models = [model(t) for t in tables]
    window = known_to_all(tables, window_of(starts))
    for key, start in starts.items():
        common = [t for t in range(start, END) if all((key, t) in m for m in models)]
        assert window.tick[window.key == key].tolist() == common[:1]
    tables = [cut(table, window) for table in tables]
    at, indices = align(tables)
    assert set(at.tolist()) == set(np.concatenate([t.at for t in tables]).tolist())
    for table, index in zip(tables, indices, strict=True):
        row, held = lookup(table, at)
        assert held.all()
        assert np.arange(len(table))[index].tolist() == row.tolist()


@pytest.mark.parametrize(
    ("key", "tick"), [(0, -1), (0, MAX_TICK + 1), (MAX_KEYS, 0), (5, 1_700_000_000_000_000)]
)
def test_pack_refuses_what_would_be_another_place(key: int, tick: int) -> None:
    with pytest.raises(LimitError):
        pack(np.array([0, key]), np.array([0, tick]))


def test_the_last_key_ends_too() -> None:
    window = Window(pack(np.array([0, MAX_KEYS - 1]), np.array([MAX_TICK, MAX_TICK])))
    assert np.all(window.end > window.at)
    assert window.back(MAX_TICK + 5).tick.tolist() == [0, 0]

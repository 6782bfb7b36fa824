"""Rows that change at the ends of their keys, step by step, against a dict of all rows."""

from __future__ import annotations

from contextlib import nullcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.histories import restless
from tests.tables.test_table import END, Rows, inside, shapes, table_of, window_of
from timeline.tables.history import History
from timeline.tables.packing import packed
from timeline.tables.splicing import coalesce
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind

KEYS = range(5)
keys = st.sampled_from(KEYS)
ticks = st.integers(0, END - 1)
rows = st.dictionaries(
    st.tuples(keys, ticks), st.tuples(st.sampled_from([None, 0, 1, 2]), st.sampled_from([0, 1])), max_size=20
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["splice", "splice", "fold", "remove", "collapse", "drop", "become"]),
        st.dictionaries(keys, ticks, max_size=5),
        rows,
    ),
    max_size=25,
)


def held_before(told: Rows, key: int, tick: int) -> tuple[int, int] | None:
    """The row that holds at a tick."""
    earlier = [place for place in told if place[0] == key and place[1] <= tick]
    return max(earlier, default=None)


def changed(told: Rows, kind: Kind, step: str, starts: dict[int, int], more: Rows) -> Rows:
    """What all rows are after a step, by its definition."""
    if step == "splice":
        kept = {place: row for place, row in told.items() if not inside(place, starts)}
        new = coalesced(kind, {place: row for place, row in more.items() if inside(place, starts)})
        for key, tick in starts.items():
            place = held_before(kept, key, tick)
            head = new.get((key, tick))
            if (
                place
                and head
                and coalesced(kind, {place: kept[place], (key, tick): head})
                != {
                    place: kept[place],
                    (key, tick): head,
                }
            ):
                del new[key, tick]
        return kept | new
    if step == "fold":
        return told | more
    if step == "become":
        return more
    left = {}
    for place, row in told.items():
        key, tick = place
        start = starts.get(key, 0)
        if step == "remove":
            stays = key not in starts
        elif step == "drop":
            stays = tick >= start
        else:
            base = held_before(told, key, start)
            stays = base is None or place >= base
        if stays:
            left[place] = row
    return left


def coalesced(kind: Kind, told: Rows) -> Rows:
    table = coalesce(table_of(kind, told))
    return {place: told[place] for place in zip(table.key.tolist(), table.tick.tolist(), strict=True)}


def apply(history: History, kind: Kind, step: str, starts: dict[int, int], more: Rows) -> None:
    horizon = packed(np.arange(5), np.array([starts.get(key, 0) for key in KEYS]))
    if step == "splice":
        new = coalesced(kind, {place: row for place, row in more.items() if inside(place, starts)})
        history.splice(window_of(starts), table_of(kind, new))
    elif step == "fold":
        new_rows = table_of(kind, more)
        begin = new_rows.at[new_rows.first_rows()]
        for extra in (0, 1):
            seen = history.view(begin, more=extra)
            both = {(k, t): n for n, (k, t) in enumerate(places(seen))}
            whole = merged(seen, new_rows, both)
            history.replace(seen, whole)
    elif step == "become":
        history.become(table_of(kind, more))
    elif step == "remove":
        history.remove(np.array(sorted(starts), np.int64))
    elif step == "drop":
        history.drop(horizon)
    else:
        history.collapse(horizon)


def places(table: Table) -> list[tuple[int, int]]:
    return list(zip(table.key.tolist(), table.tick.tolist(), strict=True))


def merged(old: Table, new: Table, at: dict[tuple[int, int], int]) -> Table:
    """The rows of both, of two at one place the new."""
    kept = old.take(np.array([n for place, n in at.items() if place not in set(places(new))], np.int64))
    order = np.argsort(np.concatenate((kept.at, new.at)), kind="stable")
    slope = None
    if kept.slope is not None and new.slope is not None:
        slope = np.concatenate((kept.slope, new.slope))[order]
    value = np.concatenate((kept.value, new.value))[order]
    return Table(old.kind, np.concatenate((kept.at, new.at))[order], value, slope, old.vocabulary)


def same(table: Table, wanted: Table) -> bool:
    def columns(t: Table) -> tuple[Any, ...]:
        return t.at.tolist(), t.value.tolist(), None if t.slope is None else t.slope.tolist()

    return columns(table) == columns(wanted)


@pytest.mark.parametrize("moving", [False, True])
@given(kind=shapes, first=rows, steps=steps, asked=st.dictionaries(keys, ticks, max_size=5))
def test_every_step(kind: Kind, first: Rows, steps: Any, asked: dict[int, int], moving: bool) -> None:
    """What is asked for between steps changes nothing, and what was handed out does not change."""
    with restless() if moving else nullcontext():
        told = first
        history = History(table_of(kind, first))
        handed: list[tuple[Table, Table]] = []
        for step, starts, more in steps:
            apply(history, kind, step, starts, more)
            told = changed(told, kind, step, starts, more)
            wanted = table_of(kind, told)
            assert len(history) == len(wanted)
            window = window_of(asked)
            for extra in (0, 1):
                assert same(history.view(window.at, more=extra), table_of(kind, seen(told, asked, extra)))
            heads = history.heads(np.arange(7))
            assert heads.tolist() == wanted.at[wanted.first_rows()].tolist()
            if len(starts) % 2:
                assert same(history.whole(), wanted)
                handed.append((history.whole(), wanted))
        assert same(history.whole(), table_of(kind, told))
        assert all(same(table, wanted) for table, wanted in handed)


def seen(told: Rows, asked: dict[int, int], extra: int) -> Rows:
    """Of the keys asked for what holds there and all behind, and so many rows before."""
    found: Rows = {}
    for key, tick in asked.items():
        mine = sorted(place for place in told if place[0] == key)
        before = sum(place[1] <= tick for place in mine)
        found |= {place: told[place] for place in mine[max(0, before - 1 - extra) :]}
    return found


def numbers(*given: tuple[int, int, Any], unit: Fraction = Fraction(1, 1000)) -> Table:
    at = packed(np.array([key for key, *_ in given]), np.array([tick for _, tick, _ in given]))
    value = np.array([value for *_, value in given])
    return Table(Kind.NUMERIC, at, value, np.zeros(len(at), value.dtype), None, unit)


def test_another_unit() -> None:
    history = History(numbers((0, 1, 500), (1, 1, 1000)))
    history.splice(Window.of_key(1, 4), numbers((1, 4, 1), unit=Fraction(1, 3)))
    assert history.unit == Fraction(1, 3000)
    assert history.whole().value.tolist() == [1500, 3000, 1000]
    history.splice(Window.of_key(0, 2), numbers((0, 2, 7)))
    assert history.whole().value.tolist() == [1500, 21, 3000, 1000]


def test_numbers_that_need_more_than_64_bits() -> None:
    history = History(numbers((0, 1, 500), (1, 1, 1000)))
    large = Table(
        Kind.NUMERIC, np.array([packed(1, 4)]), np.array([10**30], object), np.array([0], object), None
    )
    history.splice(Window.of_key(1, 4), large)
    assert history.whole().value.tolist() == [500, 1000, 10**30]


def test_a_step_moves_its_own_rows_only() -> None:
    """However many rows are kept, the columns are written to where a key's rows end."""
    count = 10_000
    history = History(numbers(*((0, 2 * tick, tick) for tick in range(count))))
    moved = 0
    for tick in range(2 * count, 4 * count):
        columns = id(history._at)
        history.splice(Window.of_key(0, tick), numbers((0, tick, -tick)))
        moved += columns != id(history._at)
    assert len(history) == 3 * count
    assert moved <= 10

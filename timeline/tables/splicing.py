"""How functions of time are cut, aligned, merged and compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeline.tables.packing import Bools, first_of_keys, first_of_runs, follows_in_key, key_of, same_key
from timeline.tables.table import Rows, Table, Window, in_one_unit, lookup, same_rows, values_at
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64, Vocabulary


def cut(table: Table, window: Window) -> Table:
    """The table on the window: for each of its keys a row at the start (if one holds) and all after."""
    if not len(table) or not len(window):
        return table.take(slice(0, 0))
    if len(table) == len(window) and np.array_equal(table.at, window.at):
        return table  # one row a key, which is there already
    low = np.searchsorted(table.at, window.at, side="right")
    high = np.searchsorted(table.at, window.end, side="left")
    # The row before is that which holds at the start, if it is one of the key.
    base = np.maximum(low - 1, 0)
    held = (low > 0) & (key_of(table.at[base]) == window.key)
    count = high - low
    total = count + held
    if int(total.sum()) == len(table) and np.array_equal(table.at[base[held]], window.at[held]):
        return table  # all of it, as it is
    offset = np.cumsum(total) - total
    # One flat index: the base row of each key where there is one, then its rows behind the start.
    index = np.repeat(low - offset - held, total) + np.arange(int(total.sum()))
    heads = offset[held]
    index[heads] = base[held]
    at = table.at[index]
    at[heads] = window.at[held]
    value = table.value[index]
    value[heads] = values_at(table, base[held], window.at[held])
    slope = None if table.slope is None else table.slope[index]
    return Table(table.kind, at, value, slope, table.vocabulary, table.unit)


def rows_in(table: Table, window: Window) -> I64:
    """Indices of the rows that begin in the window."""
    low = np.searchsorted(table.at, window.at, side="left")
    count = np.searchsorted(table.at, window.end, side="left") - low
    rows: I64 = np.repeat(low - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
    return rows


def align(tables: Sequence[Table]) -> tuple[I64, list[Rows]]:
    """The places at which any of the tables has a row, and for each table the row that holds there.

    The tables must begin at the same tick for every key, as tables cut to one window do.
    """
    if len(tables) == 1:
        return tables[0].at, [slice(None)]
    at = np.concatenate([t.at for t in tables])
    at.sort(kind="stable")
    at = at[first_of_runs(at)]
    # The longest table has a row at nearly every place; where not is found from the others, which is quicker.
    longest = max(tables, key=len)
    in_longest = np.ones(len(at), bool)
    begun = []
    for table in tables:
        begins = in_longest
        if table is not longest:
            places = np.searchsorted(at, table.at)
            begins = np.zeros(len(at), bool)
            begins[places] = True
            there = np.minimum(np.searchsorted(longest.at, table.at), len(longest) - 1)
            in_longest[places[longest.at[there] != table.at]] = False
        begun.append(begins)
    return at, [np.cumsum(begins) - 1 for begins in begun]


def known_to_all(tables: Sequence[Table], window: Window) -> Window:
    """The window from where all the tables have rows: snapshots of nodes that have forgotten different
    pasts begin at different ticks, and before the last of them there is no common answer."""
    at = window.at
    for table in tables:
        _, held = lookup(table, at)
        if not held.all():
            following = np.append(table.at, np.int64(-1))[np.searchsorted(table.at, at, side="right")]
            at = np.where(held, at, following)[held | same_key(following, at)]
    return window if at is window.at else Window(at)


def coalesce(table: Table) -> Table:
    """The same function without rows that change nothing."""
    if len(table) < 2:
        return table
    same = follows_in_key(table.at)
    same &= same_rows(values_at(table, slice(None, -1), table.at[1:]), table.value[1:])
    if table.slope is not None:
        same &= same_rows(table.slope[1:], table.slope[:-1])
    if not same.any():
        return table
    return table.take(np.flatnonzero(np.concatenate(([True], ~same))))


def merge(old: Table, new: Table) -> Table:
    """One sorted table of two that have no place in common."""
    if not len(old):
        return new
    if not len(new):
        return old
    old, new = in_one_unit((old, new))
    where = np.searchsorted(old.at, new.at) + np.arange(len(new))
    from_new = np.zeros(len(old) + len(new), bool)
    from_new[where] = True

    def put(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        out = np.empty((len(from_new), *a.shape[1:]), np.result_type(a, b))
        out[from_new] = b
        out[~from_new] = a
        return out

    slope = None
    if old.slope is not None and new.slope is not None:
        slope = put(old.slope, new.slope)
    value = put(old.value, new.value)
    return Table(old.kind, put(old.at, new.at), value, slope, old.vocabulary, old.unit)


def joined(tables: Sequence[Table]) -> Table:
    """One table of several; the keys of each lie behind those of the one before it."""
    if len(tables) == 1:
        return tables[0]
    first, *_ = tables = in_one_unit(tables)
    values = [table.value for table in tables]
    vocabulary = None
    if first.kind is Kind.STATE:
        vocabulary = Vocabulary()
        values = [vocabulary.encode(t.vocabulary.values)[t.value] for t in tables if t.vocabulary]
    slopes = [table.slope for table in tables if table.slope is not None]
    return Table(
        first.kind,
        np.concatenate([table.at for table in tables]),
        np.concatenate(values),
        np.concatenate(slopes) if slopes else None,
        vocabulary,
        first.unit,
    )


def difference(old: Table, new: Table, window: Window) -> Window:
    """Where ``new`` (on the window) first differs from ``old`` (the whole table), for keys where it does.

    A key whose rows begin earlier than they did differs from its new origin on.
    """
    old, new = in_one_unit((cut(old, window), new))
    first = np.full(len(window), _FAR)
    olds, news = _Steps(old, window), _Steps(new, window)
    # Most keys differ at their first or second place: they are looked at place by place, all keys at once.
    among = np.arange(len(window))
    for _ in range(_PLACES):
        at = np.minimum(olds.at[among], news.at[among])
        there = at < _FAR
        among, at = among[there], at[there]
        differs = _differ(old, olds.rows(among, at), new, news.rows(among, at), at)
        first[among[differs]] = at[differs]
        among, at = among[~differs], at[~differs]
        if not len(among):
            break
        olds.go_beyond(among, at)
        news.go_beyond(among, at)
    if len(among):
        rest = Window(window.at[among])
        places = _difference_by_rows(cut(old, rest), cut(new, rest))
        return Window(np.sort(np.concatenate((first[first < _FAR], places))))
    return Window(first[first < _FAR])


#: So many places of a key are looked at before all of its rows are, and a place behind all.
_PLACES = 6
_FAR = np.iinfo(np.int64).max


class _Steps:
    """For each key of a window the next of a table's rows to come to: its place (``at``)."""

    def __init__(self, table: Table, window: Window) -> None:
        self._places = np.append(table.at, _FAR)
        self._begin = np.searchsorted(table.at, window.at)
        self._end = np.searchsorted(table.at, window.end)
        self._next = self._begin.copy()
        self.at = np.where(self._next < self._end, self._places[self._next], _FAR)

    def rows(self, keys: I64, at: I64) -> I64:
        """The row of each key that holds at a place no later than its next; below 0: none."""
        row = self._next[keys] - (self.at[keys] > at)
        return np.where(row >= self._begin[keys], row, -1)

    def go_beyond(self, keys: I64, at: I64) -> None:
        """The next is behind those places."""
        self._next[keys] += self.at[keys] == at
        self.at[keys] = np.where(self._next[keys] < self._end[keys], self._places[self._next[keys]], _FAR)


def _differ(old: Table, row_old: I64, new: Table, row_new: I64, at: I64) -> Bools:
    """Whether the rows say something else at places; one that is not there (below 0) says nothing."""
    in_old, in_new = row_old >= 0, row_new >= 0
    differs: Bools = in_old != in_new
    both = np.flatnonzero(in_old & in_new)
    row_old, row_new, at = row_old[both], row_new[both], at[both]
    equal = same_rows(values_at(old, row_old, at), values_at(new, row_new, at))
    if old.slope is not None and new.slope is not None:
        equal &= same_rows(old.slope[row_old], new.slope[row_new])
    differs[both] = ~equal
    return differs


def _difference_by_rows(old: Table, new: Table) -> I64:
    """Where two tables first differ, by key."""
    at = np.concatenate((old.at, new.at))
    at.sort(kind="stable")
    at = at[first_of_runs(at)]
    (row_old, in_old), (row_new, in_new) = lookup(old, at), lookup(new, at)
    rows = np.where(in_old, row_old, -1), np.where(in_new, row_new, -1)
    at = at[_differ(old, rows[0], new, rows[1], at)]
    return at[first_of_keys(at)]

"""The rows of a table that changes at the ends of its keys, at a cost that does not grow with what is kept.

A `Table` is sorted as a whole, so that whoever adds a row copies all of them. Here every key has a stretch
of its own in columns that they share, with some room behind it: a new end of some keys is written there,
and rows that are kept are neither looked at nor moved. A key that outgrows its room moves behind the
others to more room than it needs, so that a row is moved a few times, however many there are.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from timeline.tables.changes import Changes
from timeline.tables.packing import earliest, key_of, start_of
from timeline.tables.spans import I32, longer, moved, spans
from timeline.tables.splicing import cut
from timeline.tables.table import Table, Window, in_unit, same_rows, values_at
from timeline.values.exact import common_unit
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64, Vocabulary

#: A key that moves gets room for one row more for so many that it has (and for one).
SPARE = 4
#: Columns that are full grow by this; if less than that share of them is lived in, they are tidied too.
GROWTH = 1.25
LIVED_IN = 0.75


class History:
    """A function of time for many keys, of which windows are replaced.

    It takes time and memory by the rows that it is handed and by those of their keys behind them; only
    what is said to be of all rows takes more. Windows and places are sorted, one a key, as in `Window`.

    >>> from timeline.tables.packing import packed
    >>> def table(*rows):
    ...     at = np.array([packed(key, tick) for key, tick, _ in rows])
    ...     return Table(Kind.BOOL, at, np.array([value for *_, value in rows]))
    >>> history = History(table((0, 1, True), (0, 5, False), (1, 3, True)))
    >>> history.splice(Window.of_key(0, 4), table((0, 4, False), (0, 7, True)))
    >>> history.whole().json_rows()
    [[1, True], [4, False], [7, True], [3, True]]
    """

    __slots__ = (
        "_at",
        "_count",
        "_first",
        "_lent",
        "_room",
        "_rows",
        "_slope",
        "_used",
        "_value",
        "_whole",
        "changes",
        "kind",
        "unit",
        "vocabulary",
    )

    kind: Kind
    unit: Fraction
    vocabulary: Vocabulary | None

    def __init__(self, table: Table) -> None:
        #: Notes what changes, if somebody wants to know.
        self.changes: Changes | None = None
        self.become(table)

    def become(self, table: Table) -> None:
        """Holds the rows of a table instead of its own."""
        self.kind, self.unit, self.vocabulary = table.kind, table.unit, table.vocabulary
        self._at, self._value, self._slope = table.at, table.value, table.slope
        self._used = self._rows = len(table)
        #: Whether others have the columns too, so that they must not be written to.
        self._lent = True
        self._whole: Table | None = table
        if self.changes is not None:
            self.changes.all()
        heads = table.first_rows()
        keys = key_of(table.at[heads])
        count = int(keys[-1]) + 1 if len(keys) else 0
        #: By key code: its first row, how many it has, and how many it has room for. Of 32 bits, since most
        #: of what many keys with few rows take is this; two thousand million rows are too many for a node.
        self._first, self._count, self._room = (np.zeros(count, np.int32) for _ in range(3))
        self._first[keys] = heads
        self._count[keys] = self._room[keys] = np.diff(np.append(heads, len(table)))

    def __len__(self) -> int:
        return self._rows

    # --- what there is ---------------------------------------------------------------------------

    def nothing(self) -> Table:
        """A table of the same kind without rows."""
        return self._table(np.empty(0, np.int64))

    def view(self, at: I64, more: int = 0) -> Table:
        """Of the keys of places the rows that hold there, and all behind; ``more`` rows before those."""
        key = key_of(at)
        self._know(key)
        first = self._first[key]
        begin = np.maximum(self._search(key, at + 1) - 1 - more, first)
        count = first + self._count[key] - begin
        return self._table(spans(begin, count))

    def cut(self, window: Window) -> Table:
        """`timeline.tables.splicing.cut` of the whole table."""
        return cut(self.view(window.at), window)

    def behind(self, window: Window) -> Table:
        """The rows that begin in a window."""
        key = window.key
        self._know(key)
        begin = self._search(key, window.at)
        return self._table(spans(begin, self._first[key] + self._count[key] - begin))

    def heads(self, key: I64) -> I64:
        """Where the rows of keys begin, of those that have any."""
        self._know(key)
        return self._at[self._first[key[self._count[key] > 0]]]

    def rows_of(self, key: I64) -> I32:
        """How many rows keys have."""
        self._know(key)
        return self._count[key]

    def whole(self) -> Table:
        """All rows."""
        if self._whole is None:
            self._whole = self._table(spans(self._first, self._count))
        return self._whole

    # --- what changes ----------------------------------------------------------------------------

    def splice(self, window: Window, new: Table) -> None:
        """Replaces everything in the window by ``new`` (coalesced, and on that window)."""
        new = self._agreed(new)
        key = window.key
        self._know(key)
        kept = self._search(key, window.at) - self._first[key]
        self._put(window, kept, self._changes(window, kept, new))

    def put(self, window: Window, rows: Table) -> None:
        """Replaces all rows that begin in the window by these, as they are."""
        rows = self._agreed(rows)
        key = window.key
        self._know(key)
        self._put(window, self._search(key, window.at) - self._first[key], rows)

    def remove(self, key: I64) -> None:
        """Drops all rows of keys."""
        key = np.sort(key)
        self._know(key)
        self._rows -= int(self._count[key].sum())
        self._count[key] = 0
        self._whole = None
        if self.changes is not None:
            self.changes.behind(start_of(key))

    def collapse(self, horizon: I64) -> None:
        """Drops rows that end at or before their key's horizon (packed, one a key code).

        What holds at the horizon stays, as the one base row of its key.
        """
        key = np.flatnonzero(self._count)
        self._leave(key, np.maximum(self._search(key, horizon[key] + 1) - 1 - self._first[key], 0))

    def drop(self, horizon: I64) -> None:
        """Drops rows that begin before their key's horizon (packed, one a key code)."""
        key = np.flatnonzero(self._count)
        self._leave(key, self._search(key, horizon[key]) - self._first[key])

    def behead(self, heads: I64) -> None:
        """Drops rows that begin before their key's place, one a key, sorted."""
        key = key_of(heads)
        self._know(key)
        self._leave(key, self._search(key, heads) - self._first[key])

    def replace(self, old: Table, new: Table) -> None:
        """Puts ``new`` in the place of ``old``, a `view` of no other keys."""
        new = self._agreed(new)
        heads = new.at[new.first_rows()]
        key = key_of(heads)
        self._know(key)
        low = np.searchsorted(old.at, start_of(key))
        gone = np.searchsorted(old.at, start_of(key + 1)) - low
        low = np.searchsorted(new.at, heads)
        if self.changes is not None:
            self.changes.behind(earliest([old.at[old.first_rows()], heads]))
        self._write(key, self._count[key] - gone, np.diff(np.append(low, len(new))), new)

    # --- stretches -------------------------------------------------------------------------------

    def _table(self, rows: I64 | slice) -> Table:
        slope = None if self._slope is None else self._slope[rows]
        return Table(self.kind, self._at[rows], self._value[rows], slope, self.vocabulary, self.unit)

    def _know(self, key: I64) -> None:
        """Makes room for key codes."""
        most = int(key[-1]) + 1 if len(key) else 0
        if most > len(self._first):
            grown = max(most, len(self._first) * 3 // 2)
            self._first, self._count, self._room = (
                longer(column, grown) for column in (self._first, self._count, self._room)
            )

    def _search(self, key: I64, at: I64) -> I64:
        """The first row of each key that is at its place or behind it, or the end of its rows.

        From the end back in steps that double, since most places are near it; then by halves.
        """
        low = self._first[key].astype(np.int64)
        high = low + self._count[key]
        among = np.flatnonzero(low < high)
        step = 1
        while len(among):
            probe = np.maximum(high[among] - step, low[among])
            behind = self._at[probe] >= at[among]
            low[among[~behind]] = probe[~behind] + 1
            among, probe = among[behind], probe[behind]
            high[among] = probe
            among = among[probe > low[among]]
            step *= 2
        among = np.flatnonzero(low < high)
        while len(among):
            probe = (low[among] + high[among]) >> 1
            behind = self._at[probe] >= at[among]
            low[among[~behind]] = probe[~behind] + 1
            high[among[behind]] = probe[behind]
            among = among[low[among] < high[among]]
        return low

    def _agreed(self, new: Table) -> Table:
        """``new`` in the unit of the rows, both in columns that hold either's numbers."""
        if new.slope is None or self._slope is None:
            return new
        if new.unit != self.unit:
            unit = common_unit(new.unit, self.unit)
            new = in_unit(new, unit)
            if unit != self.unit:
                self.become(in_unit(self.whole(), unit))
        value, slope = np.result_type(self._value, new.value), np.result_type(self._slope, new.slope)
        if value != self._value.dtype:
            self._value, self._whole = self._value.astype(value), None
        if slope != self._slope.dtype:
            self._slope, self._whole = self._slope.astype(slope), None
        return new

    def _changes(self, window: Window, kept: I64, new: Table) -> Table:
        """``new`` without first rows that go on as the kept one before them would."""
        low = np.searchsorted(new.at, window.at)
        there = np.flatnonzero((kept > 0) & (low < len(new)))
        there = there[new.at[low[there]] == window.at[there]]
        if not len(there):
            return new
        heads = low[there]
        rows = self._table(self._first[window.key[there]] + kept[there] - 1)
        same = same_rows(values_at(rows, np.arange(len(rows)), new.at[heads]), new.value[heads])
        if rows.slope is not None and new.slope is not None:
            same &= same_rows(rows.slope, new.slope[heads])
        if not same.any():
            return new
        keep = np.ones(len(new), bool)
        keep[heads[same]] = False
        return new.take(keep)

    def _leave(self, key: I64, gone: I64) -> None:
        """Drops the first rows of keys."""
        if gone.any():
            if self.changes is not None:
                self.changes.dropped(key[gone > 0])
            self._first[key] += gone
            self._count[key] -= gone
            self._room[key] -= gone
            self._rows -= int(gone.sum())
            self._whole = None
            if self._room.sum() < LIVED_IN * self._used:
                self._make_room(0)

    def _put(self, window: Window, kept: I64, rows: Table) -> None:
        if self.changes is not None:
            self.changes.behind(window.at)
        low = np.searchsorted(rows.at, window.at)
        self._write(window.key, kept, np.diff(np.append(low, len(rows))), rows)

    def _write(self, key: I64, kept: I64, count: I64, new: Table) -> None:
        """Behind the first ``kept`` rows of each key, the next ``count`` of ``new``."""
        wanted = kept + count
        self._rows += int(wanted.sum()) - int(self._count[key].sum())
        self._count[key] = kept  # what is kept, should the rows be moved to make room
        self._whole = None
        tight = np.flatnonzero(wanted > self._room[key])
        if len(tight) or (self._lent and len(new)):
            self._move(key[tight], wanted[tight])
        rows = spans(self._first[key] + kept, count)
        self._at[rows] = new.at
        self._value[rows] = new.value
        if self._slope is not None and new.slope is not None:
            self._slope[rows] = new.slope
        self._count[key] = wanted

    def _move(self, key: I64, wanted: I64) -> None:
        """Gives keys a stretch for so many rows, and more."""
        room = wanted + wanted // SPARE + 1
        end = self._used + int(room.sum())
        if self._lent or end > len(self._at):
            self._make_room(end - self._used)
            end = self._used + int(room.sum())
        count = self._count[key]
        first = self._used + np.cumsum(room) - room
        to, rows = spans(first, count), spans(self._first[key], count)
        self._at[to] = self._at[rows]
        self._value[to] = self._value[rows]
        if self._slope is not None:
            self._slope[to] = self._slope[rows]
        self._first[key], self._room[key] = first, room
        self._used = end

    def _make_room(self, more: int) -> None:
        """Columns of our own with room for so many rows, without stretches that keys have left."""
        rows: I64 | slice = slice(0, self._used)
        to = rows
        lived_in = int(self._room.sum())
        if lived_in < LIVED_IN * self._used:
            first = np.cumsum(self._room) - self._room
            rows, to = spans(self._first, self._count), spans(first, self._count)
            self._first, self._used = first.astype(np.int32), lived_in
        size = int((self._used + more) * GROWTH)
        self._at = moved(self._at, rows, to, size)
        self._value = moved(self._value, rows, to, size)
        if self._slope is not None:
            self._slope = moved(self._slope, rows, to, size)
        self._lent = False

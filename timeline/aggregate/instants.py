"""The values of all keys at some ticks, in pieces of bounded size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from timeline.aggregate.functions import CLOSED, KEY
from timeline.errors import LimitError
from timeline.tables.columns import Columns
from timeline.tables.lateness import is_closed, now
from timeline.tables.packing import Bools, pack, start_of
from timeline.tables.table import Table, lookup, values_at
from timeline.values.kinds import Kind
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64, Vocabulary

#: About how many values are looked up at a time, and how many a request may ask a stream for: about a
#: second of work, in which a workflow's thread does nothing else.
CHUNK = 1 << 17
MAX_VALUES = 10_000_000

QUARANTINED = "quarantined"
TOO_OLD = "older than retention"
UNKNOWN = "known only from later on"
COUNTED = "counted only from later on"


@dataclass(frozen=True, slots=True)
class Instants:
    """Values of keys at ticks: ``code``, ``tick`` and ``index`` (of the tick among those asked for) of
    each row; ``tables`` have one row each, with a made-up place of its own."""

    code: I64
    tick: I64
    index: I64
    tables: dict[str, Table]

    def __len__(self) -> int:
        return len(self.code)

    def take(self, rows: I64 | Bools) -> Instants:
        tables = {name: table.take(rows) for name, table in self.tables.items()}
        return Instants(self.code[rows], self.tick[rows], self.index[rows], tables)


def instants(
    columns: Columns,
    outputs: Sequence[str],
    ticks: I64 | None,
    excluded: Counter[tuple[int, str]],
    lives: bool = False,
    exact: bool = False,
) -> Iterator[Instants]:
    """The values of ``outputs`` at ``ticks`` (as late as each key is known where ``None``, of index 0;
    with ``lives`` each life).

    A key is left out before its origin, and where none of its lives covers a tick. One that has no value
    then because it is quarantined, is no longer kept that far back, or is not known from so early on, is left
    out too, and counted in ``excluded`` by index and reason; with ``exact`` also one that was counted from
    later than its origin on.

    Raises:
        LimitError: too many values in all.
    """
    times = 1 if ticks is None else len(ticks)
    every = columns.latest if ticks is None and not lives else columns.codes
    total = len(every) * times * max(len(outputs), 1)
    if total > MAX_VALUES:
        raise LimitError(
            f"{len(every)} keys at {times} times are {total} values to look up, and a stream takes "
            f"{MAX_VALUES}; ask for fewer times or outputs"
        )
    latest = now(columns.limits, columns.newest, columns.stream_time)
    for first in range(0, len(every), CHUNK):
        codes = every[first : first + CHUNK]
        # All keys at one time before the next, so that a group at a time is seldom cut in two.
        size = max(1, CHUNK // len(codes))
        for early in range(0, times, size):
            index = np.repeat(np.arange(early, min(early + size, times)), len(codes))
            code = np.tile(codes, len(index) // len(codes))
            tick = latest[code] if ticks is None else ticks[index]
            asked = Instants(code, tick, index, {})
            if exact:
                asked = _counted_whole(columns, asked, excluded)
            yield _at(columns, outputs, asked, ticks is None, excluded)


def _counted_whole(columns: Columns, asked: Instants, excluded: Counter[tuple[int, str]]) -> Instants:
    late = columns.counted_from[asked.code] > 0
    _count(excluded, asked.index[late & (asked.tick >= columns.origin[asked.code])], COUNTED)
    return asked.take(~late)


def _at(
    columns: Columns,
    outputs: Sequence[str],
    asked: Instants,
    latest: bool,
    excluded: Counter[tuple[int, str]],
) -> Instants:
    values = _values(columns, outputs, asked, excluded)
    if CLOSED in outputs:
        values.tables[CLOSED] = _closed(columns, values, latest)
    return values


def _values(
    columns: Columns, outputs: Sequence[str], asked: Instants, excluded: Counter[tuple[int, str]]
) -> Instants:
    origin = columns.origin[asked.code]
    begun = asked.tick >= origin
    ttl = columns.limits.key_ttl
    if ttl is not None:
        inside = asked.tick < columns.newest[asked.code] + ttl
        asked, origin, begun = asked.take(inside), origin[inside], begun[inside]
    if columns.quarantined:
        apart = np.isin(asked.code, list(columns.quarantined))
        # Where it begins is not known of a key that never had a function.
        _count(excluded, asked.index[apart & (begun | (origin > MAX_TICK))], QUARANTINED)
        begun &= ~apart
    if not begun.all():
        asked = asked.take(begun)
    places = pack(asked.code, asked.tick)
    rows: dict[str, I64] = {}
    is_key = KEY in outputs and KEY not in columns.tables
    kept = np.ones(len(asked), bool)
    for name in outputs:
        if name != CLOSED and not (is_key and name == KEY):
            rows[name], held = lookup(columns.tables[name], places)
            kept &= held
    if not kept.all():
        later = asked.tick < columns.known_from[asked.code]
        _count(excluded, asked.index[~kept & later], UNKNOWN)
        _count(excluded, asked.index[~kept & ~later], TOO_OLD)
        asked, places = asked.take(kept), places[kept]
        rows = {name: row[kept] for name, row in rows.items()}
    at = start_of(np.arange(len(asked)))
    tables = {name: _instant(columns.tables[name], row, places, at) for name, row in rows.items()}
    if is_key:
        names = Vocabulary()
        codes = names.encode([columns.names[code] for code in asked.code.tolist()])
        tables = {KEY: Table(Kind.STATE, at, codes, None, names), **tables}
    return replace(asked, tables=tables)


def _instant(table: Table, row: I64, places: I64, at: I64) -> Table:
    value = values_at(table, row, places)
    slope = None if table.slope is None else np.zeros(value.shape, value.dtype)
    return Table(table.kind, at, value, slope, table.vocabulary, table.unit)


def _closed(columns: Columns, values: Instants, latest: bool) -> Table:
    """Which lives are closed; none is at a time that it covers."""
    closed = np.zeros(len(values), bool)
    if latest:
        closed = is_closed(columns.limits, columns.newest[values.code], columns.stream_time)
    return Table(Kind.BOOL, start_of(np.arange(len(values))), closed)


def _count(excluded: Counter[tuple[int, str]], index: I64, reason: str) -> None:
    indices, many = np.unique(index, return_counts=True)
    for i, n in zip(indices.tolist(), many.tolist(), strict=True):
        excluded[i, reason] += n

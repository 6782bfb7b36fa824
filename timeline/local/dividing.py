"""A plan over events, some keys at a time: in pieces that stay in a core's cache, on several cores.

Keys know nothing of each other once it is settled which events count, so that any division gives the same.
Where it is made depends on the events alone, never on how many cores there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import overload

import numpy as np

from timeline.jobs import in_order
from timeline.operators.base import own_table
from timeline.plan import Plan
from timeline.tables.events import EventColumn, Events
from timeline.tables.packing import first_of_runs, key_of, last_of_keys, pack, stable_order
from timeline.tables.splicing import joined
from timeline.tables.table import Table, Window
from timeline.values.vocabulary import I64, distinct

#: About so many events are evaluated together, all of one key always: a column of them is a megabyte.
PIECE_EVENTS = 1 << 17


@dataclass(frozen=True, slots=True)
class Piece:
    """Some keys: their events' columns and packed places, in stream order."""

    columns: dict[str, EventColumn]
    at: I64


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a piece: each key's first and last place (packed), and the table of each node."""

    origin: I64
    newest: I64
    tables: tuple[Table, ...]


class Tables(Sequence[Table]):
    """The tables of all nodes over all pieces; each is put together when it is first asked for."""

    def __init__(self, pieces: Sequence[Sequence[Table]]) -> None:
        self._pieces = pieces
        self._known: dict[int, Table] = {}

    def __len__(self) -> int:
        return len(self._pieces[0])

    @overload
    def __getitem__(self, index: int) -> Table: ...
    @overload
    def __getitem__(self, index: slice) -> list[Table]: ...
    def __getitem__(self, index: int | slice) -> Table | list[Table]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        if place not in self._known:
            self._known[place] = joined([tables[place] for tables in self._pieces])
        return self._known[place]


def compute_divided(plan: Plan, events: Events, jobs: int) -> tuple[I64, I64, Tables]:
    """Each key's first and last place (packed, sorted), and the tables of the plan's nodes."""
    pieces = list(in_order(partial(_compute, plan), divide(events), jobs))
    return (
        np.concatenate([made.origin for made in pieces]),
        np.concatenate([made.newest for made in pieces]),
        Tables([made.tables for made in pieces]),
    )


def divide(events: Events, size: int | None = None) -> Iterator[Piece]:
    """The events, keys with smaller codes first, in pieces of about ``size`` (`PIECE_EVENTS`)."""
    at = pack(events.key, events.tick)
    size = size or PIECE_EVENTS
    if len(at) <= size:
        yield Piece(dict(events.columns), at)
        return
    count = np.bincount(events.key)
    # A key goes to the piece that its first event falls into.
    used, part = np.unique((np.cumsum(count) - count) // size, return_inverse=True)
    # numpy sorts numbers of 8 and 16 bits by radix.
    kind = np.uint8 if len(used) < 1 << 8 else np.uint16 if len(used) < 1 << 16 else np.int64
    of = part.astype(kind)[events.key]
    order = np.argsort(of, kind="stable")
    at = at[order]
    codes = {name: column.codes[order] for name, column in events.columns.items()}
    first = 0
    for stop in np.cumsum(np.bincount(of, minlength=len(used))).tolist():
        if first < stop:
            rows = slice(first, stop)
            yield Piece({n: _used(events.columns[n], codes[n][rows]) for n in codes}, at[rows])
        first = stop


def _used(column: EventColumn, codes: I64) -> EventColumn:
    """The column of a piece, without values that are far more than it has events."""
    if len(column.values) <= len(codes):
        return EventColumn(codes, column.values)
    kept, place = distinct(np.append(codes, 0), len(column.values))
    return EventColumn(place[:-1], [column.values[code] for code in kept.tolist()])


def _compute(plan: Plan, piece: Piece) -> Made:
    at, columns = piece.at, piece.columns
    if not bool(np.all(at[1:] >= at[:-1])):
        order = stable_order(at)
        at = at[order]
        columns = {n: EventColumn(c.codes[order], c.values) for n, c in columns.items()}
    # Operators read columns, and times and keys from `at`.
    events = Events([], at, at, columns, at.reshape(-1, 1)[:, :0])
    window = Window(at[first_of_runs(key_of(at))])
    tables: list[Table] = []
    for node in plan.nodes:
        inputs = [tables[i] for i in node.inputs]
        if node.leaf is not None:
            raw = node.leaf.empty_raw()
            inputs = [node.leaf.thin(node.leaf.absorb(raw, node.leaf.read(events, at, raw)))]
        own = own_table(node.operator, inputs[0].vocabulary)
        tables.append(node.operator.compute(inputs, window, own))
    return Made(window.at, at[last_of_keys(at)], tuple(tables))

"""A batch of events as columns, in the order of their stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias, cast

import numpy as np

from timeline.values.scalars import Carried, Scalar, as_scalar
from timeline.values.vocabulary import I64, Keys, Vocabulary, distinct

#: A place in a stream: a tuple of integers, compared from the left (file: number of the file in its
#: stream's log, then line; Pulsar: ledger, entry, batch index).
Position: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EventColumn:
    """One column of a batch: ``values[codes[i]]`` is event i's value; ``values[0]`` is ``None``.

    ``values`` holds no value twice (numbers as `timeline.values.scalars.canonical` spells them, and as
    decimals where that would not be exact). A code of 0 means that the event does not carry the column.
    """

    codes: I64
    values: Sequence[Carried]

    def as_scalars(self) -> Sequence[Scalar]:
        """The values as users see them, which may repeat then."""
        decimals = Decimal in map(type, self.values)
        return list(map(as_scalar, self.values)) if decimals else cast(Sequence[Scalar], self.values)


@dataclass(frozen=True, slots=True)
class Events:
    """``n`` events in stream order.

    ``keys`` are names without repeats, ``key`` (n) codes into it, ``tick`` (n) the times in ms,
    ``position`` (n, w) the places in the stream, growing from row to row.
    """

    keys: list[str]
    key: I64
    tick: I64
    columns: Mapping[str, EventColumn]
    position: I64

    def __len__(self) -> int:
        return len(self.tick)

    def column(self, name: str) -> EventColumn:
        """The column of that name; one that no event carries if the batch has none."""
        return self.columns.get(name) or EventColumn(np.zeros(len(self), np.int64), [None])

    def take(self, rows: slice | I64) -> Events:
        """The events at ``rows``; dictionaries are kept whole."""
        return Events(
            self.keys,
            self.key[rows],
            self.tick[rows],
            {n: EventColumn(c.codes[rows], c.values) for n, c in self.columns.items()},
            self.position[rows],
        )

    def compact(self) -> Events:
        """The same events with dictionaries that hold only what occurs."""
        used, key = distinct(self.key, len(self.keys))
        columns = {}
        for name, column in self.columns.items():
            kept, codes = distinct(np.append(column.codes, 0), len(column.values))
            columns[name] = EventColumn(codes[:-1], [column.values[code] for code in kept.tolist()])
        return Events([self.keys[i] for i in used.tolist()], key, self.tick, columns, self.position)

    def after(self, position: Position) -> Events:
        """The events that lie behind ``position``: what is at or below it was seen before."""
        below = np.zeros(len(self), bool)
        undecided = np.ones(len(self), bool)
        # A mark (`timeline.tables.marks`) is longer: it lies behind the event at whose place it begins.
        for column, bound in zip(self.position.T, position, strict=False):
            below |= undecided & (column < bound)
            undecided &= column == bound
        skip = int(np.count_nonzero(below | undecided))
        return self if skip == 0 else self.take(slice(skip, None))


def no_events(columns: Iterable[str], width: int) -> Events:
    """A batch without events that has some columns, in a stream whose places are so many integers."""
    none = np.empty(0, np.int64)
    each = {name: EventColumn(none, [None]) for name in columns}
    return Events([], none, none, each, np.empty((0, width), np.int64))


def concat(batches: Sequence[Events]) -> Events:
    """One batch of several that follow each other in their stream; a column may be missing in some."""
    if len(batches) == 1:
        return batches[0]
    keys = Keys()
    key_parts = [keys.encode(batch.keys)[batch.key] for batch in batches]
    columns = {}
    for name in dict.fromkeys(name for batch in batches for name in batch.columns):
        vocabulary = Vocabulary()
        parts = [vocabulary.encode(c.values)[c.codes] for c in (b.column(name) for b in batches)]
        columns[name] = EventColumn(np.concatenate(parts), vocabulary.values)
    return Events(
        keys.names,
        np.concatenate(key_parts),
        np.concatenate([b.tick for b in batches]),
        columns,
        np.concatenate([b.position for b in batches]),
    )


def from_rows(rows: Sequence[tuple[str, int, Mapping[str, Scalar]]], first: Position = (0,)) -> Events:
    """A batch of ``(key, tick, {column: value})`` rows, at positions ``first``, ``first + 1``, ...

    For tests, examples and small inputs; files are read straight into columns by `timeline.reading`.

    >>> batch = from_rows([("a", 1000, {"state": "play"}), ("a", 2000, {})])
    >>> batch.keys, batch.columns["state"].codes.tolist()
    (['a'], [1, 0])
    """
    names = sorted({name for _, _, columns in rows for name in columns})
    keys: dict[str, int] = {}
    key = [keys.setdefault(name, len(keys)) for name, _, _ in rows]
    columns = {}
    for name in names:
        vocabulary = Vocabulary()
        codes = vocabulary.encode([columns_of.get(name) for _, _, columns_of in rows])
        columns[name] = EventColumn(codes, vocabulary.values)
    position = np.tile(np.array(first, np.int64), (len(rows), 1))
    position[:, -1] += np.arange(len(rows))
    return Events(
        list(keys),
        np.array(key, np.int64),
        np.array([tick for _, tick, _ in rows], np.int64),
        columns,
        position,
    )

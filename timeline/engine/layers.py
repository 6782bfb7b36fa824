"""What a node carries on in layers: each says what of names, values, columns and rows became new since the
one before. Put one upon the other they are the state; so what is kept unchanged is written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.engine.state import NodeState
from timeline.errors import WireError
from timeline.tables.changes import Extent, distinct_of
from timeline.tables.history import History
from timeline.tables.packing import earliest, key_of, start_of
from timeline.tables.table import Window
from timeline.tables.wire import (
    Wire,
    differences,
    from_places,
    from_table,
    from_window,
    sums,
    to_places,
    to_table,
    to_window,
)
from timeline.values.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class NodeExtent:
    """A part of a node's state: names and values from some on (``names``, ``values``: the numbers of those
    before, by table), columns of the keys ``touched`` (codes, sorted), and of each table an extent."""

    names: int
    touched: Extent
    values: list[int]
    tables: list[Extent]

    @classmethod
    def all_of(cls, state: NodeState) -> NodeExtent:
        """The whole state."""
        count = len(state.tables)
        return cls(0, Extent(whole=True), [0] * count, [Extent(whole=True)] * count)

    def joined(self, other: NodeExtent) -> NodeExtent:
        """What is in either."""
        return NodeExtent(
            min(self.names, other.names),
            self.touched.joined(other.touched),
            [min(a, b) for a, b in zip(self.values, other.values, strict=True)],
            [a.joined(b) for a, b in zip(self.tables, other.tables, strict=True)],
        )


class Following:
    """Knows what of a node's state became new since it was `written`; at first, all of it."""

    def __init__(self, state: NodeState) -> None:
        self._state = state
        state.follow()
        self._all = True
        self._names = 0
        self._values: list[int] = []

    def extent(self) -> NodeExtent:
        """What became new."""
        state = self._state
        if self._all or state.recoded:
            return NodeExtent.all_of(state)
        assert state.by_key.changes is not None
        touched = Extent(window=start_of(state.by_key.changes.all()))
        tables = [t.changes.extent() for t in state.tables if t.changes is not None]
        return NodeExtent(self._names, touched, list(self._values), tables)

    def written(self) -> None:
        """All that there is now is written."""
        state = self._state
        self._all = state.recoded = False
        self._names = len(state.keys)
        self._values = [0 if table.vocabulary is None else len(table.vocabulary) for table in state.tables]
        if state.by_key.changes is not None:
            state.by_key.changes.clear()
        for table in state.tables:
            if table.changes is not None:
                table.changes.forget()


def size_of(states: Sequence[NodeState], extents: Sequence[NodeExtent]) -> int:
    """How many rows and keys such a part of states has as it is now."""
    size = 0
    for state, extent in zip(states, extents, strict=True):
        size += len(state.keys) if extent.touched.whole else len(extent.touched.window)
        size += sum(_size(table, part) for table, part in zip(state.tables, extent.tables, strict=True))
    return size


def to_layer(state: NodeState, extent: NodeExtent) -> Wire:
    """That part of a state as it is now."""
    tables = zip(state.tables, extent.tables, extent.values, strict=True)
    codes = np.arange(len(state.keys)) if extent.touched.whole else key_of(extent.touched.window)
    columns = {n: differences(state.by_key[n][codes]) for n, k in state.by_key.kinds.items() if k.carried}
    return {
        "names": [extent.names, state.keys.since(extent.names)],
        "touched": differences(codes),
        "columns": columns,
        "tables": [_table(table, part, values) for table, part, values in tables],
    }


def put_layer(state: NodeState, wire: Wire) -> NodeExtent:
    """Puts a layer upon what a state has of those before; returns what part it is.

    Raises:
        WireError: one before it is missing.
    """
    first, names = wire["names"]
    if first != len(state.keys):
        raise WireError(f"a layer names keys from {first} on, and {len(state.keys)} are named before it")
    state.encode(names)
    codes = sums(wire["touched"])
    state.by_key.touch(codes)
    for name, column in wire["columns"].items():
        if name in state.by_key.kinds and not np.array_equal(state.by_key[name][codes], new := sums(column)):
            state.by_key.own(name)[codes] = new
    values, tables = [], []
    for table, part in zip(state.tables, wire["tables"], strict=True):
        values.append(part["values"][0])
        tables.append(_put(table, part))
    return NodeExtent(first, Extent(window=start_of(codes)), values, tables)


def _table(table: History, part: Extent, first: int) -> Wire:
    wire: Wire = {"values": [first, _values(table.vocabulary, first)]}
    if part.whole:
        return wire | {"whole": to_table(table.whole())}
    # A key without rows has no place where they begin: it is said that all of it is gone.
    codes = distinct_of([part.headless, key_of(part.window)])
    empty = codes[table.rows_of(codes) == 0]
    window = Window(earliest([part.window, start_of(empty)]))
    rows, heads = table.behind(window), table.heads(part.headless)
    return wire | {"window": to_window(window, rows), "rows": to_table(rows), "heads": to_places(heads)}


def _size(table: History, part: Extent) -> int:
    if part.whole:
        return len(table)
    return len(part.window) + len(part.headless) + len(table.behind(Window(part.window)))


def _put(table: History, wire: Wire) -> Extent:
    vocabulary = table.vocabulary
    if vocabulary is not None:
        vocabulary.encode(wire["values"][1])
    if "whole" in wire:
        table.become(from_table(wire["whole"], vocabulary))
        return Extent(whole=True)
    rows = from_table(wire["rows"], vocabulary)
    window, heads = from_window(wire["window"], rows), from_places(wire["heads"])
    table.put(window, rows)
    table.behead(heads)
    return Extent(False, window.at, key_of(heads))


def _values(vocabulary: Vocabulary | None, first: int) -> list[object]:
    return [] if vocabulary is None else list(vocabulary.values[max(first, 1) :])


def joined(extents: Sequence[Sequence[NodeExtent]]) -> list[NodeExtent]:
    """What is in any of several parts of a fragment's states, by node."""
    every = list(extents[0])
    for others in extents[1:]:
        every = [a.joined(b) for a, b in zip(every, others, strict=True)]
    return every

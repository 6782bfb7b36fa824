"""One stream's part of an answer: made where the keys are, small enough for a message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import nsmallest
from typing import Any, Protocol

import numpy as np
import orjson

from timeline.aggregate.instants import Instants, instants
from timeline.aggregate.measures import Measure, State, measures_of
from timeline.aggregate.numbers import Numbers, exact, numbers
from timeline.aggregate.request import CLOSED, MAX_ROWS, Request
from timeline.aggregate.samples import bounded
from timeline.aggregate.where import holds, parse_where
from timeline.answers import Columns
from timeline.errors import LimitError
from timeline.events import Position
from timeline.expression import Expression, Given, Scalar
from timeline.signatures import Kind
from timeline.table import Shape, Table, first_of_runs
from timeline.ticks import TICK_BITS
from timeline.vocabulary import I64, identity

#: The most cells (groups times ticks) that one answer has.
MAX_CELLS = 10_000
#: The most bytes of a partial, as JSON.
MAX_BYTES = 1_000_000

_KINDS = {
    Shape.STATE: Kind.STATE,
    Shape.BOOL: Kind.BOOL,
    Shape.NUMERIC: Kind.NUMERIC,
    Shape.RATIO: Kind.RATIO,
}
# Below this, codes are counted rather than sorted.
_FEW_CODES = 1 << 20


class Asked(Protocol):
    """What can be asked: a node of results, or a local evaluation."""

    def columns(self) -> Columns: ...


@dataclass(frozen=True, slots=True)
class Cell:
    """A group at a tick: the index of the tick, and the group's values."""

    index: int
    group: tuple[Scalar, ...]
    _identity: tuple[Any, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_identity", tuple(map(identity, self.group)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and (self.index, self._identity) == (other.index, other._identity)

    def __hash__(self) -> int:
        return hash((self.index, self._identity))


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key at a tick. ``rank`` is the number that it is ordered by, ``None`` if it has none."""

    index: int
    at: int
    key: str
    rank: Fraction | None
    values: tuple[Scalar, ...]

    def order(self) -> tuple[Any, ...]:
        """Sorts by time, then the largest first, those without a number last, then by name."""
        return (self.index, self.rank is None, -(self.rank or 0), self.key)


@dataclass(slots=True)
class Partial:
    """What one stream knows, as of ``position``: measures by cell, or rows of keys.

    ``keys``: how many are known. ``excluded``: how many of them have no value, by the index of the tick
    and why. ``forgotten_before`` (ms): keys without an event since then may be forgotten altogether.
    """

    position: Position | None
    keys: int
    outputs: tuple[str, ...] = ()
    cells: dict[Cell, list[State]] = field(default_factory=dict)
    rows: list[KeyRow] = field(default_factory=list)
    excluded: Counter[tuple[int, str]] = field(default_factory=Counter)
    forgotten_before: int | None = None

    def to_wire(self, request: Request) -> dict[str, Any]:
        """The partial as JSON.

        Raises:
            LimitError: it is too large for a message.
        """
        measures = measures_of(request.aggregates)
        wire = {
            "position": None if self.position is None else list(self.position),
            "keys": self.keys,
            "outputs": list(self.outputs),
            "cells": [
                [cell.index, list(cell.group), [m.to_wire(s) for m, s in zip(measures, states, strict=True)]]
                for cell, states in self.cells.items()
            ],
            "rows": [
                [r.index, r.at, r.key, None if r.rank is None else str(r.rank), list(r.values)]
                for r in self.rows
            ],
            "excluded": [[*what, many] for what, many in self.excluded.items()],
            "forgotten_before": self.forgotten_before,
        }
        size = len(orjson.dumps(wire))
        if size > MAX_BYTES:
            raise LimitError(
                f"the answer of one stream has {size} bytes, and a message takes {MAX_BYTES}; ask for fewer "
                "times or groups, a smaller top, or leave out quantiles and histograms"
            )
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any], request: Request) -> Partial:
        """The inverse of `to_wire`."""
        measures = measures_of(request.aggregates)
        return cls(
            None if wire["position"] is None else tuple(wire["position"]),
            wire["keys"],
            tuple(wire["outputs"]),
            {
                Cell(index, tuple(group)): [m.from_wire(s) for m, s in zip(measures, states, strict=True)]
                for index, group, states in wire["cells"]
            },
            [
                KeyRow(index, at, key, None if rank is None else Fraction(rank), tuple(values))
                for index, at, key, rank, values in wire["rows"]
            ],
            Counter({(index, reason): many for index, reason, many in wire["excluded"]}),
            wire["forgotten_before"],
        )


def partial(node: Asked, request: Request) -> Partial:
    """What a node of results (or a local evaluation) answers, for all its keys.

    Raises:
        RequestError: the request does not fit the outputs.
        LimitError: too many values to look up, or too many rows, cells or bytes to answer.

    >>> from timeline.evaluate import evaluate
    >>> from timeline.events import from_rows
    >>> events = from_rows([("s", 1, {"cdn": "A"}), ("t", 2, {"cdn": "B"}), ("u", 3, {"cdn": "B"})])
    >>> result = evaluate("{cdn: latest_event_to_state(cdn)}", events)
    >>> request = Request.parse({"cdn": Kind.STATE}, group_by=["cdn"])
    >>> [(cell.group, states) for cell, states in partial(result, request).cells.items()]
    [(('A',), [1]), (('B',), [2])]
    """
    columns = node.columns()
    kinds = {name: _KINDS[table.shape] for name, table in columns.tables.items()}
    request.check(kinds)
    after = columns.limits.forgotten_after
    made = Partial(columns.position, len(columns.codes))
    if after is not None and columns.stream_newest >= after:
        made.forgotten_before = columns.stream_newest - after + 1
    condition = None
    if request.where is not None:
        condition = parse_where(request.where, {**kinds, CLOSED: Kind.BOOL})
    wanted = {*request.group_by, *(a.output for a in request.aggregates), request.by} & {*kinds, CLOSED}
    if condition is not None:
        wanted |= _outputs_of(condition)
    if not request.aggregates:
        made.outputs = (*kinds, *((CLOSED,) if columns.limits.key_ttl is not None else ()))
        wanted |= set(made.outputs)
    outputs = [name for name in (*kinds, CLOSED) if name in wanted]
    folding = _Folding(request, made)
    for values in instants(columns, outputs, request.ticks(), made.excluded):
        if condition is not None and len(values):
            at = np.arange(len(values)) << TICK_BITS
            values = values.take(holds(condition, at, values.tables))
        if not len(values):
            continue
        if request.aggregates:
            folding.fold(values)
        else:
            made.rows += _key_rows(values, columns.names, made.outputs, request)
            made.rows = best(made.rows, request)
    return made


def best(rows: list[KeyRow], request: Request) -> list[KeyRow]:
    """The rows that are wanted of these, in order.

    Raises:
        LimitError: more than one answer holds.
    """
    rows = sorted(rows, key=KeyRow.order)
    if request.top is not None:
        places: Counter[int] = Counter()
        kept = []
        for row in rows:
            places[row.index] += 1
            if places[row.index] <= request.top:
                kept.append(row)
        rows = kept
    if len(rows) > MAX_ROWS:
        raise LimitError(
            f"more than {MAX_ROWS} rows; choose some with where or top, ask for fewer times, "
            "or for aggregates"
        )
    return rows


def merge_cells(
    into: dict[Cell, list[State]], more: Mapping[Cell, list[State]], measures: Sequence[Measure]
) -> None:
    """Adds what is known of cells to what is known of them already.

    Raises:
        LimitError: there are too many.
    """
    for cell, states in more.items():
        known = into.get(cell)
        if known is None:
            into[cell] = list(states)
        else:
            into[cell] = [m.merged(a, b) for m, a, b in zip(measures, known, states, strict=True)]
    if len(into) > MAX_CELLS:
        raise LimitError(
            f"more than {MAX_CELLS} groups (times the ticks asked for); group by fewer outputs, choose keys "
            "with where, or ask for fewer times"
        )
    for place, measure in enumerate(measures):
        if measure.kind == "sample":
            for states, sample in zip(into.values(), bounded([s[place] for s in into.values()]), strict=True):
                states[place] = sample


class _Folding:
    """Takes values chunk by chunk into the cells of a partial."""

    def __init__(self, request: Request, made: Partial) -> None:
        self.request = request
        self.made = made
        self.measures = measures_of(request.aggregates)
        self.outputs = {m.output for m in self.measures if m.output is not None}

    def fold(self, values: Instants) -> None:
        cell, cells = _combined([values.index, *(_codes(values.tables[n]) for n in self.request.group_by)])
        if cells == 1:
            order = np.arange(len(values))
        else:
            # For 16 bits numpy has a radix sort.
            order = np.argsort(cell.astype(np.uint16) if cells <= 1 << 16 else cell, kind="stable")
        starts = first_of_runs(cell[order])
        columns = {name: numbers(values.tables[name]).take(order) for name in self.outputs}
        one_of_each = values.take(order[starts])
        groups = [_user_values(one_of_each.tables[name]) for name in self.request.group_by]
        made = [Cell(i, tuple(of)) for i, *of in zip(one_of_each.index.tolist(), *groups, strict=True)]
        known = [m.of(columns.get(m.output or ""), starts, len(values)) for m in self.measures]
        more = {name: list(states) for name, *states in zip(made, *known, strict=True)}
        merge_cells(self.made.cells, more, self.measures)


def _outputs_of(e: Expression) -> set[str]:
    if isinstance(e, Given):
        return {e.output}
    return set().union(*map(_outputs_of, e.parts))


def _codes(table: Table) -> I64:
    """Small whole numbers that are equal where the values are."""
    if table.shape is Shape.NUMERIC:
        codes: I64 = np.unique(table.value, return_inverse=True)[1]
        return codes
    return table.value.astype(np.int64)


def _combined(parts: Sequence[I64]) -> tuple[I64, int]:
    """One code for each combination of codes that there is, from 0 on, and how many there are."""
    combined, many = _compact(parts[0])
    for part in parts[1:]:
        codes, width = _compact(part)
        combined, many = _compact(combined * width + codes)
    return combined, many


def _compact(codes: I64) -> tuple[I64, int]:
    most = int(codes.max())
    if most >= _FEW_CODES:
        used, compact = np.unique(codes, return_inverse=True)
        return compact, len(used)
    there = np.bincount(codes, minlength=most + 1) > 0
    return (np.cumsum(there) - 1)[codes], int(np.count_nonzero(there))


def _user_values(table: Table) -> list[Scalar]:
    return table.python_values(np.arange(len(table)), table.at)


def _key_rows(
    values: Instants, names: Sequence[str], outputs: Sequence[str], request: Request
) -> list[KeyRow]:
    ranks: list[Fraction | None] = []
    if request.by is not None and request.top is not None:
        column = numbers(values.tables[request.by])
        rows = _candidates(column, values, names, request.top)
        values, column = values.take(rows), column.take(rows)
        pairs = zip(column.value.tolist(), column.known.tolist(), strict=True)
        ranks = [exact(value, column.unit) if known else None for value, known in pairs]
    elif len(values) > MAX_ROWS:
        values = values.take(np.arange(MAX_ROWS + 1))  # already too many
    columns = [_user_values(values.tables[name]) for name in outputs]
    return [
        KeyRow(index, tick, names[code], rank, tuple(of))
        for index, tick, code, rank, *of in zip(
            values.index.tolist(),
            values.tick.tolist(),
            values.code.tolist(),
            ranks or [None] * len(values),
            *columns,
            strict=True,
        )
    ]


def _candidates(column: Numbers, values: Instants, names: Sequence[str], top: int) -> I64:
    """The ``top`` rows of each tick; of equal ones those first by name."""
    rank = np.full(len(values), -1, np.int64)
    rank[column.known] = np.unique(column.value[column.known], return_inverse=True)[1]
    order = np.lexsort((-rank, values.index))
    starts = first_of_runs(values.index[order])
    kept = []
    for first, end in zip(starts.tolist(), np.append(starts[1:], len(order)).tolist(), strict=True):
        rows = order[first:end]
        if len(rows) > top:
            last = rank[rows[top - 1]]
            sure = rows[rank[rows] > last]
            equal = rows[rank[rows] == last].tolist()
            by_name = nsmallest(top - len(sure), equal, key=lambda row: names[int(values.code[row])])
            rows = np.concatenate((sure, np.array(by_name, np.int64)))
        kept.append(rows)
    return np.concatenate(kept)

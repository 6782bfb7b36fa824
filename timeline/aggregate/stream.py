"""One stream's part of an answer: made where the keys are, small enough for a message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from heapq import nsmallest
from typing import Protocol

import numpy as np

from timeline.aggregate.cells import busy, codes_of, combined, forgotten_before, user_values
from timeline.aggregate.different import told
from timeline.aggregate.functions import CLOSED
from timeline.aggregate.instants import Instants, instants
from timeline.aggregate.measures import measures_of
from timeline.aggregate.numbers import Numbers, exact, numbers
from timeline.aggregate.over import over_intervals
from timeline.aggregate.parts import KeyRow, Partial, best, cells_of, merge_cells
from timeline.aggregate.request import Request, with_key
from timeline.aggregate.where import holds, names_in, parse_where
from timeline.tables.columns import Columns
from timeline.tables.lateness import now
from timeline.tables.packing import first_of_runs, start_of
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64


class Asked(Protocol):
    """What can be asked: a node of results, or a local evaluation."""

    def columns(self) -> Columns: ...


def partial(node: Asked, request: Request, in_time: Callable[[], bool] = lambda: True) -> Partial:
    """What a node of results (or a local evaluation) answers, for all its keys.

    ``in_time`` is asked between pieces of some ms, whether there is time to go on.

    Raises:
        BusyError: there was not.
        RequestError: the request does not fit the outputs.
        LimitError: too many values to look up, or too many rows, cells or bytes to answer.

    >>> from timeline.local.evaluate import evaluate
    >>> from timeline.tables.events import from_rows
    >>> events = from_rows([("s", 1, {"cdn": "A"}), ("t", 2, {"cdn": "B"}), ("u", 3, {"cdn": "B"})])
    >>> result = evaluate("{cdn: latest_event_to_state(cdn)}", events)
    >>> request = Request.parse({"cdn": Kind.STATE}, group_by=["cdn"])
    >>> partial(result, request).cells
    {(0, 'A'): (1,), (0, 'B'): (2,)}
    """
    columns = node.columns()
    kinds = {name: table.kind for name, table in columns.tables.items()}
    request.check(kinds)
    if request.over is not None:
        return over_intervals(columns, request, in_time)
    asked = columns.codes if request.lives else columns.latest
    made = Partial(columns.position, len(asked), forgotten_before=forgotten_before(columns))
    named = with_key(kinds, request.lives)
    condition = None
    if request.where is not None:
        condition = parse_where(request.where, {**named, CLOSED: Kind.BOOL})
    wanted = {*request.group_by, *(a.output for a in request.aggregates), request.by} & {*named, CLOSED}
    if condition is not None:
        wanted |= names_in(condition)
    if not request.aggregates:
        made.outputs = (*kinds, *((CLOSED,) if columns.limits.key_ttl is not None else ()))
        wanted |= set(made.outputs)
    outputs = [name for name in (*named, CLOSED) if name in wanted]
    folding = _Folding(request, made)
    counted: list[I64] = []
    for values in instants(columns, outputs, request.ticks(), made.excluded, request.lives, request.exact):
        if not in_time():
            raise busy(len(columns.codes))
        if condition is not None and len(values):
            at = start_of(np.arange(len(values)))
            values = values.take(holds(condition, at, values.tables))
        if not len(values):
            continue
        counted.append(np.unique(values.code[columns.counted_from[values.code] > 0]))
        if request.aggregates:
            folding.fold(values)
        else:
            made.rows += _key_rows(values, columns, made.outputs, request)
            made.rows = best(made.rows, request)
    late = np.unique(np.concatenate(counted)) if counted else np.empty(0, np.int64)
    if len(late):
        made.counted, made.counted_from = len(late), int(columns.counted_from[late].max())
    return made


def span(node: Asked) -> tuple[int, int] | None:
    """The earliest origin and the newest event (ms) of all keys, or as late as they are known; ``None`` if
    there are none.

    >>> from timeline.local.evaluate import evaluate
    >>> from timeline.tables.events import from_rows
    >>> events = from_rows([("s", 7, {"a": 1}), ("t", 2, {"a": 1}), ("s", 9, {"a": 1})])
    >>> span(evaluate("count(a == 1)", events))
    (2, 9)
    """
    columns = node.columns()
    if not len(columns.codes):
        return None
    newest = int(now(columns.limits, columns.newest[columns.codes], columns.stream_time).max())
    # The origin of a key that never had a function is not known: it lies behind all ticks.
    return min(int(columns.origin[columns.codes].min()), newest), newest


class _Folding:
    """Takes values chunk by chunk into the cells of a partial."""

    def __init__(self, request: Request, made: Partial) -> None:
        self.request = request
        self.made = made
        self.measures = measures_of(request.aggregates)
        self.outputs = {(m.output, m.kind == "distinct") for m in self.measures if m.output is not None}

    def fold(self, values: Instants) -> None:
        cell, cells = combined([values.index, *(codes_of(values.tables[n]) for n in self.request.group_by)])
        if cells == 1:
            order = np.arange(len(values))
        else:
            # For 16 bits numpy has a radix sort.
            order = np.argsort(cell.astype(np.uint16) if cells <= 1 << 16 else cell, kind="stable")
        starts = first_of_runs(cell[order])
        columns = {
            (name, apart): (told if apart else numbers)(values.tables[name]).take(order)
            for name, apart in self.outputs
        }
        one_of_each = values.take(order[starts])
        groups = [user_values(one_of_each.tables[name]) for name in self.request.group_by]
        made = cells_of(one_of_each.index.tolist(), groups)
        known = [
            m.of(columns.get((m.output or "", m.kind == "distinct")), starts, len(values))
            for m in self.measures
        ]
        more = dict(zip(made, zip(*known, strict=True), strict=True))
        merge_cells(self.made.cells, more, self.measures, self.request.most)


def _key_rows(values: Instants, asked: Columns, outputs: Sequence[str], request: Request) -> list[KeyRow]:
    names = asked.names
    ranks: list[Fraction | None] = []
    if request.by is not None and request.top is not None:
        column = numbers(values.tables[request.by])
        rows = _candidates(column, values, names, request.top)
        values, column = values.take(rows), column.take(rows)
        pairs = zip(column.value.tolist(), column.known.tolist(), strict=True)
        ranks = [exact(value, column.unit) if known else None for value, known in pairs]
    elif len(values) > request.most:
        values = values.take(np.arange(request.most + 1))  # already too many
    columns = [user_values(values.tables[name]) for name in outputs]
    return [
        KeyRow(index, tick, names[code], rank, tuple(of), int(asked.counted_from[code]) or None)
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

"""The answer to a request: what the streams know, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from timeline.aggregate.measures import answers, measures_of
from timeline.aggregate.parts import Cell, Partial, States, best, merge_cells, values_of
from timeline.aggregate.request import Request
from timeline.aggregate.result import Excluded, Result
from timeline.language.output_names import name_of_time
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import I64


def merge(request: Request, partials: Sequence[Partial], kinds: Mapping[str, Kind] | None = None) -> Result:
    """One answer of those of all streams; ``kinds`` of the outputs make its columns' types sure.

    Raises:
        LimitError: more rows or groups than an answer has.
    """
    over = request.over is not None
    ticks = request.edges()[:-1] if over else request.ticks()
    excluded: Counter[tuple[int, str]] = Counter()
    for part in partials:
        excluded.update(part.excluded)
    forgotten = [p.forgotten_before for p in partials if p.forgotten_before is not None]
    errors: dict[str, float] = {}
    outputs = next((p.outputs for p in partials if p.outputs), ())
    time = name_of_time(request.group_by if request.aggregates else outputs)
    timed: tuple[str, ...] = ("from", "to") if over else (time,)
    if ticks is None and request.aggregates:
        timed = ()
    if request.aggregates:
        columns = (*timed, *request.group_by, *(a.label for a in request.aggregates))
        rows = _groups(request, partials, ticks, errors, time)
    else:
        columns = ("key", *timed, *outputs)
        every = best([row for part in partials for row in part.rows], request)
        rows = [{"key": r.key, time: r.at, **dict(zip(outputs, r.values, strict=True))} for r in every]
        if any(row.counted_from is not None for row in every):
            columns = (*columns, "counted_from")
            rows = [r | {"counted_from": row.counted_from} for r, row in zip(rows, every, strict=True)]
    return Result(
        columns,
        rows,
        [part.position for part in partials],
        sum(part.keys for part in partials),
        [
            Excluded(None if ticks is None else int(ticks[index]), reason, many)
            for (index, reason), many in sorted(excluded.items())
        ],
        errors,
        max(forgotten, default=None),
        request,
        kinds or {},
        sum(part.counted for part in partials),
        max((p.counted_from for p in partials if p.counted_from is not None), default=None),
        timed,
    )


def _groups(
    request: Request,
    partials: Sequence[Partial],
    ticks: I64 | None,
    errors: dict[str, float],
    time: str,
) -> list[dict[str, Any]]:
    measures = measures_of(request.aggregates)
    cells: dict[Cell, States] = {}
    if not request.group_by:
        # All keys are one group, which is there although it may have none.
        for number in range(1 if ticks is None else len(ticks)):
            cells[number,] = tuple(m.nothing() for m in measures)
    for part in partials:
        merge_cells(cells, part.cells, measures, request.most)
    if not cells:
        return []
    known = dict(zip(measures, zip(*cells.values(), strict=True), strict=True))
    estimated = {(m.kind, m.output): found for m, states in known.items() if (found := m.accuracy(states))}
    index, *groups = zip(*cells, strict=True)
    columns: dict[str, Sequence[Any]] = {}
    if request.over is not None:
        edges = request.edges().tolist()
        columns |= {"from": [edges[i] for i in index], "to": [edges[i + 1] for i in index]}
    elif ticks is not None:
        columns[time] = ticks[np.array(index)].tolist()
    columns |= {n: values_of(group) for n, group in zip(request.group_by, groups, strict=True)}
    for aggregate in request.aggregates:
        columns[aggregate.label] = answers(aggregate, known)
        kind = "sample" if aggregate.function == "quantile" else aggregate.function
        if (kind, aggregate.output) in estimated:
            errors[aggregate.label] = estimated[kind, aggregate.output]
    order = np.lexsort([*map(_ranks, reversed(groups)), np.array(index)]).tolist()
    if request.top is not None and request.by is not None:
        order = _top(order, index, columns[request.by], request.top)
    names = list(columns)
    inorder = (map(column.__getitem__, order) for column in columns.values())
    return [dict(zip(names, row, strict=True)) for row in zip(*inorder, strict=True)]


def _ranks(told: Sequence[Any]) -> I64:
    """Of a column of groups, as it stands in cells, numbers that sort as its values do."""
    every = list(dict.fromkeys(told))
    values = values_of(every)
    ordered = sorted(range(len(every)), key=lambda place: _order(values[place]))
    rank = {every[place]: number for number, place in enumerate(ordered)}
    return np.fromiter(map(rank.__getitem__, told), np.int64, len(told))


def _top(order: Sequence[int], index: Sequence[int], by: Sequence[Any], top: int) -> list[int]:
    """Of cells in order the ``top`` of each tick, the largest first."""
    # Stable: of equal ones the first by name comes first.
    ranked = sorted(order, key=lambda place: (index[place], by[place] is None, -(by[place] or 0)))
    places: Counter[int] = Counter()
    kept = []
    for place in ranked:
        places[index[place]] += 1
        if places[index[place]] <= top:
            kept.append(place)
    return kept


def _order(value: Scalar) -> tuple[int, Any]:
    """Sorts values of any types: null, booleans, numbers, text."""
    if value is None:
        return (0, 0)
    if isinstance(value, bool):
        return (1, value)
    return (3, value) if isinstance(value, str) else (2, value)

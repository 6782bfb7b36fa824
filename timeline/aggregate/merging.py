"""The answer to a request: what the streams know, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from timeline.aggregate.measures import Measure, State, answer, measures_of
from timeline.aggregate.parts import Cell, Partial, best, merge_cells
from timeline.aggregate.request import Request
from timeline.aggregate.result import Excluded, Result
from timeline.aggregate.samples import ACCURACY, Sample
from timeline.language.output_names import name_of_time
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar


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
    ticks: np.ndarray[Any, np.dtype[np.int64]] | None,
    errors: dict[str, float],
    time: str,
) -> list[dict[str, Any]]:
    measures = measures_of(request.aggregates)
    cells: dict[Cell, list[State]] = {}
    if not request.group_by:
        # All keys are one group, which is there although it may have none.
        for index in range(1 if ticks is None else len(ticks)):
            cells[Cell(index, ())] = [m.nothing() for m in measures]
    for part in partials:
        merge_cells(cells, part.cells, measures)
    found: list[tuple[Cell, dict[str, Any]]] = []
    for cell, states in cells.items():
        known: dict[Measure, State] = dict(zip(measures, states, strict=True))
        found.append((cell, {a.label: answer(a, known) for a in request.aggregates}))
        sketched = {m.output for m, s in known.items() if isinstance(s, Sample) and s.bins is not None}
        for aggregate in request.aggregates:
            if aggregate.function == "quantile" and aggregate.output in sketched:
                errors[aggregate.label] = ACCURACY
    found.sort(key=lambda one: (one[0].index, [_order(value) for value in one[0].group]))
    if request.top is not None and request.by is not None:
        found = _top(found, request.top, request.by)
    rows = []
    edges = None if request.over is None else request.edges().tolist()
    for cell, values in found:
        at = {} if ticks is None else {time: int(ticks[cell.index])}
        if edges is not None:
            at = {"from": edges[cell.index], "to": edges[cell.index + 1]}
        rows.append(at | dict(zip(request.group_by, cell.group, strict=True)) | values)
    return rows


def _top(found: list[tuple[Cell, dict[str, Any]]], top: int, by: str) -> list[tuple[Cell, dict[str, Any]]]:
    # Stable: of equal ones the first by name comes first.
    ranked = sorted(found, key=lambda one: (one[0].index, one[1][by] is None, -(one[1][by] or 0)))
    places: Counter[int] = Counter()
    kept = []
    for cell, values in ranked:
        places[cell.index] += 1
        if places[cell.index] <= top:
            kept.append((cell, values))
    return kept


def _order(value: Scalar) -> tuple[int, Any]:
    """Sorts values of any types: null, booleans, numbers, text."""
    if value is None:
        return (0, 0)
    if isinstance(value, bool):
        return (1, value)
    return (3, value) if isinstance(value, str) else (2, value)

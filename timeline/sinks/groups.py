"""Rows of groups of keys at times: what one stream says of them, and how those of all become one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NotRequired, TypedDict, TypeVar

import orjson

from timeline.aggregate import Partial, Request
from timeline.aggregate.functions import CLOSED
from timeline.aggregate.measures import measures_of
from timeline.aggregate.parts import values_of
from timeline.aggregate.result import Result
from timeline.errors import LimitError
from timeline.language.output_names import name_of_time
from timeline.sinks.batches import Row
from timeline.spec.sink import Sink
from timeline.values.kinds import Kind

T = TypeVar("T")
#: Bytes, as JSON, of what one stream says of one time.
MAX_BYTES = 1_000_000
#: What columns of a kind hold in files of columns; others ``float``.
TYPES = {Kind.BOOL: "bool", Kind.STATE: "text"}
#: The column that says of how many keys operators with memory counted from later than an origin on.
COUNTED = "counted_keys"
#: The column that says how many keys have no value at the time and are in no group, if there are any.
EXCLUDED = "excluded_keys"


class Part(TypedDict):
    """What a stream knows of the groups at a time, if it has any: the values of each with its measures;
    of how many keys something was counted late, if that is to be said; and how many have no value."""

    at: int
    cells: list[Any]
    counted: NotRequired[int]
    excluded: NotRequired[int]


class Handed(TypedDict):
    """All that a stream says of the times below ``until`` that it has not said yet. ``first`` is the time at
    which it began, ``None`` if it has not; ``known`` that from which on it knows all its keys, of one that
    came to nodes which had forgotten."""

    first: int | None
    until: int
    parts: list[Part]
    known: NotRequired[int]


def types_of(request: Request, kinds: Mapping[str, Kind]) -> dict[str, str]:
    """The columns of rows of groups, with what they hold in files of columns."""
    types = {name: TYPES.get(kinds[name], "float") for name in request.group_by}
    functions = {"count": "int", "distinct": "int", "histogram": "text"}
    types |= {a.label: functions.get(a.function, "float") for a in request.aggregates}
    return types | {COUNTED: "int", EXCLUDED: "int"}


def with_times(request: Request, first: int, last: int, every: int) -> Request:
    """The question at some times, of the lives that cover them."""
    where = f"!{CLOSED}" if request.where is None else f"!{CLOSED} && ({request.where})"
    return replace(request, where=where, grid=(first, last, every))


def alone(request: Request) -> bool:
    """Whether each time must be asked for by itself: quantiles are as exact as there are few values in an
    answer, and how many times come together depends on where batches end."""
    return any(measure.kind == "sample" for measure in measures_of(request.aggregates))


def at_most(times: int, answer: Callable[[int], T]) -> tuple[int, T]:
    """What ``answer`` says to so many times, or to fewer if those are too many; with how many.

    Raises:
        LimitError: even one is too much.
    """
    while True:
        try:
            return times, answer(times)
        except LimitError:
            if times == 1:
                raise
            times //= 2


def parts_of(made: Partial, asked: Request) -> list[Part]:
    """What a stream has answered, time by time.

    Raises:
        LimitError: it is too large for a message.
    """
    assert asked.grid is not None
    first, _, every = asked.grid
    measures = measures_of(asked.aggregates)
    parts: dict[int, Part] = {}
    for (index, *group), states in made.cells.items():
        at = first + index * every
        wire = [measure.to_wire(state) for measure, state in zip(measures, states, strict=True)]
        parts.setdefault(at, Part(at=at, cells=[]))["cells"].append([values_of(group), wire])
    for at, keys in excluded_at(made, asked).items():
        parts.setdefault(at, Part(at=at, cells=[]))["excluded"] = keys
    size = len(orjson.dumps(found := list(parts.values())))
    if size > MAX_BYTES:
        raise LimitError(
            f"the groups of one stream at one time have {size} bytes, and a message takes {MAX_BYTES}; group "
            "by fewer outputs, choose keys with where, or leave out quantiles, histograms and distinct"
        )
    return found


def excluded_at(made: Partial, asked: Request) -> dict[int, int]:
    """By time, how many keys of a stream have no value, if there are any."""
    assert asked.grid is not None
    first, _, every = asked.grid
    found: dict[int, int] = {}
    for (index, _), keys in made.excluded.items():
        at = first + index * every
        found[at] = found.get(at, 0) + keys
    return found


def rows_of(
    sink: Sink,
    timeline: str,
    stream: int | None,
    request: Request,
    found: Result,
    excluded: Mapping[int, int],
    counted: int | None,
) -> list[Row]:
    """The rows of an answer; ``stream`` is of which it is, ``None`` if of all. They say how many keys are
    ``excluded`` (by time), and how many ``counted`` late, if that is to be said."""
    late = {} if counted is None else {COUNTED: counted}
    rows = []
    label = sink.label(timeline) if stream is None else f"{sink.label(timeline)}/{stream}"
    where = {"timeline": timeline} if stream is None else {"timeline": timeline, "stream": stream}
    for row in found.rows:
        at = row.pop(name_of_time(request.group_by))
        # Text in quotes, so that no two values look alike.
        group = "".join(f"{orjson.dumps(row[name]).decode()}/" for name in request.group_by)
        left_out = {EXCLUDED: excluded[at]} if at in excluded else {}
        rows.append({"id": f"{label}/{group}{at}", **where, "at": at, **row, **late, **left_out})
    return rows

"""What streams answer: measures by cell, or rows of keys; how such are put together and written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

import orjson

from timeline.aggregate.measures import Measure, State, measures_of
from timeline.aggregate.request import Request
from timeline.aggregate.samples import bounded
from timeline.errors import LimitError
from timeline.tables.events import Position
from timeline.values.exact import fraction_of
from timeline.values.scalars import Scalar, identity

#: The most bytes of a partial, as JSON.
MAX_BYTES = 1_000_000


#: A group at a tick: the index of the tick, and what tells each of the group's values from others. A plain
#: tuple, since an answer has one a row, and so is what each measure knows of it.
Cell: TypeAlias = tuple[Any, ...]
States: TypeAlias = tuple[State, ...]


def cells_of(index: Iterable[int], groups: Sequence[Sequence[Scalar]]) -> Iterator[Cell]:
    """The cells of rows: of each the index of its tick, and its value in each column of the groups.

    >>> list(cells_of([0, 0], [["A", "B"], [True, 1]]))
    [(0, 'A', (True, True)), (0, 'B', 1)]
    """
    told = (map(identity, column) if bool in set(map(type, column)) else column for column in groups)
    return zip(index, *told, strict=True)


def cell_of(index: int, group: Sequence[Scalar]) -> Cell:
    """One cell."""
    return (index, *map(identity, group))


def values_of(told: Sequence[Any]) -> list[Scalar]:
    """The values of a group, or of a column of them, as they stand in cells."""
    return [one[1] if type(one) is tuple else one for one in told]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key at a tick. ``rank`` is the number that it is ordered by, ``None`` if it has none;
    ``counted_from`` (ms) where operators with memory began, if later than at its origin."""

    index: int
    at: int
    key: str
    rank: Fraction | None
    values: tuple[Scalar, ...]
    counted_from: int | None = None

    def order(self) -> tuple[Any, ...]:
        """Sorts by time, then the largest first, those without a number last, then by name."""
        return (self.index, self.rank is None, -(self.rank or 0), self.key)


@dataclass(slots=True)
class Partial:
    """What one stream knows, as of ``position``: measures by cell, or rows of keys.

    ``keys``: how many are known. ``excluded``: how many of them have no value, by the index of the tick
    and why. ``forgotten_before`` (ms): keys without an event since then may be forgotten altogether.
    ``counted``: of how many keys in the answer operators with memory began later than at their origin;
    ``counted_from`` (ms) is where the last of them did.
    """

    position: Position | None
    keys: int
    outputs: tuple[str, ...] = ()
    cells: dict[Cell, States] = field(default_factory=dict)
    rows: list[KeyRow] = field(default_factory=list)
    excluded: Counter[tuple[int, str]] = field(default_factory=Counter)
    forgotten_before: int | None = None
    counted: int = 0
    counted_from: int | None = None

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
                [index, values_of(group), [m.to_wire(s) for m, s in zip(measures, states, strict=True)]]
                for (index, *group), states in self.cells.items()
            ],
            "rows": [
                [r.index, r.at, r.key, None if r.rank is None else str(r.rank), list(r.values)]
                + ([] if r.counted_from is None else [r.counted_from])
                for r in self.rows
            ],
            "excluded": [[*what, many] for what, many in self.excluded.items()],
            "forgotten_before": self.forgotten_before,
            "counted": [self.counted, self.counted_from],
        }
        size = len(orjson.dumps(wire))
        if size > MAX_BYTES:
            raise LimitError(
                f"the answer of one stream has {size} bytes, and a message takes {MAX_BYTES}; ask for fewer "
                "times or groups, a smaller top, or leave out quantiles, histograms and distinct"
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
                cell_of(index, group): tuple(m.from_wire(s) for m, s in zip(measures, states, strict=True))
                for index, group, states in wire["cells"]
            },
            [
                KeyRow(index, at, key, None if rank is None else fraction_of(rank), tuple(values), *counted)
                for index, at, key, rank, values, *counted in wire["rows"]
            ],
            Counter({(index, reason): many for index, reason, many in wire["excluded"]}),
            wire["forgotten_before"],
            *wire.get("counted", (0, None)),
        )


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
    if len(rows) > request.most:
        raise LimitError(
            f"more than {request.most} rows; choose some with where or top, ask for fewer times, "
            "or for aggregates"
        )
    return rows


def merge_cells(
    into: dict[Cell, States], more: Mapping[Cell, States], measures: Sequence[Measure], most: int
) -> None:
    """Adds what is known of cells to what is known of them already.

    Raises:
        LimitError: there are more than ``most``.
    """
    if not into:
        into.update(more)
        more = {}
    for cell, states in more.items():
        known = into.get(cell)
        if known is None:
            into[cell] = states
        else:
            into[cell] = tuple(m.merged(a, b) for m, a, b in zip(measures, known, states, strict=True))
    if len(into) > most:
        raise LimitError(
            f"more than {most} groups (times the ticks asked for); group by fewer outputs, choose keys "
            "with where, or ask for fewer times"
        )
    for place, measure in enumerate(measures):
        if measure.kind == "sample":
            for cell, sample in zip(into, bounded([s[place] for s in into.values()]), strict=True):
                into[cell] = (*into[cell][:place], sample, *into[cell][place + 1 :])

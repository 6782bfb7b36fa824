"""What is known of a cell (a group at a time): made of columns, merged, written, and made an answer of.

Several aggregates may stand on one measure: ``sum(x)`` and ``avg(x)`` on the same total.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, TypeAlias

import numpy as np

from timeline.aggregate import different
from timeline.aggregate.functions import Aggregate
from timeline.aggregate.numbers import Numbers, counts, extremes, sums
from timeline.aggregate.samples import ACCURACY, Sample, samples
from timeline.values.exact import fraction_of, user_fraction
from timeline.values.ticks import format_seconds
from timeline.values.vocabulary import I64

#: The bounds of histograms that are given none: 1, 2 and 5 times the powers of ten, and 0.
BOUNDS: tuple[Fraction, ...] = tuple(
    sorted(
        {Fraction(0)}
        | {
            sign * step * Fraction(10) ** power
            for sign in (1, -1)
            for step in (1, 2, 5)
            for power in range(-9, 19)
        }
    )
)
#: What a measure knows of one cell: "rows" and "known" a number, "total" and the extremes a fraction
#: (an extreme may be ``None``), "sample" a `Sample`, "bins" how many are in which bin, "distinct" the least
#: hashes (`timeline.aggregate.different`). Over intervals:
#: "held" and "defined" are ms (in all or of truth, and in which there is a number), "area" the sum of the
#: numbers of all ticks, "change" how much it changed, "rises" and "keys" a number.
State: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Measure:
    kind: str
    output: str | None = None
    arguments: tuple[str, ...] = ()

    def bounds(self) -> tuple[Fraction, ...]:
        """The bounds of bins."""
        return tuple(map(Fraction, self.arguments)) or BOUNDS

    def of(self, column: Numbers | different.Told | None, starts: I64, rows: int) -> list[State]:
        """What is known of each run of rows of the output's column."""
        if isinstance(column, different.Told):
            return different.least(column, starts)
        if column is None:
            return np.diff(np.append(starts, rows)).tolist()  # type: ignore[no-any-return]
        match self.kind:
            case "known":
                return counts(column.known, starts)
            case "total":
                return sums(column, starts)
            case "min" | "max":
                return extremes(column, starts, largest=self.kind == "max")
            case "sample":
                return samples(column, starts)
        return _binned(column, starts, self.bounds())

    def nothing(self) -> State:
        """What is known of a cell without rows."""
        match self.kind:
            case "min" | "max":
                return None
            case "total" | "area" | "change":
                return Fraction(0)
            case "sample":
                return Sample()
            case "bins":
                return Counter()
            case "distinct":
                return b""
        return 0

    def merged(self, a: State, b: State) -> State:
        """What is known of two parts of a cell together."""
        if self.kind in ("min", "max"):
            if a is None or b is None:
                return b if a is None else a
            return max(a, b) if self.kind == "max" else min(a, b)
        if self.kind == "distinct":
            return different.united(a, b)
        return a.with_(b) if self.kind == "sample" else a + b

    def accuracy(self, states: Sequence[State]) -> float:
        """How far what is made of these may be from the true value, as a part of it; 0: it is exact."""
        if self.kind == "sample" and any(sample.bins is not None for sample in states):
            return ACCURACY
        return (
            different.ACCURACY if self.kind == "distinct" and any(map(different.is_estimate, states)) else 0
        )

    def to_wire(self, state: State) -> Any:
        """A state as JSON."""
        if self.kind == "sample":
            return state.to_wire()
        if self.kind == "bins":
            return sorted(state.items())
        if self.kind == "distinct":
            return different.to_wire(state)
        return str(state) if isinstance(state, Fraction) else state

    def from_wire(self, wire: Any) -> State:
        """The inverse of `to_wire`."""
        if self.kind == "sample":
            return Sample.from_wire(wire)
        if self.kind == "bins":
            return Counter(dict(wire))
        if self.kind == "distinct":
            return different.from_wire(wire)
        return fraction_of(wire) if isinstance(wire, str) else wire


def measures_of(aggregates: Sequence[Aggregate]) -> list[Measure]:
    """What has to be known for these aggregates, each once."""
    found: dict[Measure, None] = {}
    for aggregate in aggregates:
        found.update(dict.fromkeys(_measures(aggregate)))
    return list(found)


def _measures(of: Aggregate) -> tuple[Measure, ...]:
    match of.function:
        case "count":
            return (Measure("rows" if of.output is None else "known", of.output),)
        case "sum" | "avg":
            return (Measure("total", of.output), Measure("known", of.output))
        case "min" | "max" | "distinct":
            return (Measure(of.function, of.output),)
        case "quantile":
            return (Measure("sample", of.output),)
        case "duration":
            return (Measure("held", of.output),)
        case "rises" | "keys":
            return (Measure(of.function, of.output),)
        case "change":
            return (Measure("change", of.output), Measure("defined", of.output))
        case "time_avg":
            return (Measure("area", of.output), Measure("defined", of.output))
    return (Measure("bins", of.output, of.arguments),)


def answers(of: Aggregate, known: Mapping[Measure, Sequence[State]]) -> list[Any]:
    """The values of an aggregate in some cells, of which the states of each measure are known, as a user sees
    them; null where there is no number to make it of."""
    states, *rest = (known[measure] for measure in _measures(of))
    match of.function:
        case "count" | "rises" | "keys":
            return list(states)
        case "duration":
            return list(map(format_seconds, states))
        case "sum" | "change":
            return [_shown(one) if many else None for one, many in zip(states, *rest, strict=True)]
        case "avg" | "time_avg":
            return [_shown(one / many) if many else None for one, many in zip(states, *rest, strict=True)]
        case "min" | "max":
            return [_shown(one) for one in states]
        case "distinct":
            return [different.number(one) for one in states]
        case "quantile":
            percent = [Fraction(of.arguments[0])]
            return [_shown(one.quantiles(percent)[0]) for one in states]
    measure = _measures(of)[0]
    bounds = measure.bounds()
    edges = [None, *map(_shown, bounds), None]
    bins = range(len(bounds) + 1) if of.arguments else None
    return [[[edges[i], edges[i + 1], one[i]] for i in bins or sorted(one)] for one in states]


def _shown(number: Fraction | None) -> int | float | None:
    return None if number is None else user_fraction(number.numerator, number.denominator)


def _binned(column: Numbers, starts: I64, bounds: Sequence[Fraction]) -> list[Counter[int]]:
    """For each run of rows, how many are in which bin: bin i is from bound i - 1 up to below bound i."""
    value = column.value
    if value.dtype == object:
        limits = [ceil(bound / column.unit) for bound in bounds]
        index = np.fromiter((bisect_right(limits, v) for v in value), np.int64, len(value))
    elif column.floats:
        edges = np.array([user_fraction(b.numerator, b.denominator) for b in bounds], np.float64)
        index = np.searchsorted(edges, value, side="right")
    else:
        # No value is as large as what is cut off here.
        far = 1 << 62
        whole = [min(max(ceil(bound / column.unit), -far), far) for bound in bounds]
        index = np.searchsorted(np.array(whole, np.int64), value, side="right")
    width = len(bounds) + 1
    sizes = np.diff(np.append(starts, len(value)))
    place = np.repeat(np.arange(len(starts)), sizes) * width + index
    found: list[Counter[int]] = [Counter() for _ in starts]
    places, many = np.unique(place[column.known], return_counts=True)
    for where, count in zip(places.tolist(), many.tolist(), strict=True):
        found[where // width][where % width] = count
    return found

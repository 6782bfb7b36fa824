"""Quantiles: of all values while they are few, else of a sketch that can be merged.

The sketch is DDSketch: values are counted in bins whose bounds grow by a factor, so that a quantile is
known to within `ACCURACY` of its value. It is the same whatever parts the values came in, and whatever
their order, so that one question has one answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
from ddsketch.ddsketch import BaseDDSketch
from ddsketch.mapping import LogarithmicMapping
from ddsketch.store import DenseStore

from timeline.aggregate.numbers import Numbers, exact, joined
from timeline.values.exact import fraction_of
from timeline.values.vocabulary import I64

#: Up to this many values of one output, in all groups and at all times, quantiles are exact.
EXACT_VALUES = 10_000
#: How far a quantile of a sketch may be from the value, as a part of it.
ACCURACY = 0.005

_MAPPING = LogarithmicMapping(ACCURACY)
#: Added to the number of a bin, so that its sign is free to be that of the values; and the greatest number of
#: a bin, of the largest float there is.
OFFSET, FURTHEST = 1 << 20, 75_000
_NOTHING = Numbers(np.empty(0, np.int64), np.empty(0, bool))


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one cell, ``count`` of them: themselves, or how many are in which ``bins`` (0: zeros;
    the bin's number and `OFFSET` for positive ones, the negative of that for negative ones)."""

    count: int = 0
    values: tuple[Numbers, ...] = ()
    bins: Counter[int] | None = None

    def with_(self, other: Sample) -> Sample:
        """Both together."""
        count = self.count + other.count
        if self.bins is None and other.bins is None:
            return Sample(count, self.values + other.values)
        mine, theirs = self.sketched().bins, other.sketched().bins
        assert mine is not None
        assert theirs is not None
        return Sample(count, bins=mine + theirs)

    def sketched(self) -> Sample:
        """The sample as numbers of values in bins."""
        if self.bins is not None:
            return self
        bins, many = np.unique(bins_of(joined(self.values or (_NOTHING,))), return_counts=True)
        return Sample(self.count, bins=Counter(dict(zip(bins.tolist(), many.tolist(), strict=True))))

    def quantiles(self, percents: Sequence[Fraction]) -> list[Fraction | None]:
        """For each, the smallest value such that at least so many percent are not above it."""
        total = self.count
        if not total:
            return [None] * len(percents)
        ranks = [max(ceil(p * total / 100), 1) - 1 for p in percents]
        if self.bins is None:
            column = joined(self.values)
            ordered = np.sort(column.value).tolist()
            return [exact(ordered[rank], column.unit) for rank in ranks]
        sketch = self._library()
        found: list[Fraction | None] = []
        for rank in ranks:
            # A quarter more than the rank: it must not be rounded down to the one before.
            place = min((rank + 0.25) / (total - 1), 1.0) if total > 1 else 0.0
            value = sketch.get_quantile_value(place)
            assert value is not None
            found.append(Fraction(value))
        return found

    def _library(self) -> BaseDDSketch:
        assert self.bins is not None
        positive, negative = DenseStore(), DenseStore()
        for number, many in self.bins.items():
            if number:
                (positive if number > 0 else negative).add(abs(number) - OFFSET, many)
        return BaseDDSketch(_MAPPING, positive, negative, self.bins[0])

    def to_wire(self) -> dict[str, Any]:
        """The sample as JSON."""
        if self.bins is not None:
            numbers = sorted(self.bins)
            steps = np.diff(np.array(numbers, np.int64), prepend=0).tolist()
            return {"bins": steps, "counts": [self.bins[n] for n in numbers]}
        column = joined(self.values or (_NOTHING,))
        if column.floats:
            return {"floats": np.sort(column.value).tolist()}
        value = np.sort(column.value)
        whole = [str(v) for v in value] if value.dtype == object else np.diff(value, prepend=0).tolist()
        return {"unit": str(column.unit), "values": whole}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Sample:
        """The inverse of `to_wire`."""
        if "bins" in wire:
            numbers = np.cumsum(np.array(wire["bins"], np.int64)).tolist()
            bins = Counter(dict(zip(numbers, wire["counts"], strict=True)))
            return cls(bins.total(), bins=bins)
        unit = Fraction(1)
        value: np.ndarray[Any, Any]
        if "floats" in wire:
            value = np.array(wire["floats"], np.float64)
        else:
            unit = fraction_of(wire["unit"])
            values = wire["values"]
            if values and isinstance(values[0], str):
                value = np.array(list(map(int, values)), object)
            else:
                value = np.cumsum(np.array(values, np.int64))
        return cls(len(value), (Numbers(value, np.ones(len(value), bool), unit),))


def bounded(cells: Sequence[Sample]) -> list[Sample]:
    """The samples of all cells of an output: sketches, once there are too many values in all."""
    many = sum(sample.count for sample in cells) > EXACT_VALUES
    return [sample.sketched() for sample in cells] if many else list(cells)


def bins_of(column: Numbers) -> I64:
    """The bin of each value, as `Sample.bins` numbers them."""
    value = column.nearest()
    size = np.abs(value)
    in_bin = size > _MAPPING.min_possible
    logarithm = np.log(np.where(in_bin, size, 1.0)) / np.log(_MAPPING.gamma)
    bins: I64 = np.ceil(logarithm).astype(np.int64) + OFFSET
    return np.where(in_bin, np.where(value < 0, -bins, bins), 0)


def samples(column: Numbers, starts: I64) -> list[Sample]:
    """The sample of each run of rows."""
    sketched = int(np.count_nonzero(column.known)) > EXACT_VALUES
    bins = bins_of(column) if sketched else _NOTHING.value
    made = []
    ends = np.append(starts[1:], len(column.value))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        rows = start + np.flatnonzero(column.known[start:end])
        if sketched:
            numbers, many = np.unique(bins[rows], return_counts=True)
            counted = Counter(dict(zip(numbers.tolist(), many.tolist(), strict=True)))
            made.append(Sample(len(rows), bins=counted))
        else:
            made.append(Sample(len(rows), (column.take(rows),)))
    return made

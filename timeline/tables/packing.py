"""Packed places: a key and a tick in one whole number, and what is done with sorted ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from timeline.errors import LimitError
from timeline.values.ticks import MAX_TICK, TICK_BITS
from timeline.values.vocabulary import I64

Bools: TypeAlias = NDArray[np.bool_]


#: The most keys one table can hold: what is left of 63 bits beside the tick, less one, so that the
#: place behind the last tick of the last key can be written too.
MAX_KEYS = (1 << (63 - TICK_BITS)) - 1


def pack(key: I64, tick: I64) -> I64:
    """``key << 42 | tick``.

    Raises:
        LimitError: more keys than fit beside the tick, or a tick that would spill into another key.
    """
    if len(key) and int(key.max()) >= MAX_KEYS:
        raise LimitError(f"a stream holds at most {MAX_KEYS} keys; use more shards")
    if len(tick) and not 0 <= int(tick.min()) <= int(tick.max()) <= MAX_TICK:
        wrong = tick[(tick < 0) | (tick > MAX_TICK)][0]
        raise LimitError(f"a time lies between 0 and {MAX_TICK} ms, got {wrong}")
    return (key << TICK_BITS) | tick


def first_of_runs(sorted_values: I64) -> I64:
    """Index of the first of each run of equal values."""
    if len(sorted_values) == 0:
        return np.empty(0, np.int64)
    return np.concatenate(([0], np.flatnonzero(np.diff(sorted_values)) + 1))


def earliest(places: Sequence[I64]) -> I64:
    """Of packed places, the earliest of each key, sorted."""
    every = np.sort(np.concatenate(places))
    return every[first_of_runs(every >> TICK_BITS)]


def latest(places: Sequence[I64]) -> I64:
    """Of packed places, the latest of each key, sorted."""
    every = np.sort(np.concatenate(places))
    return every[last_of_runs(every >> TICK_BITS)]


def all_of(values: Sequence[Bools]) -> Bools:
    """Elementwise conjunction."""
    result: Bools = np.logical_and.reduce(values)
    return result


def any_of(values: Sequence[Bools]) -> Bools:
    """Elementwise disjunction."""
    result: Bools = np.logical_or.reduce(values)
    return result


def stable_order(at: I64) -> I64:
    """Indices that sort packed places; equal ones keep their order."""
    if len(at) and int(at.max()) >> TICK_BITS < 1 << 16:
        # Events mostly come in order of time, so that sorting by key is enough; for 16 bits numpy
        # has a radix sort, which is ten times faster than comparing.
        order = np.argsort((at >> TICK_BITS).astype(np.uint16), kind="stable")
        ordered = at[order]
        if bool(np.all(ordered[1:] >= ordered[:-1])):
            return order
    return np.argsort(at, kind="stable")


def last_of_runs(sorted_values: I64) -> I64:
    """Index of the last of each run of equal values."""
    first = first_of_runs(sorted_values)
    return np.append(first[1:], len(sorted_values)) - 1 if len(first) else first

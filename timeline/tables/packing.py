"""Packed places: a key and a tick in one whole number, so that sorting, merging and looking up are
single numpy calls. Only this file knows how they are packed; columns and single places are treated alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from timeline.errors import LimitError
from timeline.values.ticks import MAX_TICK, TICK_BITS
from timeline.values.vocabulary import I64

Bools: TypeAlias = NDArray[np.bool_]
_Place = TypeVar("_Place", int, I64)

#: The most keys one table can hold: what is left of 63 bits beside the tick, less one, so that the
#: place behind the last tick of the last key can be written too.
MAX_KEYS = (1 << (63 - TICK_BITS)) - 1


def pack(key: I64, tick: I64) -> I64:
    """The places of keys at ticks, once both are checked.

    Raises:
        LimitError: more keys than fit beside the tick, or a tick that would spill into another key.

    >>> pack(np.array([3]), np.array([5])).tolist() == [3 * 2**42 + 5]
    True
    """
    if len(key) and int(key.max()) >= MAX_KEYS:
        raise LimitError(f"a stream holds at most {MAX_KEYS} keys; use more shards")
    if len(tick) and not 0 <= int(tick.min()) <= int(tick.max()) <= MAX_TICK:
        wrong = tick[(tick < 0) | (tick > MAX_TICK)][0]
        raise LimitError(f"a time lies between 0 and {MAX_TICK} ms, got {wrong}")
    return packed(key, tick)


@overload
def packed(key: int, tick: int) -> int: ...
@overload
def packed(key: I64, tick: I64 | int) -> I64: ...
def packed(key: Any, tick: Any) -> Any:
    """`pack` of what is known to be good, also of single numbers.

    >>> key_of(packed(3, 5)), tick_of(packed(3, 5))
    (3, 5)
    """
    return (key << TICK_BITS) | tick


def key_of(at: _Place) -> _Place:
    """The key of each place."""
    return at >> TICK_BITS


def tick_of(at: _Place) -> _Place:
    """The tick of each place."""
    return at & MAX_TICK


def start_of(key: _Place) -> _Place:
    """The place of each key at tick 0."""
    return key << TICK_BITS


def begin_of(at: _Place) -> _Place:
    """Tick 0 of the key of each place."""
    return at & ~MAX_TICK


def end_of(at: _Place) -> _Place:
    """Behind the last tick of the key of each place."""
    return (at | MAX_TICK) + 1


def same_key(a: I64, b: I64) -> Bools:
    """Where two columns of places are of one key."""
    # What differs lies in the bits of the tick; a place below 0 (none) is of no key.
    same: Bools = (a ^ b).view(np.uint64) <= MAX_TICK
    return same


def follows_in_key(at: I64) -> Bools:
    """Of sorted places (n), which of all but the first (n - 1) are of the same key as the one before."""
    return same_key(at[1:], at[:-1])


def recode(at: I64, codes: I64) -> I64:
    """The places with other key codes: ``codes`` has the new one for each old one.

    >>> recode(packed(np.array([0, 1]), 7), np.array([4, 2])).tolist() == [packed(4, 7), packed(2, 7)]
    True
    """
    return packed(codes[at >> TICK_BITS], at & MAX_TICK)


def first_of_runs(sorted_values: I64) -> I64:
    """Index of the first of each run of equal values."""
    if len(sorted_values) == 0:
        return np.empty(0, np.int64)
    return np.flatnonzero(np.concatenate(([True], sorted_values[1:] != sorted_values[:-1])))


def last_of_runs(sorted_values: I64) -> I64:
    """Index of the last of each run of equal values."""
    if len(sorted_values) == 0:
        return np.empty(0, np.int64)
    return np.flatnonzero(np.concatenate((sorted_values[1:] != sorted_values[:-1], [True])))


def first_of_keys(at: I64) -> I64:
    """Index of the first of each key's of sorted places."""
    return first_of_runs(key_of(at))


def last_of_keys(at: I64) -> I64:
    """Index of the last of each key's of sorted places."""
    return last_of_runs(key_of(at))


def earliest(places: Sequence[I64]) -> I64:
    """Of packed places, the earliest of each key, sorted."""
    every = np.sort(np.concatenate(places))
    return every[first_of_keys(every)]


def latest(places: Sequence[I64]) -> I64:
    """Of packed places, the latest of each key, sorted."""
    every = np.sort(np.concatenate(places))
    return every[last_of_keys(every)]


def all_of(values: Sequence[Bools]) -> Bools:
    """Elementwise conjunction."""
    result: Bools = np.logical_and.reduce(values)
    return result


def any_of(values: Sequence[Bools]) -> Bools:
    """Elementwise disjunction."""
    result: Bools = np.logical_or.reduce(values)
    return result


def order_of_keys(key: I64) -> I64:
    """Indices that sort key codes; equal ones keep their order.

    For 16 bits numpy has a radix sort, which is ten times faster than comparing.
    """
    order = np.argsort(key.astype(np.uint16), kind="stable")
    above = key >> 16
    return order[np.argsort(above[order].astype(np.uint16), kind="stable")] if above.any() else order


def stable_order(at: I64) -> I64:
    """Indices that sort packed places; equal ones keep their order."""
    # Events mostly come in order of time, so that sorting by key is enough.
    order = order_of_keys(key_of(at))
    ordered = at[order]
    if bool(np.all(ordered[1:] >= ordered[:-1])):
        return order
    return np.argsort(at, kind="stable")

"""What a batch or a place in a stream cannot be: looked at before anything is done with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from timeline.errors import WireError, shortened
from timeline.tables.events import Events, Position
from timeline.tables.marks import MARK, mark_of, place_of
from timeline.tables.packing import Bools
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64

#: The most numbers of a place, and the greatest of them: what a source counts stays far below.
MAX_WIDTH, GREATEST = 8, (1 << 63) - 1
#: The most events of a batch: of so many a node computes for seconds. Feeders send 50 000.
MAX_EVENTS = 1_000_000


def checked_position(wire: Any) -> Position:
    """A position that a source, or a mark in it, may have.

    >>> checked_position([7, 3])
    (7, 3)

    Raises:
        WireError: it is none.
    """
    place = tuple(wire) if isinstance(wire, list | tuple) else ()
    good = 0 < len(place) <= MAX_WIDTH and all(type(n) is int and MARK <= n <= GREATEST for n in place)
    time = mark_of(place) if good else None
    if not good or (time is not None and not (0 <= time <= MAX_TICK and len(place) > 2)):
        raise WireError(f"a position is a list of whole numbers from -1 on, got {shortened(str(wire), 80)}")
    return place


def check_batch(events: Events, last: Position, before: Position | None) -> None:
    """Looks whether a batch that reaches up to ``last`` can follow ``before`` in its stream.

    Raises:
        WireError: it cannot.
    """
    last = place_of(checked_position(last))
    if before is not None and len(place_of(before)) != len(last):
        raise WireError(f"a batch reaches up to {last}, in a stream whose positions are such as {before}")
    if len(events) > MAX_EVENTS:
        raise WireError(f"a batch has at most {MAX_EVENTS} events, got {len(events)}")
    _check_names(events.keys)
    if len(events) and not 0 <= int(events.tick.min()) <= int(events.tick.max()) <= MAX_TICK:
        wrong = events.tick[(events.tick < 0) | (events.tick > MAX_TICK)][0]
        raise WireError(f"a time lies between 0 and {MAX_TICK} ms, got {wrong}")
    for name, column in events.columns.items():
        for value in column.values:
            if isinstance(value, list | dict):
                raise WireError(f"column {name!r} has a value that is no scalar: {shortened(str(value), 80)}")
    rows = events.position
    if rows.shape[1] != len(last):
        raise WireError(f"a batch up to {last} has positions of {rows.shape[1]} numbers")
    if len(rows) and int(rows.min()) < MARK:
        raise WireError(f"a position is of whole numbers from -1 on, got {int(rows.min())}")
    if not _ordered(np.concatenate((rows, [last]))).all():
        raise WireError("the positions of a batch do not grow up to its end")


def check_follows(after: Sequence[int] | None, before: Position | None) -> None:
    """Looks whether a batch that goes on from ``after`` (``None``: its sender does not say) leaves nothing
    out behind ``before``.

    Raises:
        WireError: one before it is missing.
    """
    if after is not None and (before is None or before < tuple(after)):
        where = "the beginning" if before is None else before
        raise WireError(f"a batch before it is missing: it goes on from {tuple(after)}, here is {where}")


def _check_names(names: Any) -> None:
    if not isinstance(names, list) or not all(type(name) is str and name for name in names):
        raise WireError("keys are a list of text that is not empty")
    if len(set(names)) < len(names):
        raise WireError("a key is named twice in one batch")


def _ordered(rows: I64) -> Bools:
    """For each row but the first, whether it is not below the one before, compared from the left."""
    later = np.zeros(len(rows) - 1, bool)
    equal = np.ones(len(rows) - 1, bool)
    for column in rows.T:
        later |= equal & (column[1:] > column[:-1])
        equal &= column[1:] == column[:-1]
    result: Bools = later | equal
    return result


def check_scalars(values: Sequence[Any], what: str) -> None:
    """Looks whether all values are text, numbers, booleans or null.

    Raises:
        WireError: one is not.
    """
    if not isinstance(values, list) or any(isinstance(value, list | dict) for value in values):
        raise WireError(f"{what} are a list of scalars, got {shortened(str(values), 80)}")

"""Which events of a batch a leaf takes and which it refuses, where keys have one life each; and what is kept
of the refused. Where they have several: `timeline.engine.lives`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from timeline.limits import Limits
from timeline.tables.events import Events, Position, concat
from timeline.tables.packing import order_of_keys, packed, tick_of
from timeline.values.vocabulary import I64

#: The most refused events that a leaf keeps, but for those that nobody else has yet; all are counted.
MAX_REFUSED = 5_000


class Reason(IntEnum):
    """Why an event was refused."""

    #: Its time is below its key's watermark.
    LATE = 0
    #: The life that it is of is closed, or would be at once.
    CLOSED = 1


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of a batch: the rows that are accepted, and that are refused, in stream order."""

    live: I64
    refused: I64
    reasons: I64


def admit(key: I64, tick: I64, newest: I64, stream: I64, limits: Limits) -> Admission:
    """Judges each event by its place in the stream, so that it does not matter where batches end.

    ``key``, ``tick`` (n) in stream order, ``stream`` (n) the stream's time before each (`time_before`);
    ``newest`` one a key code, -1 where no event was heard of, and never above the stream's time. An event is
    late if it is older than the newest of its key before it, or with ``limits.by_stream`` than the stream's
    time, by more than the allowed lateness.

    >>> key, tick, newest = np.array([0, 0, 1]), np.array([9, 3, 3]), np.array([-1, -1])
    >>> stream = time_before(tick, -1)
    >>> admit(key, tick, newest, stream, Limits(5)).refused.tolist()
    [1]
    >>> admit(key, tick, newest, stream, Limits(5, by_stream=True)).refused.tolist()
    [1, 2]
    """
    live = np.ones(len(key), bool)
    if limits.allowed_lateness is not None:
        # No key is ahead of its stream: only what is late by the stream's time may be so by its key's.
        rows = np.flatnonzero(tick < stream - limits.allowed_lateness)
        if len(rows) and not limits.by_stream:
            doubtful = np.zeros(len(newest), bool)
            doubtful[key[rows]] = True
            rows = np.flatnonzero(doubtful[key])
            before = _newest_before(key[rows], tick[rows], newest)
            rows = rows[tick[rows] < before - limits.allowed_lateness]
        live[rows] = False
    refused = np.flatnonzero(~live)
    return Admission(np.flatnonzero(live), refused, np.full(len(refused), Reason.LATE, np.int64))


def time_before(tick: I64, stream_time: int) -> I64:
    """The stream's time before each of its events, of which those are the times; -1: it has none yet.

    >>> time_before(np.array([5, 3, 9]), 4).tolist()
    [4, 5, 5]
    """
    return np.maximum.accumulate(np.concatenate(([stream_time], tick)))[: len(tick)]


def _newest_before(key: I64, tick: I64, newest: I64) -> I64:
    """The newest tick of each event's key among the events before it, -1 if there is none."""
    order = order_of_keys(key)
    sorted_key = key[order]
    # Greater keys pack greater, so one running maximum serves all keys.
    running = tick_of(np.maximum.accumulate(packed(sorted_key, tick[order])))
    found = newest[sorted_key]
    same = sorted_key[1:] == sorted_key[:-1]
    found[1:][same] = np.maximum(found[1:], running[:-1])[same]
    before = np.empty(len(key), np.int64)
    before[order] = found
    return before


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused event: its place in the stream, its key and time (ms), and why."""

    position: Position
    key: str
    tick: int
    reason: Reason


@dataclass(slots=True)
class Refused:
    """How many events a leaf has refused, and the last of them.

    ``settled`` is up to where a feeder has put them elsewhere; from there on all are kept, and a feeder
    has few batches under way. Without one the last `MAX_REFUSED` are.
    """

    count: int = 0
    events: Events | None = None
    reasons: I64 | None = None
    settled: Position | None = None

    def settle(self, position: Position) -> None:
        """Takes note that the events up to and including that position are kept elsewhere."""
        self.settled = position if self.settled is None else max(self.settled, position)

    def add(self, events: Events, reasons: I64) -> None:
        """Takes note of refused events, of which columns are not kept."""
        self.count += len(events)
        more = Events(events.keys, events.key, events.tick, {}, events.position).compact()
        if self.events is not None and self.reasons is not None:
            more = concat([self.events, more])
            reasons = np.concatenate((self.reasons, reasons))
        unsettled = 0 if self.settled is None else len(more.after(self.settled))
        kept = slice(max(0, len(more) - max(MAX_REFUSED, unsettled)), None)
        self.events, self.reasons = more.take(kept).compact(), reasons[kept]

    def after(self, position: Position | None, most: int) -> list[Refusal]:
        """Up to ``most`` of those kept, from behind a position on."""
        if self.events is None or self.reasons is None:
            return []
        events = self.events
        begin = 0 if position is None else len(events) - len(events.after(position))
        rows = range(begin, min(len(events), begin + most))
        return [
            Refusal(
                tuple(events.position[row].tolist()),
                events.keys[int(events.key[row])],
                int(events.tick[row]),
                Reason(int(self.reasons[row])),
            )
            for row in rows
        ]

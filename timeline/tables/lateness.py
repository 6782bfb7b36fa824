"""What is final: of keys (or their lives) whose ``newest`` events are at these times (ms), in a stream whose
time is ``stream_time`` (ms)."""

from __future__ import annotations

import numpy as np

from timeline.limits import Limits
from timeline.tables.packing import Bools
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64


def watermark(limits: Limits, newest: I64, stream_time: int) -> I64:
    """Below which tick (ms) an event of a key is late.

    >>> watermark(Limits(5), np.array([3, 20]), 30).tolist()
    [0, 15]
    >>> watermark(Limits(5, by_stream=True), np.array([3, 20]), 30).tolist()
    [25, 25]
    """
    if limits.allowed_lateness is None:
        return np.zeros(len(newest), np.int64)
    last = np.full(len(newest), stream_time) if limits.by_stream else newest
    return np.maximum(last - limits.allowed_lateness, 0)


def is_closed(limits: Limits, newest: I64, stream_time: int) -> Bools:
    """Which lives are closed: no acceptable event can reach them any more."""
    return _left_behind(limits.closed_after, newest, stream_time)


def is_forgotten(limits: Limits, newest: I64, stream_time: int) -> Bools:
    """Which lives are no longer known: they are closed, and retention has passed too."""
    return _left_behind(limits.forgotten_after, newest, stream_time)


def _left_behind(after: int | None, newest: I64, stream_time: int) -> Bools:
    """Which are at least so much (ms; ``None``: none is) older than the stream's time."""
    if after is None:
        return np.zeros(len(newest), bool)
    behind: Bools = stream_time - newest >= after
    return behind


def final_until(limits: Limits, newest: I64, stream_time: int) -> I64:
    """Below which tick (ms) no acceptable event can change anything. A life that is closed is known up to its
    end, ``key_ttl`` behind its newest event; what is behind that, another may cover.

    >>> final_until(Limits(5, None, 10), np.array([3, 20]), 30).tolist()
    [13, 15]
    """
    until = watermark(limits, newest, stream_time)
    if limits.key_ttl is not None:
        until = np.where(is_closed(limits, newest, stream_time), newest + limits.key_ttl, until)
    return np.minimum(until, MAX_TICK)


def now(limits: Limits, newest: I64, stream_time: int) -> I64:
    """At which tick (ms) keys are asked where no time is said: at their newest events; with ``by_stream`` at
    the stream's time, or where their lives end.

    >>> now(Limits(5, None, 10, by_stream=True), np.array([3, 25]), 30).tolist()
    [12, 30]
    """
    if not limits.by_stream:
        return newest
    latest = np.full(len(newest), stream_time)
    return latest if limits.key_ttl is None else np.minimum(latest, newest + limits.key_ttl - 1)

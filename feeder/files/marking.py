"""Marks of files: the time of their streams goes on, when somebody says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from feeder.files.feed import feed_files
from timeline.errors import LimitError, TimelineError
from timeline.spec.spec import Spec
from timeline.values.ticks import MAX_TICK, format_duration
from workflows.client import Client


class MarkError(TimelineError):
    """A timeline that can have no mark, or needs none."""


async def mark_files(
    timelines: Client, spec: Spec, at: int | None = None, clock: Callable[[], float] = time.time
) -> int:
    """Has the time of a source's streams go on to ``at`` (ms; now by ``clock``, in s, where ``None``), behind
    all that was fed; returns when the results have it, and gives it.

    The mark stays in the source's log: whoever reads the files later has it too.

    Raises:
        MarkError: the timeline is on a topic; nothing of it goes by the stream's time; nothing was fed yet;
            or the time of all streams is that far already.
        LimitError: it is further ahead than an event may be.
        PausedError, ServiceError: as of `feed_files`.
    """
    now = int(clock() * 1_000)
    at = now if at is None else at
    if spec.source.topic is not None:
        raise MarkError(
            f"timeline {spec.name!r} is on a topic, whose time goes on with the clock: a feeder sends it "
            "marks when it is silent (source.idle)"
        )
    if not spec.node_limits.heeds_stream:
        raise MarkError(
            f"timeline {spec.name!r} does not use the time of its stream, so a mark would change nothing; "
            'give limits.watermark = "stream" or limits.key_ttl'
        )
    if not 0 <= at <= MAX_TICK:
        raise LimitError(f"a mark has a time from 0 to {MAX_TICK} ms, got {at}")
    ahead = spec.limits.max_ahead
    if ahead is not None and at > now + ahead:
        raise LimitError(
            f"a mark at {at} ms is {format_duration(at - now)} ahead of the clock, and limits.max_ahead is "
            f"{format_duration(ahead)}: all events before it would be late"
        )
    leaves = timelines.leaves
    status = await asyncio.gather(*(leaves.status(spec, number) for number in range(spec.limits.shards)))
    times = [one["newest"] for one in status]
    if max(times) < 0:
        raise MarkError(f"timeline {spec.name!r} was fed nothing yet, so it has no time; feed it first")
    if min(times) >= at:
        raise MarkError(f"the time of timeline {spec.name!r} is {min(times)} ms already, got {at} ms")
    await feed_files(timelines, spec, [], mark=at, clock=clock)
    return at

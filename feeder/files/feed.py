"""Feeding files: from where the leaves stand to the end of the log.

Nothing is kept of it: where each leaf stands is asked, and what a leaf has had already the leaf drops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from feeder.files.identity import Known, describe_files
from feeder.files.log import FileLog
from feeder.files.queues import ShardQueues
from feeder.leaves import interval_of, leaves_of, results_of, to_feed
from feeder.sources.base import Piece
from feeder.stream import Stream
from timeline.errors import NotFoundError, PausedError
from timeline.reading import Rejected, read_events
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.protocol import Segment


@dataclass(slots=True)
class Progress:
    """How far a feed is: lines of the log read, of how many; events sent."""

    lines: int = 0
    of_lines: int = 0
    events: int = 0
    waiting: str = ""


@dataclass(slots=True)
class Report:
    """What a feed did. ``events``: sent now; ``accepted`` and ``refused`` (below the watermark) as the
    leaves counted them; ``rejected``: lines that are no events, or too far ahead of the clock."""

    events: int = 0
    accepted: int = 0
    refused: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    #: Files that the source had under another name.
    known: list[Known] = field(default_factory=list)

    @property
    def ahead(self) -> int:
        """How many of the rejected are events whose time is too far ahead."""
        return sum(rejected.ahead for rejected in self.rejected)


async def feed_files(
    timelines: Client,
    spec: Spec,
    files: Sequence[str | Path],
    on_progress: Callable[[Progress], None] = lambda _: None,
    clock: Callable[[], float] = time.time,
    again: bool = False,
    mark: int | None = None,
) -> Report:
    """Feeds files to the source of a registered timeline, and waits until its results have them.

    All timelines on the same source get the events. Files that were fed before are not fed again,
    but for lines that are new. A feed that was interrupted goes on where the leaves stand. ``clock`` (s) says
    what is too far ahead (``limits.max_ahead``). What a file has from its start of one that was fed under
    another name is not fed either, but ``again`` feeds all files whole. ``mark`` (ms) is how far the time of
    the source's streams goes on behind them.

    Raises:
        EventError: a file cannot be read.
        PausedError: the timeline is paused.
        LimitError: a node's state is as large as it may be.
        ServiceError: the server or the workers do not answer.
    """
    paused = await timelines.registry.paused()
    if spec.name in paused:
        raise PausedError(
            f"timeline {spec.name!r} is paused and takes no events; `timeline resume {spec.name}` first"
        )
    unit = spec.source.numeric_unit
    for path in files:
        # A file that is not what the spec says must not get into the log, where it would stay.
        next(read_events(path, key=spec.source.key, time=spec.source.time, columns=[], unit=unit), None)
    now = int(clock() * 1_000)
    had = await timelines.registry.log(spec.source_id)
    described, same_as = describe_files(files, had, now, again=again)
    if mark is not None:
        described.append(Segment(path="", fingerprint="", after=0, last=0, mark=mark))
    log = FileLog(spec, await timelines.registry.extend_log(spec.source_id, described))
    every = await timelines.registry.specs()
    if spec.name not in every:
        raise NotFoundError(f"no timeline {spec.name!r} is registered")
    fed, held, _ = to_feed([s for s in every.values() if s.source_id == spec.source_id], paused)
    same = [*fed, *held]
    streams = [
        Stream(timelines, leaves_of(same, number), results_of(same, number), interval_of(same))
        for number in range(spec.limits.shards)
    ]
    await asyncio.gather(*(stream.locate() for stream in streams))
    before = await asyncio.gather(*(stream.counts() for stream in streams))
    lows = [stream.low for stream in streams]
    known = [low for low in lows if low is not None]
    start = min(known) if len(known) == len(lows) else None
    report = Report(known=same_as)
    behind = log.lines_until(start)
    end = log.end()
    progress = Progress(of_lines=log.lines_until(end) - behind)
    if end is not None and (start is None or start < end):
        pieces = log.pieces(start, sorted({c for other in same for c in other.plan.columns}))
        queues = ShardQueues(len(streams))

        def was_read(piece: Piece) -> None:
            report.rejected += piece.rejected
            progress.lines = log.lines_until(piece.last) - behind
            on_progress(progress)

        async def deliver(number: int) -> None:
            stream = streams[number]
            while (batch := await queues.next(number, stream.room, stream.pause)) is not None:
                events, last = batch
                await stream.send(events, last)
                report.events += len(events)
                progress.events = report.events
                on_progress(progress)
            await streams[number].drain()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(queues.fill(pieces, was_read))
                for number in range(len(streams)):
                    group.create_task(deliver(number))
        except BaseExceptionGroup as failures:
            # What one stream ran into is what the user must hear; the others were called off.
            raise failures.exceptions[0] from None
    after = await asyncio.gather(*(stream.counts() for stream in streams))
    report.accepted = sum(a for a, _ in after) - sum(a for a, _ in before)
    report.refused = sum(r for _, r in after) - sum(r for _, r in before)
    return report

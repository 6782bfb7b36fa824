"""Feeding: who gets which batch, how many are in flight, and when all have arrived.

The feeder is the only one who decides where a batch ends. It keeps nothing: where each leaf stands
it asks, and what a leaf has had already the leaf drops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from feeder import stream as _stream
from feeder.files.log import Piece, describe_file, end_of, read_log
from feeder.leaves import leaves_of, results_of, to_feed
from feeder.stream import Stream
from timeline.errors import NotFoundError, PausedError
from timeline.reading import Rejected, read_events
from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position, concat
from workflows.client import Client
from workflows.names import shards_of
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
    leaves counted them; ``rejected``: lines that are no events."""

    events: int = 0
    accepted: int = 0
    refused: int = 0
    rejected: list[Rejected] = field(default_factory=list)


async def feed_files(
    timelines: Client,
    spec: Spec,
    files: Sequence[str | Path],
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Feeds files to the source of a registered timeline, and waits until its results have them.

    All timelines on the same source get the events. Files that were fed before are not fed again,
    but for lines that are new. A feed that was interrupted goes on where the leaves stand.

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
    described = [describe_file(path) for path in files]
    log = await timelines.registry.extend_log(spec.source_id, described)
    end = end_of(log)
    every = await timelines.registry.specs()
    if spec.name not in every:
        raise NotFoundError(f"no timeline {spec.name!r} is registered")
    fed, held, _ = to_feed([s for s in every.values() if s.source_id == spec.source_id], paused)
    same = [*fed, *held]
    streams = [
        Stream(timelines, leaves_of(same, number), results_of(same, number))
        for number in range(spec.limits.shards)
    ]
    await asyncio.gather(*(stream.locate() for stream in streams))
    before = await asyncio.gather(*(stream.counts() for stream in streams))
    lows = [stream.low for stream in streams]
    known = [low for low in lows if low is not None]
    start = min(known) if len(known) == len(lows) else None
    report = Report()
    progress = Progress(of_lines=_lines_until(log, end) - _lines_until(log, start))
    if progress.of_lines:
        columns = sorted({c for other in same for c in other.plan.columns})
        pieces = read_log(spec, log, start, columns)
        queues: list[asyncio.Queue[tuple[Events, Position] | None]] = [
            asyncio.Queue(maxsize=1) for _ in streams
        ]

        async def supply() -> None:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                report.rejected += piece.rejected
                for queue, events in zip(queues, _by_shard(piece, len(streams)), strict=True):
                    await queue.put((events, piece.last))
                progress.lines = _lines_until(log, piece.last) - _lines_until(log, start)
                on_progress(progress)
            for queue in queues:
                await queue.put(None)

        async def deliver(stream: Stream, queue: asyncio.Queue[tuple[Events, Position] | None]) -> None:
            done = False
            while not done:
                batch = [await queue.get()]
                # All that waits goes together, up to a full batch.
                while not queue.empty() and sum(len(b[0]) for b in batch if b) < _stream.BATCH_EVENTS:
                    batch.append(queue.get_nowait())
                done = batch[-1] is None
                waiting = [b for b in batch if b is not None]
                if waiting:
                    events = concat([events for events, _ in waiting])
                    await stream.send(events, waiting[-1][1])
                    report.events += len(events)
                    progress.events = report.events
                    on_progress(progress)
            await stream.drain()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(supply())
                for stream, queue in zip(streams, queues, strict=True):
                    group.create_task(deliver(stream, queue))
        except BaseExceptionGroup as failures:
            # What one stream ran into is what the user must hear; the others were called off.
            raise failures.exceptions[0] from None
    after = await asyncio.gather(*(stream.counts() for stream in streams))
    report.accepted = sum(a for a, _ in after) - sum(a for a, _ in before)
    report.refused = sum(r for _, r in after) - sum(r for _, r in before)
    return report


def _by_shard(piece: Piece, shards: int) -> list[Events]:
    if shards == 1:
        return [piece.events]
    shard = shards_of(piece.events.keys, shards)[piece.events.key]
    return [piece.events.take(np.flatnonzero(shard == number)) for number in range(shards)]


def _lines_until(log: Sequence[Segment], end: Position | None) -> int:
    if end is None:
        return 0
    lines = 0
    for number, segment in enumerate(log, start=1):
        if number < end[0]:
            lines += segment["last"] - segment["after"]
        elif number == end[0]:
            lines += end[1] - segment["after"]
    return lines

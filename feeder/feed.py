"""Feeding: who gets which batch, how many are in flight, and when all have arrived.

The feeder is the only one who decides where a batch ends. It keeps nothing: where each leaf stands
it asks, and what a leaf has had already the leaf drops.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from feeder.files import Piece, describe_file, end_of, read_log
from timeline.errors import LimitError, NotFoundError
from timeline.events import Events, Position, concat
from timeline.reading import Rejected, read_events
from timeline.spec import Spec
from workflows.client import Timelines
from workflows.names import node_id, shards_of
from workflows.registry import Segment

#: Events a batch and batches in flight per stream: a wave costs the same whatever it carries.
BATCH_EVENTS = 20_000
IN_FLIGHT = 3
#: A batch is divided until its names and values are below this many bytes: a node that continues as
#: new carries the batches that wait in its inbox, beside a state of up to a MiB, in one payload of 2 MiB.
BATCH_BYTES = 1 << 18


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


class Stream:
    """One stream of a source: its leaves and result nodes, and what is on the way to them."""

    def __init__(self, timelines: Timelines, specs: Sequence[Spec], number: int) -> None:
        self.timelines = timelines
        self.number = number
        self.leaves: dict[str, frozenset[str]] = {}
        self.results: set[str] = set()
        for spec in specs:
            for node in spec.plan.leaves:
                assert node.leaf is not None
                self.leaves[node_id(spec, node, number)] = node.leaf.columns
            self.results.add(node_id(spec, spec.plan.result, number))
        self.low: Position | None = None
        self.furthest: Position | None = None
        self.in_flight: deque[Position] = deque()

    async def locate(self) -> None:
        """Asks the leaves where they stand.

        Raises:
            LimitError: a node has stopped taking events; whatever is sent would wait beside what does.
        """
        await self._complain()
        positions = await asyncio.gather(*map(self.timelines.position, self.leaves))
        known = [p for p in positions if p is not None]
        self.furthest = max(known, default=None)
        self.low = min(known) if len(known) == len(positions) else None

    async def counts(self) -> tuple[int, int]:
        """Events accepted and refused so far, as any one leaf counts them."""
        status = await self.timelines.status(next(iter(self.leaves)))
        return status["accepted"], status["refused"]

    async def send(self, events: Events, last: Position) -> None:
        """Brings a batch to all leaves, as soon as few enough are on their way to the results."""
        if self.low is not None:
            if last <= self.low:
                return
            events = events.after(self.low)
        for part, end in self._divide(events.compact(), last):
            await self._room(IN_FLIGHT - 1)
            await self.timelines.signal_events(self.leaves, part, end)
            self.in_flight.append(end)

    async def drain(self) -> None:
        """Waits until the results stand where the last batch ended."""
        await self._room(0)

    def _divide(self, events: Events, last: Position) -> list[tuple[Events, Position]]:
        """Batches that are small enough, and that end where the furthest leaf stands.

        Leaves that a feeder left uneven meet at that position, so that their parents can go on.
        """
        furthest = self.furthest
        if furthest is not None and (self.low is None or self.low < furthest) and furthest < last:
            rest = events.after(furthest)
            first = events.take(slice(0, len(events) - len(rest)))
            self.low = furthest
            return [*self._divide(first.compact(), furthest), *self._divide(rest.compact(), last)]
        if len(events) > 1 and (len(events) > BATCH_EVENTS or _bytes(events) > BATCH_BYTES):
            half = len(events) // 2
            middle: Position = tuple(events.position[half - 1].tolist())
            return [
                *self._divide(events.take(slice(0, half)).compact(), middle),
                *self._divide(events.take(slice(half, None)).compact(), last),
            ]
        return [(events, last)]

    async def _room(self, most: int) -> None:
        """Waits until at most that many batches are on their way to the results."""
        pause = 0.005
        stalled = 0.0
        while len(self.in_flight) > most:
            # The results cannot follow before the last leaf is where the furthest stands: up to there
            # it is the leaves that count.
            furthest = self.furthest
            behind = furthest is not None and self.in_flight[0] < furthest
            asked = self.leaves if behind else self.results
            reached = await asyncio.gather(*map(self.timelines.position, asked))
            before = len(self.in_flight)
            while self.in_flight and all(r is not None and r >= self.in_flight[0] for r in reached):
                if behind and furthest is not None and self.in_flight[0] >= furthest:
                    break
                self.in_flight.popleft()
            if len(self.in_flight) <= most:
                return
            # There is nothing to await: a query is the only way to learn where a node stands.
            await asyncio.sleep(pause)
            stalled = 0.0 if len(self.in_flight) < before else stalled + pause
            pause = min(pause * 1.5, 0.1)
            if stalled > 5:
                stalled = 0.0
                await self._complain()
                await self._look_ahead()

    async def _look_ahead(self) -> None:
        """Asks anew how far the furthest leaf is: another feeder may have left it there since."""
        positions = await asyncio.gather(*map(self.timelines.position, self.leaves))
        self.furthest = max((p for p in positions if p is not None), default=None)

    async def _complain(self) -> None:
        """Looks for the reason why nothing moves.

        Raises:
            LimitError: a node has stopped taking events.
            NotFoundError: a node is gone.
        """
        users = await self.timelines.users()
        here = [node for node in users if node.endswith(f".{self.number}")]
        source = next(iter(self.leaves)).rsplit(".", 3)[0]
        for node in here:
            if node.startswith(source):
                full = (await self.timelines.status(node))["full"]
                if full:
                    raise LimitError(full)


async def feed_files(
    timelines: Timelines,
    spec: Spec,
    files: Sequence[str | Path],
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Feeds files to the source of a registered timeline, and waits until its results have them.

    All timelines on the same source get the events. Files that were fed before are not fed again,
    but for lines that are new. A feed that was interrupted goes on where the leaves stand.

    Raises:
        EventError: a file cannot be read.
        LimitError: a node's state is as large as it may be.
        ServiceError: the server or the workers do not answer.
    """
    unit = spec.source.numeric_unit
    for path in files:
        # A file that is not what the spec says must not get into the log, where it would stay.
        next(read_events(path, key=spec.source.key, time=spec.source.time, columns=[], unit=unit), None)
    described = [describe_file(path) for path in files]
    log = await timelines.extend_log(spec.source_id, described)
    end = end_of(log)
    every = await timelines.specs()
    if spec.name not in every:
        raise NotFoundError(f"no timeline {spec.name!r} is registered")
    same = [other for other in every.values() if other.source_id == spec.source_id]
    streams = [Stream(timelines, same, number) for number in range(spec.limits.shards)]
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
                while not queue.empty() and sum(len(b[0]) for b in batch if b) < BATCH_EVENTS:
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


def _bytes(events: Events) -> int:
    """About how long the names and values of a batch are, whose dictionaries hold only what occurs."""
    size = sum(len(key.encode()) for key in events.keys)
    for column in events.columns.values():
        size += sum(len(value.encode()) for value in column.values if isinstance(value, str))
    return size


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

"""Between reading a log and sending its events: a queue for each shard, so that reading is ahead."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterator

from feeder import stream as _stream
from feeder.shards import by_shard
from feeder.sources.base import Piece
from timeline.tables.events import Events, Position, concat
from timeline.tables.marks import mark_of

#: So many pieces are as good as a full batch: what is read and waits is to stay in memory.
PIECES = 4


class ShardQueues:
    """Pieces of a log on their way, divided by shard. Reading pauses while a full batch waits for a shard."""

    def __init__(self, shards: int) -> None:
        self._queues = [_Queue() for _ in range(shards)]

    async def fill(self, pieces: Iterator[Piece], was_read: Callable[[Piece], None]) -> None:
        """Reads all pieces (in a thread) as fast as all shards take them; tells of each."""
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            for queue, events in zip(self._queues, by_shard(piece.events, len(self._queues)), strict=True):
                await queue.until(lambda queue: not queue.full)
                queue.put(events, piece.last)
            was_read(piece)
        for queue in self._queues:
            queue.end()

    async def next(
        self, shard: int, room: Callable[[], Awaitable[None]], pause: Callable[[], float]
    ) -> tuple[Events, Position] | None:
        """What waits for a shard once there is ``room`` for it, a full batch at most, and where it ends.

        ``None`` at the end. What is less than that waits for more for as long (s) as ``pause`` says.
        """
        queue = self._queues[shard]
        await queue.until(lambda queue: bool(queue.waiting) or queue.ended)
        await room()
        if queue.waiting and (seconds := pause()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await queue.until(lambda queue: queue.full)
        return queue.take()


class _Queue:
    """What waits for one shard."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Events, Position]] = deque()
        self.ended = False
        self._count = 0
        self._changed = asyncio.Event()

    @property
    def full(self) -> bool:
        return self._count >= _stream.BATCH_EVENTS or len(self.waiting) >= PIECES

    def put(self, events: Events, last: Position) -> None:
        self.waiting.append((events, last))
        self._count += len(events)
        self._changed.set()

    def end(self) -> None:
        self.ended = True
        self._changed.set()

    async def until(self, done: Callable[[_Queue], bool]) -> None:
        """Waits for it. Who puts waits only while it is full, who takes only while it is not: so one event
        serves both."""
        while not done(self):
            self._changed.clear()
            await self._changed.wait()

    def take(self) -> tuple[Events, Position] | None:
        """The first that wait, a full batch at most; ``None`` if nothing does."""
        taken: list[Events] = []
        place: Position | None = None
        most = _stream.BATCH_EVENTS
        # What lies behind a mark is judged by it, and cannot be in one batch with it.
        while self.waiting and most > 0 and mark_of(place) is None:
            events, place = self.waiting.popleft()
            if len(events) > most:
                self.waiting.appendleft((events.take(slice(most, None)), place))
                events = events.take(slice(0, most))
                place = tuple(events.position[-1].tolist())
            taken.append(events)
            most -= len(events)
        self._count -= sum(map(len, taken))
        self._changed.set()
        return None if place is None else (concat(taken), place)

"""Between reading a log and sending its events: a queue for each shard, so that reading is ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from feeder import stream as _stream
from feeder.shards import by_shard
from feeder.sources.base import Piece
from timeline.tables.events import Events, Position, concat


class ShardQueues:
    """Pieces of a log on their way, divided by shard: of each shard one waits while the next is read."""

    def __init__(self, shards: int) -> None:
        self._queues: list[asyncio.Queue[tuple[Events, Position] | None]] = [
            asyncio.Queue(maxsize=1) for _ in range(shards)
        ]
        self._ended = [False] * shards

    async def fill(self, pieces: Iterator[Piece], was_read: Callable[[Piece], None]) -> None:
        """Reads all pieces (in a thread) as fast as all shards take them; tells of each."""
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            for queue, events in zip(self._queues, by_shard(piece.events, len(self._queues)), strict=True):
                await queue.put((events, piece.last))
            was_read(piece)
        for queue in self._queues:
            await queue.put(None)

    async def next(self, shard: int) -> tuple[Events, Position] | None:
        """All that waits for a shard, up to about a full batch, and where it ends; ``None`` at the end."""
        if self._ended[shard]:
            return None
        queue = self._queues[shard]
        waiting: list[tuple[Events, Position]] = []
        item = await queue.get()
        while item is not None:
            waiting.append(item)
            if queue.empty() or sum(len(events) for events, _ in waiting) >= _stream.BATCH_EVENTS:
                break
            item = queue.get_nowait()
        self._ended[shard] = item is None
        return (concat([events for events, _ in waiting]), waiting[-1][1]) if waiting else None

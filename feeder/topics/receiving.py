"""Messages of one partition, from a thread of their own to the event loop: in order, and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from feeder.sources.base import Cursor, Message

#: What may wait here before the thread stops taking more from the source.
MAX_WAITING = 40_000
MAX_WAITING_BYTES = 64 << 20
#: What the thread hands over at once, so that little waits for much.
BURST = 5_000
BURST_BYTES = 4 << 20
#: How often (ms) the thread looks whether it is to end.
LOOK_MS = 200


class Receiver:
    """Takes messages from a cursor in a thread of its own.

    One call waits for the first message; then all that the cursor has are taken, without a word to
    the event loop for each.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[list[Message], int]] = deque()
        self._count = self._bytes = 0
        self._arrived = asyncio.Event()
        self._room = threading.Event()
        self._room.set()
        self._stopped = False
        self._error: Exception | None = None
        self._empty = 0
        self._thread = threading.Thread(target=self._work, name="receive", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return self._count

    async def any(self) -> None:
        """Waits until at least one message does.

        Raises:
            ServiceError: the source does not answer.
        """
        while not self._waiting:
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()

    async def next(self, most: int) -> list[Message]:
        """All that waits, at least one message, at most about ``most``.

        Raises:
            ServiceError: the source does not answer.
        """
        await self.any()
        return self._all(most)

    async def next_if_any(self, most: int) -> list[Message]:
        """The same, but nothing once the cursor says that there is nothing left.

        Raises:
            ServiceError: the source does not answer.
        """
        while not self._waiting:
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            before = self._empty
            if not await asyncio.to_thread(self._cursor.more):
                # What the thread had taken before it was asked is here once it has found nothing twice.
                while self._empty < before + 2 and not self._waiting and self._error is None:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._arrived.wait(), LOOK_MS / 1_000)
                await asyncio.sleep(0)
                if not self._waiting and self._error is None:
                    return []
            else:
                await self._arrived.wait()
        return self._all(most)

    def _all(self, most: int) -> list[Message]:
        messages: list[Message] = []
        while self._waiting and (not messages or len(messages) + len(self._waiting[0][0]) <= most):
            burst, size = self._waiting.popleft()
            messages += burst
            self._count -= len(burst)
            self._bytes -= size
        if self._count < MAX_WAITING and self._bytes < MAX_WAITING_BYTES:
            self._room.set()
        return messages

    async def stop(self) -> None:
        """Ends the thread; to be called before the cursor is closed."""
        self._stopped = True
        self._room.set()
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while not self._stopped:
            try:
                burst, size = self._burst()
            except Exception as error:  # what the source raises is what `next` must raise
                self._error = error
                self._tell(self._arrived.set)
                return
            if burst:
                self._room.clear()
                self._tell(self._take, burst, size)
                self._room.wait()
            else:
                self._empty += 1

    def _burst(self) -> tuple[list[Message], int]:
        burst: list[Message] = []
        size, patience = 0, LOOK_MS
        while len(burst) < BURST and size < BURST_BYTES:
            message = self._cursor.receive(patience)
            if message is None:
                break
            burst.append(message)
            size += len(message.payload)
            patience = 0
        return burst, size

    def _take(self, burst: list[Message], size: int) -> None:
        self._waiting.append((burst, size))
        self._count += len(burst)
        self._bytes += size
        self._arrived.set()
        if self._count < MAX_WAITING and self._bytes < MAX_WAITING_BYTES:
            self._room.set()

    def _tell(self, call: Callable[..., None], *args: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *args)

"""Messages of one partition, from a thread of their own to the event loop: in order, and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from feeder.sources.base import NONE, Cursor, Messages, in_a_row
from timeline.tables.events import Position

#: What may wait here before the thread stops taking more from the source: two batches, for one is taken
#: while another is on its way.
MAX_WAITING = 100_000
MAX_WAITING_BYTES = 64 << 20
#: What the thread hands over at once, so that little waits for much.
BURST = 5_000
#: How often (ms) the thread looks whether it is to end.
LOOK_MS = 200


class Receiver:
    """Takes messages from a cursor in a thread of its own.

    One call waits for the first message; then all that the cursor has are taken, without a word to
    the event loop for each. What is handed over at once is in order; with ``follows``, so that also no
    message can be missing between what was received one after the other.
    """

    def __init__(
        self, cursor: Cursor, follows: Callable[[Position | None, Position], bool] | None = None
    ) -> None:
        self._cursor = cursor
        self._follows = follows
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Messages, int]] = deque()
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
            await self._more()

    async def many(self, enough: int) -> None:
        """Waits until ``enough`` messages wait, or as many as may.

        Raises:
            ServiceError: the source does not answer.
        """
        while self._count < enough and self._has_room:
            await self._more()

    async def next(self, most: int) -> Messages:
        """All that waits, at least one message, at most about ``most``.

        Raises:
            ServiceError: the source does not answer.
        """
        await self.any()
        return self._all(most)

    async def next_if_any(self, most: int) -> Messages:
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
                        async with asyncio.timeout(LOOK_MS / 1_000):
                            await self._arrived.wait()
                await asyncio.sleep(0)
                if not self._waiting and self._error is None:
                    return NONE
            else:
                await self._arrived.wait()
        return self._all(most)

    async def _more(self) -> None:
        """Waits until more messages do, or raises what the source has raised."""
        if self._error is not None:
            raise self._error
        self._arrived.clear()
        await self._arrived.wait()

    @property
    def _has_room(self) -> bool:
        return self._count < MAX_WAITING and self._bytes < MAX_WAITING_BYTES

    def _all(self, most: int) -> Messages:
        bursts: list[Messages] = []
        count = 0
        while self._waiting and (not bursts or self._goes_along(bursts[-1], count, most)):
            burst, size = self._waiting.popleft()
            bursts.append(burst)
            count += len(burst)
            self._bytes -= size
        self._count -= count
        if self._has_room:
            self._room.set()
        return in_a_row(bursts)

    def _goes_along(self, before: Messages, count: int, most: int) -> bool:
        """Whether the next burst can be in one batch with those before it."""
        burst = self._waiting[0][0]
        first: Position = tuple(burst.position[0].tolist())
        follows = self._follows is None or self._follows(before.last, first)
        return follows and first > before.last and count + len(burst) <= most

    async def stop(self) -> None:
        """Ends the thread; to be called before the cursor is closed."""
        self._stopped = True
        self._room.set()
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while not self._stopped:
            try:
                runs = self._cursor.receive(LOOK_MS, BURST).runs()
            except Exception as error:  # what the source raises is what `next` must raise
                self._error = error
                self._tell(self._arrived.set)
                return
            if runs:
                self._room.clear()
                self._tell(self._take, [(run, sum(map(len, run.payload))) for run in runs])
                self._room.wait()
            else:
                self._empty += 1

    def _take(self, bursts: list[tuple[Messages, int]]) -> None:
        self._waiting += bursts
        self._count += sum(len(burst) for burst, _ in bursts)
        self._bytes += sum(size for _, size in bursts)
        self._arrived.set()
        if self._has_room:
            self._room.set()

    def _tell(self, call: Callable[..., None], *args: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *args)

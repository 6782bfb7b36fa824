"""Turns: partitions of one feeder share what they send to, and one with a backlog must not have it all."""

from __future__ import annotations

import asyncio

#: Large batches of all partitions of a feeder that are under way at a time: enough to keep several workers
#: busy, and so few that a wave of another partition finds no long queue before it.
UNDER_WAY = 8


class Turns:
    """What the partitions of a feeder take before they send a large batch: who asked first is first."""

    def __init__(self, most: int = UNDER_WAY) -> None:
        self._free = asyncio.Semaphore(most)

    def share(self) -> Share:
        """For one partition, while it runs."""
        return Share(self._free)


class Share:
    """The turns that one partition has."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self._held = 0

    async def take(self) -> None:
        """Waits for a turn."""
        await self._free.acquire()
        self._held += 1

    def give(self) -> None:
        """Gives one back: its batch has arrived."""
        self._held -= 1
        self._free.release()

    def close(self) -> None:
        """Gives all back."""
        while self._held:
            self.give()

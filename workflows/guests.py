"""Subscribers that came by a signal: only its sender says that they are there.

One that is not holds nobody up. It is put off, tried again less and less often, and gets a snapshot once it
is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from temporalio import workflow

from workflows.protocol import Subscriber

#: Seconds until one that was not there is tried again, at first and at last.
FIRST, LONGEST = 1.0, 60.0
#: So many wait at once, and of inputs that they are for.
MOST, MOST_INPUTS = 100, 10_000


class Guests:
    """A node's ``newcomers``, which are still to get a snapshot, and who of its subscribers is ``unmet``:
    nothing was delivered to them yet."""

    def __init__(self) -> None:
        self.newcomers: list[Subscriber] = []
        self.unmet: set[str] = set()
        self._absent: list[Subscriber] = []
        self._pause = FIRST
        self._waiting: asyncio.Task[None] | None = None

    def forget(self, workflow_id: str) -> None:
        """One that wants nothing any more."""
        self.newcomers = [s for s in self.newcomers if s["workflow"] != workflow_id]
        self._absent = [s for s in self._absent if s["workflow"] != workflow_id]
        self.unmet.discard(workflow_id)

    def put_off(self, those: Iterable[Subscriber]) -> list[Subscriber]:
        """Those that were not there are newcomers again, in a while; returns those for which there is no
        room: all are carried from run to run, and each costs a try."""
        left = []
        for one in those:
            inputs = sum(len(other["inputs"]) for other in self._absent) + len(one["inputs"])
            if len(self._absent) < MOST and inputs <= MOST_INPUTS:
                self._absent.append(one)
            else:
                self.unmet.discard(one["workflow"])
                left.append(one)
        if self._absent and self._waiting is None:
            self._waiting = asyncio.create_task(self._wait())
        return left

    async def _wait(self) -> None:
        await workflow.sleep(timedelta(seconds=self._pause))
        self._pause = min(2 * self._pause, LONGEST)
        self._waiting = None
        self.newcomers += self._absent
        self._absent = []

    def carried(self) -> dict[str, Any]:
        """What the next run must know."""
        unmet = {"unmet": sorted(self.unmet)} if self.unmet else {}
        return {"newcomers": [*self.newcomers, *self._absent], **unmet}

    def restore(self, rest: dict[str, Any]) -> None:
        """The inverse of `carried`."""
        self.newcomers = rest["newcomers"]
        self.unmet = set(rest.get("unmet", ()))

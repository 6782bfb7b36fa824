"""Marks for a topic that is silent: its time goes on with the clock, for those who go by it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from feeder.leaves import idle_of
from feeder.sources.base import Subscription
from feeder.topics.lead import Lead, TakenError
from feeder.topics.pace import Pace
from feeder.topics.roster import Roster
from feeder.topics.source import Input
from timeline.tables.events import Position
from timeline.tables.marks import mark_of, marked, place_of
from workflows.client import Client

#: A feeder that gets no messages takes the lead of a topic once no other has done anything for so many times
#: as long as a silence is.
PATIENT = 3


class Marking:
    """Says when the leaves of a partition get a mark, and which. Who sends asks `lead_on` first."""

    def __init__(
        self,
        timelines: Client,
        source: Input,
        roster: Roster,
        subscription: Subscription,
        lead: Lead,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pace = Pace()
        self._clock = clock
        self._since = clock()
        self._timelines = timelines
        self._source = source
        self._roster = roster
        self._subscription = subscription
        self._lead = lead
        #: Where a leaf stood when it was looked at last, and how often it has stood there since.
        self._seen: Position | None = None
        self._still = 0

    def rest(self) -> None:
        """A silence begins now."""
        self._since = self._clock()

    @property
    def due(self) -> float | None:
        """In how many seconds the silence has lasted so long that there is a mark; ``None``: never."""
        idle = idle_of(self._roster.specs) if self._source.heeds_stream else None
        return None if idle is None else max(0.0, self._since + idle / 1_000 - self._clock())

    async def lead_on(self) -> None:
        """Sees to it that nobody else feeds these leaves, if marks matter. To be called before any is sent.

        Raises:
            TakenError: this feeder leads from now on.
            OvertakenError: so does another.
            TimelineError: Temporal does not answer.
        """
        if not self._source.heeds_stream or self._lead.leader is not None:
            return
        if leaves := [leaf for shard in self._roster.shards for leaf in shard.known()]:
            await self._lead.take(leaves)
            raise TakenError

    async def next(self, sent: Position | None, newest: int) -> Position | None:
        """The mark behind ``sent``, up to where leaves were sent everything; ``None`` if there is none now.
        ``newest`` is the newest event, or mark (ms), that they know.

        Raises:
            TakenError, OvertakenError, TimelineError: as of `lead_on`.
        """
        if sent is None or newest < 0:
            return None
        if self._lead.leader is None:
            if not await self._deserted():
                return None
            await self.lead_on()
        end = await asyncio.to_thread(self._subscription.end)
        if end is not None and end > place_of(sent):
            return None  # more is on its way
        if not self.pace.known:
            found = None if end is None else await asyncio.to_thread(self._source.newest, end)
            if found is None:
                self.pace.heard(newest, 0)
            else:
                self.pace.found(*found)
        now = self.pace.time()
        return marked(sent, now) if now > max(newest, mark_of(sent) or -1) else None

    async def _deserted(self) -> bool:
        """Whether the feeder that leads has not done anything for a while."""
        leaf = min((leaf for stream in self._roster.streams for leaf in stream.leaves), default=None)
        if leaf is None:
            return False
        place = (await self._timelines.leaves.stands(leaf)).position
        self._still = self._still + 1 if place == self._seen else 0
        self._seen = place
        return self._still >= PATIENT

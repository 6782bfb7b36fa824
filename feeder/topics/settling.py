"""Settling: a batch has arrived, its dead letters are safe, and then it is acknowledged; in this order.

A timeline that is moved to another policy gets new leaves, which stand where its old ones stood: they need
what those have had since then. So nothing is acknowledged but what had arrived before a look at the registry
began that found nothing new: whatever leaves are made of the known ones later stand there, or further on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from feeder.sources.base import LetterBox, Message, Subscription
from feeder.topics.batches import MessageBatch
from feeder.topics.dead_letters import put_refused, put_rejected
from feeder.topics.roster import Roster
from feeder.topics.turns import Share
from timeline.tables.events import Position
from workflows.client import Client
from workflows.metrics import FeederMetrics


@dataclass(slots=True)
class Counts:
    """What a feeder has done on a partition since it began."""

    messages: int = 0
    broken: int = 0
    ahead: int = 0
    refused: int = 0
    acknowledged: Position | None = None


class Settling:
    """Takes batches that were sent, in order, and settles one after the other.

    What is settled is acknowledged by and by: after `note`, as a look at the registry begins, and `confirm`,
    if that found nothing new. Nothing is while a leaf is behind, or ``held()`` says so: what it has not had
    must stay where it is.
    """

    def __init__(
        self,
        timelines: Client,
        subscription: Subscription,
        box: LetterBox,
        roster: Roster,
        counts: Counts,
        held: Callable[[], bool],
        turns: Share,
        metrics: FeederMetrics,
    ) -> None:
        self._timelines = timelines
        self._subscription = subscription
        self._box = box
        self._roster = roster
        self._counts = counts
        self._held = held
        self._turns = turns
        self._metrics = metrics
        self._sent: deque[MessageBatch] = deque()
        self._more = asyncio.Event()
        self._settled: Message | None = None
        self._noted: Message | None = None
        self._confirmed: Message | None = None

    def add(self, batch: MessageBatch) -> None:
        """Takes a batch that was sent to all live leaves. Not before: one that is not on its way would look
        like one that has arrived."""
        self._sent.append(batch)
        self._more.set()

    async def run(self) -> None:
        """Settles what is added, until it is cancelled.

        Raises:
            TimelineError: Temporal does not answer, or the source does not.
        """
        while True:
            while not self._sent:
                self._more.clear()
                await self._more.wait()
            await self._settle(self._sent[0])
            self._sent.popleft()
            self.measure()

    def measure(self) -> None:
        """Says how much has not arrived yet, and how old it is."""
        messages = sum(len(batch.messages) for batch in self._sent)
        self._metrics.lag(messages, self._sent[0].published if self._sent else None)

    def note(self) -> None:
        """A look at the registry begins: it says whether all that is settled by now may be acknowledged."""
        self._noted = None if self._roster.any_behind else self._settled

    def confirm(self) -> None:
        """The look that began last has found nothing new."""
        self._confirmed = self._noted or self._confirmed

    async def acknowledge(self) -> None:
        """Acknowledges all that is confirmed, if that may be."""
        if self._confirmed is not None and not self._roster.any_behind and not self._held():
            confirmed, self._confirmed = self._confirmed, None
            if self._settled is confirmed:
                self._settled = None  # once is enough
            await asyncio.to_thread(self._subscription.acknowledge, confirmed)

    async def _settle(self, batch: MessageBatch) -> None:
        """Waits until a batch has arrived, and puts what is no event or was refused elsewhere."""
        await asyncio.gather(*(stream.arrived(batch.last) for stream in self._roster.streams))
        if batch.in_turn:
            self._turns.give()
        await self._roster.manned()
        first = batch.position[0].tolist()
        before: Position = (*first[:-1], first[-1] - 1)
        rejected = put_rejected(self._box, batch)
        self._counts.broken += rejected["broken"]
        self._counts.ahead += rejected["ahead"]
        letters = rejected
        for stream in self._roster.streams:
            leaf = min(stream.leaves, default=None)
            if leaf is not None and batch.doubtful:
                refused = [r async for r in self._timelines.leaves.refused_by(leaf, before, batch.last)]
                found = put_refused(self._box, batch, refused)
                self._counts.refused += found.total()
                letters += found
        if batch.rejected or batch.doubtful:
            await asyncio.to_thread(self._box.flush)
        for stream in self._roster.streams:
            stream.settled = batch.last
        self._settled = batch.messages[-1]
        self._metrics.letters(letters)
        self._metrics.settled(len(batch.messages))
        self._counts.acknowledged = batch.last

"""Catching up: a reader of its own for leaves that are behind, until they stand where the live ones do."""

from __future__ import annotations

import asyncio

from feeder import stream as _stream
from feeder.shards import of_shard
from feeder.sources.base import NONE, Messages
from feeder.stream import Stream
from feeder.topics.batches import read_batch
from feeder.topics.live import Live
from feeder.topics.receiving import Receiver
from feeder.topics.roster import Leaf, Roster, Shard
from feeder.topics.source import Input
from timeline.tables.events import Position, no_events
from timeline.tables.marks import place_of
from workflows.client import Client


class CatchingUp:
    """Brings some leaves of a shard up, which are behind; its own reader begins where the last of them is."""

    def __init__(
        self,
        timelines: Client,
        source: Input,
        roster: Roster,
        shard: Shard,
        leaves: dict[str, Leaf],
        live: Live,
    ) -> None:
        self._source = source
        self._roster = roster
        self._shard = shard
        self._live = live
        columns = {name: leaf.columns for name, leaf in leaves.items()}
        self._stream = Stream(timelines, columns, columns)
        self._stream.leader = shard.stream.leader
        self._stream.marks = shard.marks
        stood = [leaf.position for leaf in leaves.values()]
        known = [position for position in stood if position is not None]
        self._low: Position | None = min(known) if len(known) == len(stood) else None
        #: Received, and beyond what the live ones were sent.
        self._ahead: Messages = NONE

    async def locate(self) -> None:
        """Asks the leaves where they stand; comes first.

        Raises:
            LimitError: a node has stopped taking events.
        """
        await self._stream.locate()

    async def run(self) -> None:
        """Reads and sends until the leaves are live.

        Raises:
            TimelineError: Temporal does not answer, the source does not, or a node cannot take any more.
        """
        cursor = await asyncio.to_thread(self._source.read, self._low)
        self._stream.low = self._low if self._low is not None else self._source.begin
        receiver = Receiver(cursor)
        try:
            await self._read_up_to_live(receiver)
            async with self._live.sending:  # nobody else sends anything while they meet
                await self._read_up_to_live(receiver)
                await self._stream.drain()
                self._shard.meet(self._stream.born, self._roster.wanted(self._shard))
                self._roster.count_results()
        finally:
            await receiver.stop()
            await asyncio.to_thread(cursor.close)

    async def _read_up_to_live(self, receiver: Receiver) -> None:
        """Sends what lies between these leaves and what the live ones were sent last."""
        catching = self._stream
        columns = frozenset().union(*catching.leaves.values())
        reader = self._source.decoder(columns)
        shard, shards = self._shard.number - self._source.numbers.start, len(self._source.numbers)
        while (target := self._live.sent) is not None and (catching.low is None or catching.low < target):
            self._ahead = self._ahead or await receiver.next_if_any(_stream.BATCH_EVENTS)
            upto, rest = self._ahead.split(self._ahead.up_to(target))
            if upto:
                batch, events = await read_batch(reader, upto)
                last = batch.last
                specs, number = self._roster.specs, self._source.number
                self._live.telling.look(specs, columns, events, upto.payload, number)
                events = of_shard(events, shard, shards)
            else:
                # What else there was is no longer in the topic: an empty batch brings them to the others.
                events, last = no_events(columns, len(place_of(target))), target
            await catching.send(events, last)
            catching.low = last if catching.low is None else max(last, catching.low)
            self._ahead = rest

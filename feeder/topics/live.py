"""Feeding live leaves: what the subscription brings, as soon as few enough batches are on their way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from feeder import stream as _stream
from feeder.shards import by_shard
from feeder.sources.base import Message
from feeder.topics.batches import read_batch
from feeder.topics.going_back import SILENCE, GoingBack
from feeder.topics.marking import Marking
from feeder.topics.receiving import Receiver
from feeder.topics.roster import Roster
from feeder.topics.settling import Counts, Settling
from feeder.topics.source import Input
from feeder.topics.telling import Telling
from feeder.topics.turns import Share
from timeline.tables.events import Events, Position, no_events
from timeline.tables.marks import place_of
from workflows.client import Client
from workflows.metrics import FeederMetrics

#: So many waiting messages are worth a batch of their own while others are on their way.
MANY = 4_000


class MovedError(Exception):
    """Another feeder has been at it: the leaves are not where they were left."""


class KeyCheck:
    """Says so, once, if messages have no key where there are several partitions."""

    def __init__(self, source: Input, partitions: int, say: Callable[[str], None]) -> None:
        self._source = source
        self._partitions = partitions
        self._say = say
        self._said = partitions == 1

    def look(self, message: Message) -> None:
        if not self._said and not message.key:
            self._said = True
            source = self._source
            self._say(
                f"{source.name}: messages without a message key may be in any of {self._partitions} "
                f"partitions; producers must send with the column {source.source.key!r} as the key, or all "
                "events of a key are not in one stream"
            )


class Live:
    """Sends what is received to the live leaves of a roster. ``sent`` is up to where they were sent
    everything; who holds ``sending`` is the only one who sends. Where the topic is silent they get marks."""

    def __init__(
        self,
        timelines: Client,
        source: Input,
        roster: Roster,
        settling: Settling,
        counts: Counts,
        keys: KeyCheck,
        sent: Position | None,
        turns: Share,
        telling: Telling,
        marking: Marking,
        going_back: GoingBack,
        metrics: FeederMetrics,
    ) -> None:
        self.sent = sent
        self._marking = marking
        self._going_back = going_back
        self._metrics = metrics
        self.telling = telling
        self.sending = asyncio.Lock()
        self._timelines = timelines
        self._source = source
        self._roster = roster
        self._settling = settling
        self._counts = counts
        self._keys = keys
        self._turns = turns
        #: The newest event (ms) that the live leaves have heard of, or were sent.
        self._newest = -1

    async def run(self, receiver: Receiver) -> None:
        """Takes what waits, and sends it, until it is cancelled.

        Raises:
            MovedError: somebody else fed the leaves, or they are others.
            TakenError, OvertakenError: this feeder, or another, leads from now on.
            SoughtError: the subscription was put back to where the leaves are.
            TimelineError: Temporal does not answer, the source does not, or a node cannot take any more.
        """
        some = [min(stream.leaves) for stream in self._roster.streams if stream.leaves]
        self._newest = max(
            [(await self._timelines.nodes.status(leaf))["newest"] for leaf in some], default=-1
        )
        columns = self._roster.columns
        reader = self._source.decoder(columns)
        received: Position | None = None
        while True:
            if not await self._some(receiver, received is None):
                if received is None:
                    await self._going_back.nothing_came()
                if self._marking.due == 0:
                    await self._mark()
                continue
            await self._roster.manned()
            await self._let_gather(receiver)
            await self._marking.lead_on()
            if in_turn := receiver.waiting >= MANY:
                await self._turns.take()
            messages = await receiver.next(_stream.BATCH_EVENTS)
            if received is None:
                await self._going_back.received(messages.each[0].position)
            if not self._source.partition.follows(received, messages.each[0].position):
                await self._look()
            received = messages.last
            batch, events = await read_batch(reader, messages)
            async with self.sending:
                if columns != (wanted := self._roster.columns):
                    # Leaves have come that read others, or gone, since this batch was read.
                    columns, reader = wanted, self._source.decoder(wanted)
                    batch, events = await read_batch(reader, messages)
                batch = replace(batch, doubtful=self._some_may_be_late(events), in_turn=in_turn)
                await self._send(events, batch.last)
                self.sent = batch.last if self.sent is None else max(self.sent, batch.last)
                self._settling.add(batch)
            if batch.newest is not None:
                self._marking.pace.heard(*batch.newest)
            self._marking.rest()
            self._counts.messages += len(messages)
            self._metrics.sent(len(messages), self._newest)
            self._keys.look(messages.each[0])
            self.telling.look(self._roster.specs, columns, events, messages.payload, self._source.number)

    async def _some(self, receiver: Receiver, is_first: bool) -> bool:
        """Waits for messages; false if for so long there are none that something is to be done about it."""
        due = self._marking.due
        if is_first:
            due = SILENCE if due is None else min(due, SILENCE)
        try:
            async with asyncio.timeout(due):
                await receiver.any()
        except TimeoutError:
            return False
        return True

    async def _mark(self) -> None:
        """Sends a mark, if it is time for one, and waits until it has arrived."""
        self._marking.rest()
        await self._roster.manned()
        async with self.sending:
            mark = await self._marking.next(self.sent, self._newest)
            if mark is None:
                return
            await self._send(no_events(self._roster.columns, len(place_of(mark))), mark)
            self.sent, self._newest = mark, mark[-1]
            self._metrics.time(mark[-1])
            for shard in self._roster.shards:
                shard.note(mark)
        # Later ones would look as if this had taken as long as they came after it.
        await asyncio.gather(*(stream.drain() for stream in self._roster.streams))

    async def _let_gather(self, receiver: Receiver) -> None:
        """Waits until it is time for a batch: what comes meanwhile goes along.

        While a few are on their way, others wait for them, or until they are many. A batch that would be full
        waits for no interval: later it would cost as much.
        """
        streams = self._roster.streams
        if receiver.waiting < MANY:
            await asyncio.gather(*(stream.drain() for stream in streams))
        await asyncio.gather(*(stream.room() for stream in streams))
        if pause := max(stream.pause() for stream in streams):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await receiver.many(_stream.BATCH_EVENTS)

    async def _look(self) -> None:
        """Asks whether the live leaves stand where this feeder left them."""
        async with self.sending:
            for stream in self._roster.streams:
                born = stream.born
                stands = await asyncio.gather(*map(self._timelines.leaves.stands, born))
                for leaf, stand in zip(born, stands, strict=True):
                    place = stand.position
                    ahead = place is not None and (self.sent is None or place > self.sent)
                    if ahead or stand.born != born[leaf]:
                        raise MovedError

    def _some_may_be_late(self, events: Events) -> bool:
        """Whether a leaf may refuse an event: not if all are within the lateness of the newest one."""
        if not len(events):
            return False
        self._newest = max(self._newest, int(events.tick.max()))
        return int(events.tick.min()) < self._newest - self._source.limits.allowed_lateness

    async def _send(self, events: Events, last: Position) -> None:
        streams: Sequence[_stream.Stream] = self._roster.streams
        parts = by_shard(events, len(streams))
        await asyncio.gather(
            *(s.send(part, last) for s, part in zip(streams, parts, strict=True) if s.leaves)
        )

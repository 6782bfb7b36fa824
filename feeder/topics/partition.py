"""One partition of a topic, for all timelines on one source: read, send on, settle, acknowledge.

What keeps it exact: a leaf gets, in order, every message behind the position that it names itself.
Those that stand where the furthest does are fed from the subscription (``live``); one that is behind (it
is new, or a feeder died between two leaves) is brought up by a reader of its own, and joins the others
at the end of a batch. Whenever messages do not directly follow those before (another feeder may have been
at it in between), the leaves are asked anew. Nothing is acknowledged before every leaf's results have it
and what was refused lies in the dead-letter topic; nothing at all while a leaf is being brought up, or
a timeline is paused: what it has not had must stay in the topic.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pulsar

from feeder.leaves import leaves_of, results_of
from feeder.stream import BATCH_EVENTS, ReplacedError, Stream
from feeder.topics.batches import MessageBatch, columns_of, follows, no_events, read_batch
from feeder.topics.dead_letters import DeadLetters
from feeder.topics.positions import position_of
from feeder.topics.receiving import Receiver
from timeline.reading.messages import MessageReader
from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position
from timeline.values.ticks import parse_time
from workflows.client import Client
from workflows.names import shards_of

#: So many waiting messages are worth a batch of their own while others are on their way.
MANY = 4_000
#: So many messages a paused timeline that shares leaves with others is left behind before it is brought up
#: to them again: its nodes hold what those send, and may not hold without bound.
HOLD = 50_000
#: Messages that the client fetches ahead.
QUEUE = 5_000


class _MovedError(Exception):
    """Another feeder has been at it: the leaves are not where they were left."""


@dataclass(slots=True)
class Counts:
    """What a feeder has done on a partition since it began."""

    messages: int = 0
    broken: int = 0
    refused: int = 0
    acknowledged: Position | None = None


@dataclass(slots=True)
class Partition:
    """A partition and what it is read for; ``begin`` is the position behind which the source begins."""

    client: pulsar.Client
    timelines: Client
    topic: str
    number: int
    subscription: str
    begin: Position | None
    specs: list[Spec]
    say: Callable[[str], None] = print
    number_of: int = 1
    counts: Counts = field(default_factory=Counts)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _streams: list[Stream] = field(default_factory=list)
    _pending: deque[MessageBatch] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _dispatching: asyncio.Lock = field(default_factory=asyncio.Lock)
    _sent: Position | None = None
    _behind: set[str] = field(default_factory=set)
    _settled: pulsar.MessageId | None = None
    _keyless: bool = False
    #: Whether anything is paused, and so nothing acknowledged.
    _paused: bool = False
    _holding: bool = False
    #: Paused timelines that share leaves with others, and how many messages there were when all stood even.
    _shared: list[Spec] = field(default_factory=list)
    _even: int | None = None
    #: The newest event (ms) that the live leaves have heard of, or were sent.
    _newest: int = -1

    @property
    def source(self) -> Any:
        return self.specs[0].source

    @property
    def shards(self) -> int:
        return self.specs[0].limits.shards

    def update(self, fed: list[Spec], shared: Sequence[Spec] = (), parked: Sequence[Spec] = ()) -> None:
        """The timelines that are on the source now: that run, that are paused but share leaves with those,
        and that are just paused."""
        paused = bool(shared or parked)
        self._holding = self._holding or paused
        specs = [*fed, *self._to_bring_up(list(shared))]
        if specs != self.specs or paused != self._paused:
            self.specs, self._paused = specs, paused
            self._changed.set()

    def _to_bring_up(self, shared: list[Spec]) -> list[Spec]:
        """The paused timelines that are fed for now, because they are behind by more than may be held."""
        behind = self._even is not None and self.counts.messages - self._even >= HOLD
        if shared != self._shared or behind:
            self._shared, self._even = shared, None
        if self._even is None and self._streams:
            streams = zip(self._numbers(), self._streams, strict=True)
            if all(leaves_of(shared, number).keys() <= stream.leaves.keys() for number, stream in streams):
                self._even = self.counts.messages
        return [] if self._even is not None else shared

    async def run(self) -> None:
        """Feeds until it is cancelled, or something fails; may be called again then.

        Raises:
            TimelineError: Temporal does not answer, or a node cannot take any more.
            pulsar.PulsarException: Pulsar does not answer.
        """
        while True:
            try:
                await self._run()
            except (_MovedError, ReplacedError):
                continue

    async def _run(self) -> None:
        self._pending.clear()
        self._settled = self._sent = self._even = None
        self._behind = set()
        self._streams = []
        self._holding = self._paused
        consumer = await asyncio.to_thread(self._subscribe)
        letters = await asyncio.to_thread(DeadLetters.open, self.client, self.specs[0], self.topic)
        receiver = None
        try:
            laggards = await self._locate(consumer)
            receiver = Receiver(lambda ms: consumer.receive(timeout_millis=ms))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed(receiver))
                group.create_task(self._settle(consumer, letters))
                group.create_task(self._follow(group, consumer, laggards))
        except BaseExceptionGroup as failures:
            # What one task ran into is what counts; the others were called off.
            raise failures.exceptions[0] from None
        finally:
            if receiver is not None:
                await receiver.stop()
            await asyncio.to_thread(letters.close)
            await asyncio.to_thread(consumer.close)

    async def unsubscribe(self) -> None:
        """Gives the subscription up: no timeline is on the source any more."""
        consumer = await asyncio.to_thread(self._subscribe)
        with contextlib.suppress(pulsar.PulsarException):
            await asyncio.to_thread(consumer.unsubscribe)

    # --- where things stand ----------------------------------------------------------------------

    def _subscribe(self) -> Any:
        return self.client.subscribe(
            self.topic,
            self.subscription,
            consumer_type=pulsar.ConsumerType.Failover,
            initial_position=pulsar.InitialPosition.Earliest,
            receiver_queue_size=QUEUE,
            batch_index_ack_enabled=True,
        )

    async def _locate(self, consumer: Any) -> dict[str, Position | None]:
        """Asks the leaves where they stand; those that are at the furthest are live, the others returned."""
        every = {
            leaf: columns
            for stream in self._numbers()
            for leaf, columns in leaves_of(self.specs, stream).items()
        }
        stands = dict(
            zip(every, await asyncio.gather(*map(self.timelines.leaves.stands, every)), strict=True)
        )
        furthest = max((position for position, _ in stands.values() if position is not None), default=None)
        if furthest is None:
            # Nothing was accepted of this source yet, whatever the subscription was at.
            await asyncio.to_thread(self._seek, consumer)
        low = self.begin if furthest is None else furthest
        streams: list[Stream] = []
        laggards: dict[str, Position | None] = {}
        for number in self._numbers():
            stream = Stream(self.timelines, {}, ())
            stream.low = low
            for leaf, columns in leaves_of(self.specs, number).items():
                position, born = stands[leaf]
                if position == furthest:
                    stream.leaves[leaf], stream.born[leaf] = columns, born
                else:
                    laggards[leaf] = position
            streams.append(stream)
        self._streams = streams
        self._behind = set(laggards)
        self._sent = furthest
        live = [min(stream.leaves) for stream in self._streams if stream.leaves]
        self._newest = max([(await self.timelines.nodes.status(leaf))["newest"] for leaf in live], default=-1)
        self._count_results()
        return laggards

    def _numbers(self) -> range:
        return range(self.number * self.shards, (self.number + 1) * self.shards)

    def _count_results(self) -> None:
        """A batch has arrived when all live leaves have it, and the results that hang on nothing else.

        The result of a timeline of which a leaf is behind would not get there: its live leaves count then.
        """
        for number, stream in zip(self._numbers(), self._streams, strict=True):
            whole = [s for s in self.specs if leaves_of([s], number).keys() <= stream.leaves.keys()]
            alone = stream.leaves.keys() - leaves_of(whole, number).keys()
            stream.results = results_of(whole, number) | alone

    def _seek(self, handle: Any) -> None:
        """Puts a consumer or a reader where the source begins."""
        if self.begin is not None:
            handle.seek(pulsar.MessageId(-1, *self.begin[:2]))
        elif self.source.start in ("earliest", "latest"):
            handle.seek(pulsar.MessageId.earliest)
        else:
            handle.seek(parse_time(self.source.start))

    # --- live ------------------------------------------------------------------------------------

    def _reader(self, columns: Iterable[str]) -> MessageReader:
        source = self.source
        return MessageReader(
            self.topic, key=source.key, time=source.time, columns=sorted(columns), unit=source.numeric_unit
        )

    async def _feed(self, receiver: Receiver) -> None:
        """Takes what waits, and sends it to the live leaves."""
        columns = columns_of(self._streams)
        reader = self._reader(columns)
        received: Position | None = None
        while True:
            await receiver.any()
            if receiver.waiting < MANY:
                # While a few are on their way, others come that then go together: a wave through the
                # nodes costs the same for one as for all of them.
                await asyncio.gather(*(stream.drain() for stream in self._streams))
            messages = await receiver.next(BATCH_EVENTS)
            if not follows(received, position_of(messages[0])):
                await self._look()
            received = position_of(messages[-1])
            batch, events = await read_batch(reader, messages)
            async with self._dispatching:
                if columns != (wanted := columns_of(self._streams)):
                    # Leaves have come that read others, or gone, since this batch was read.
                    columns, reader = wanted, self._reader(wanted)
                    batch, events = await read_batch(reader, messages)
                batch = replace(batch, doubtful=self._some_may_be_late(events))
                self._pending.append(batch)
                await self._send(self._streams, events, batch.last)
                self._sent = batch.last if self._sent is None else max(self._sent, batch.last)
            self.counts.messages += len(messages)
            self._look_at_keys(messages[0])
            self._arrived.set()

    def _some_may_be_late(self, events: Events) -> bool:
        """Whether a leaf may refuse an event: not if all are within the lateness of the newest one."""
        if not len(events):
            return False
        limits = self.specs[0].limits
        bounds = [limits.allowed_lateness, *([] if limits.key_ttl is None else [limits.key_ttl])]
        self._newest = max(self._newest, int(events.tick.max()))
        return int(events.tick.min()) < self._newest - min(bounds)

    def _look_at_keys(self, message: Any) -> None:
        """Says so if messages have no key where there are several partitions."""
        if self.number_of > 1 and not message.partition_key() and not self._keyless:
            self._keyless = True
            self.say(
                f"{self.topic}: messages without a message key may be in any of {self.number_of} partitions; "
                f"producers must send with the column {self.source.key!r} as the key, or all events of a key "
                "are not in one stream"
            )

    async def _look(self) -> None:
        """Asks whether the live leaves stand where this feeder left them.

        Raises:
            _MovedError: somebody else fed them, or they are others.
        """
        async with self._dispatching:
            for stream in self._streams:
                stands = await asyncio.gather(*map(self.timelines.leaves.stands, stream.leaves))
                for leaf, (position, born) in zip(stream.leaves, stands, strict=True):
                    ahead = position is not None and (self._sent is None or position > self._sent)
                    if ahead or born != stream.born[leaf]:
                        raise _MovedError

    async def _send(self, streams: Sequence[Stream], events: Events, last: Position) -> None:
        parts = [events]
        if len(streams) > 1:
            shard = shards_of(events.keys, len(streams))[events.key]
            parts = [events.take(np.flatnonzero(shard == number)) for number in range(len(streams))]
        await asyncio.gather(
            *(s.send(part, last) for s, part in zip(streams, parts, strict=True) if s.leaves)
        )

    async def _settle(self, consumer: Any, letters: DeadLetters) -> None:
        """Waits until batches have arrived, puts what is no event or was refused elsewhere, acknowledges."""
        while True:
            while not self._pending:
                self._arrived.clear()
                await self._arrived.wait()
            batch = self._pending[0]
            await asyncio.gather(*(stream.arrived(batch.last) for stream in self._streams))
            first = batch.position[0].tolist()
            before: Position = (*first[:2], first[2] - 1)
            self.counts.broken += letters.broken(batch.messages, batch.rejected)
            for number, stream in zip(self._numbers(), self._streams, strict=True):
                leaf = min(stream.leaves, default=None)
                if leaf is not None and batch.doubtful:
                    refused = [r async for r in self.timelines.leaves.refused_by(leaf, before, batch.last)]
                    self.counts.refused += letters.refused(batch.messages, batch.position, refused, number)
            if batch.rejected or batch.doubtful:
                await letters.flush()
            self._pending.popleft()
            for stream in self._streams:
                stream.settled = batch.last
            self._settled = batch.messages[-1].message_id()
            self.counts.acknowledged = batch.last
            await self._acknowledge(consumer)

    async def _acknowledge(self, consumer: Any) -> None:
        if self._settled is not None and not self._behind and not self._holding:
            await asyncio.to_thread(consumer.acknowledge_cumulative, self._settled)

    # --- who is behind ---------------------------------------------------------------------------

    async def _follow(
        self, group: asyncio.TaskGroup, consumer: Any, laggards: dict[str, Position | None]
    ) -> None:
        """Brings leaves up that are behind; takes note of timelines that come and go."""
        for number in self._numbers():
            here = {leaf: laggards[leaf] for leaf in leaves_of(self.specs, number) if leaf in laggards}
            if here:
                group.create_task(self._bring_up(number, here, consumer))
        while True:
            await self._changed.wait()
            self._changed.clear()
            for number, stream in zip(self._numbers(), self._streams, strict=True):
                wanted = leaves_of(self.specs, number)
                for leaf in stream.leaves.keys() - wanted.keys():
                    del stream.leaves[leaf]
                new = wanted.keys() - stream.leaves.keys() - self._behind
                if new:
                    stands = await asyncio.gather(*map(self.timelines.leaves.stands, new))
                    self._behind |= new
                    here = {leaf: position for leaf, (position, _) in zip(new, stands, strict=True)}
                    group.create_task(self._bring_up(number, here, consumer))
            self._count_results()
            # Not before those that go on are known to be behind.
            if self._holding and not self._paused:
                self._holding = False
                await self._acknowledge(consumer)

    async def _bring_up(self, number: int, laggards: dict[str, Position | None], consumer: Any) -> None:
        """Reads the topic anew for leaves that are behind, until they stand where the live ones do."""
        columns = {leaf: c for leaf, c in leaves_of(self.specs, number).items() if leaf in laggards}
        catching = Stream(self.timelines, columns, columns)
        await catching.locate()
        live = self._streams[number - self._numbers().start]
        low = None if None in laggards.values() else min(p for p in laggards.values() if p is not None)
        self.say(f"{self.topic}: bringing {len(laggards)} new nodes up to the others")
        handle = await asyncio.to_thread(self._open_reader, low)
        catching.low = low if low is not None else self.begin
        receiver = Receiver(lambda ms: handle.read_next(timeout_millis=ms))
        try:
            messages: list[Any] = []
            more = handle.has_message_available
            await self._read_up_to_live(number, catching, receiver, more, messages)
            async with self._dispatching:  # nobody else sends anything while they meet
                await self._read_up_to_live(number, catching, receiver, more, messages)
                await catching.drain()
                wanted = leaves_of(self.specs, number)
                live.leaves |= {leaf: columns for leaf, columns in catching.leaves.items() if leaf in wanted}
                live.born |= catching.born
                self._behind -= laggards.keys()
                self._count_results()
        finally:
            await receiver.stop()
            await asyncio.to_thread(handle.close)
        self.say(f"{self.topic}: {len(laggards)} nodes are up")
        await self._acknowledge(consumer)

    async def _read_up_to_live(
        self,
        number: int,
        catching: Stream,
        receiver: Receiver,
        more: Callable[[], bool],
        messages: list[Any],
    ) -> None:
        """Sends what lies between a lagging stream and what the live ones were sent last.

        ``messages`` are those that were received beyond that.
        """
        shard, reader = number - self._numbers().start, self._reader(columns_of([catching]))
        while (target := self._sent) is not None and (catching.low is None or catching.low < target):
            messages += await receiver.next_if_any(BATCH_EVENTS, more) if not messages else []
            upto = [m for m in messages if position_of(m) <= target]
            if upto:
                batch, events = await read_batch(reader, upto)
                last = batch.last
                if self.shards > 1:
                    mine = shards_of(events.keys, self.shards)[events.key] == shard
                    events = events.take(np.flatnonzero(mine))
            else:
                # What else there was is no longer in the topic: an empty batch brings them to the others.
                events, last = no_events(reader), target
            await catching.send(events, last)
            catching.low = last if catching.low is None else max(last, catching.low)
            del messages[: len(upto)]

    def _open_reader(self, low: Position | None) -> Any:
        place = pulsar.MessageId.earliest if low is None else pulsar.MessageId(-1, low[0], low[1])
        reader = self.client.create_reader(
            self.topic, place, receiver_queue_size=QUEUE, start_message_id_inclusive=True
        )
        if low is None:
            self._seek(reader)
        return reader

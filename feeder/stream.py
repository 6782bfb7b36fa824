"""One stream of a source: which leaves get a batch, how many are under way, and when all have arrived.

A wave through the nodes costs the same whatever it carries. So a batch is all that waits when there is room
for one: little when little comes, up to `BATCH_EVENTS` under a backlog.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from timeline.errors import LimitError, ServiceError
from timeline.tables.events import Events, Position
from timeline.tables.wire import differences
from timeline.values.vocabulary import I64
from workflows.client import Client
from workflows.client.leaves import Standing
from workflows.names import is_sink
from workflows.protocol.node import About, IsMissing, Leader

#: Events a batch and batches in flight per stream, at most.
BATCH_EVENTS = 50_000
IN_FLIGHT = 3
#: A batch is divided until it has fewer bytes than this, and another is only sent while all that are in
#: flight have fewer than that: a node that continues as new carries the batches that wait in its inbox,
#: beside a state of up to a MiB, in one payload of less than 2 MiB.
BATCH_BYTES = 384 << 10
INBOX_BYTES = 960 << 10
#: What is larger takes longer by more than its hops.
LARGE_BYTES = 16 << 10
#: Without any progress for so long (s), somebody looks for the reason.
PATIENCE = 5.0
#: A sink that could not write so often holds up what it is fed by.
ATTEMPTS = 6
#: So many times streams are found where they were before others give up waiting for them.
LOOKS = 3
#: How long a batch may take to arrive (s), before one has.
FIRST_GUESS = 0.05


class ReplacedError(ServiceError):
    """A node is not the one that it was: its timeline was changed, or removed, meanwhile."""


class MissedError(ServiceError):
    """A node has not taken what it was sent, and nothing more is on its way to it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch in flight: where it ends, about how many bytes it has, and when (s) it was sent."""

    last: Position
    size: int
    at: float

    @property
    def large(self) -> bool:
        return self.size > LARGE_BYTES


class Stream:
    """Leaves that get the same batches, and the nodes whose positions say that a batch has arrived.

    ``furthest`` is where the furthest leaf stood when they were asked, ``low`` the one that is furthest
    behind, and ``had`` up to where all have had or were sent everything. ``settled`` is up to where refused
    events are kept elsewhere, if anybody does so. ``interval`` is how long (ms) the next batch that is not
    full waits after one, by ``clock`` (s). A batch ends at each of the ``marks``; ``leader`` gives the lead
    that batches are sent with, if there is one.
    """

    def __init__(
        self,
        timelines: Client,
        leaves: Mapping[str, frozenset[str]],
        results: Iterable[str],
        interval: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timelines = timelines
        self.leaves = dict(leaves)
        self.results = set(results)
        self.interval = interval
        self.born: dict[str, str] = {}
        self.low: Position | None = None
        self.had: Position | None = None
        self.furthest: Position | None = None
        self.settled: Position | None = None
        self.marks: Sequence[Position] = ()
        self.leader: Callable[[], Leader | None] = lambda: None
        self.in_flight: deque[Sent] = deque()
        self._clock = clock
        self._asking = asyncio.Lock()
        #: How long a batch takes to arrive (s), a small one and a large one: to ask before it can have
        #: arrived would only delay it.
        self._took = {False: FIRST_GUESS, True: FIRST_GUESS}
        self._moved_at = 0.0
        self._sent_at: float | None = None
        #: Up to where the streams that a sink merges were when it was looked for what is wrong, and how
        #: often they have stood there.
        self._merged: dict[str, tuple[int, int]] = {}
        #: Where leaves stood that lacked what they were sent, with nothing waiting.
        self._short: dict[str, Position | None] = {}

    async def locate(self) -> None:
        """Asks the leaves where they stand.

        Raises:
            LimitError: a node has stopped taking events; whatever is sent would wait beside what does.
        """
        await self._complain()
        stands = await asyncio.gather(*map(self.timelines.leaves.stands, self.leaves))
        self.born = {leaf: stand.born for leaf, stand in zip(self.leaves, stands, strict=True)}
        known = [stand.position for stand in stands if stand.position is not None]
        self.furthest = max(known, default=None)
        self.low = self.had = min(known) if len(known) == len(stands) else None

    async def counts(self) -> tuple[int, int]:
        """Events accepted and refused so far, as any one leaf counts them."""
        status = await self.timelines.nodes.status(next(iter(self.leaves)))
        return status["accepted"], status["refused"]

    async def send(self, events: Events, last: Position) -> None:
        """Brings a batch to all leaves, as soon as few enough are on their way to the results."""
        if self.low is not None:
            if last <= self.low:
                return
            events = events.after(self.low)
        for part, end, size in self._pieces(events.compact(), last):
            await self._until(partial(self._has_room, size))
            about = {leaf: self._about(leaf) for leaf in self.leaves}
            await self.timelines.leaves.signal_events(self.leaves, part, end, about)
            self._sent_at = self._clock()
            self.in_flight.append(Sent(end, size, self._sent_at))
            self.low = self.had = end

    async def room(self) -> None:
        """Waits until few enough are on their way for a full batch: until then more can come together."""
        await self._until(lambda: self._has_room(BATCH_BYTES))

    def pause(self) -> float:
        """How long (s) a batch that is not full has to wait yet, because of the interval."""
        if self._sent_at is None:
            return 0.0
        return max(0.0, self._sent_at + self.interval / 1_000 - self._clock())

    def _has_room(self, size: int) -> bool:
        sizes = [sent.size for sent in self.in_flight]
        return not sizes or (len(sizes) < IN_FLIGHT and sum(sizes) + size <= INBOX_BYTES)

    async def drain(self) -> None:
        """Waits until the results stand where the last batch ended."""
        await self._until(lambda: not self.in_flight)

    async def arrived(self, position: Position) -> None:
        """Waits until the results have all batches that were sent and begin at or below a position."""
        await self._until(lambda: not self.in_flight or self.in_flight[0].last > position)

    def _about(self, leaf: str) -> About:
        about = About(born=self.born.get(leaf))
        if self.had is not None:
            about["after"] = list(self.had)
        if self.settled is not None:
            about["settled"] = list(self.settled)
        if (leader := self.leader()) is not None:
            about["leader"] = leader
        return about

    def _pieces(self, events: Events, last: Position) -> Iterator[tuple[Events, Position, int]]:
        """Batches that are small enough, and that end at marks and where the furthest leaf stands; with their
        sizes.

        Leaves that a feeder left uneven meet at that position, so that their parents can go on.
        """
        low = self.low
        ends = {*self.marks, *([] if self.furthest is None else [self.furthest])}
        for end in sorted(end for end in ends if end < last and (low is None or end > low)):
            rest = events.after(end)
            yield from self._divide(events.take(slice(0, len(events) - len(rest))).compact(), end)
            events = rest.compact()
        yield from self._divide(events, last)

    def _divide(self, events: Events, last: Position) -> list[tuple[Events, Position, int]]:
        """Batches that are small enough, with their sizes."""
        # Of what is divided for its number alone nobody needs the size.
        size = size_of(events) if len(events) <= BATCH_EVENTS else BATCH_BYTES + 1
        if len(events) > 1 and size > BATCH_BYTES:
            half = len(events) // 2
            middle: Position = tuple(events.position[half - 1].tolist())
            return [
                *self._divide(events.take(slice(0, half)).compact(), middle),
                *self._divide(events.take(slice(half, None)).compact(), last),
            ]
        return [(events, last, size)]

    async def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            # One asks at a time, and its answer serves all that wait.
            async with self._asking:
                if not done():
                    await self._ask()

    async def _ask(self) -> None:
        """Asks once how far the results are, when it is likely that the next batch has arrived."""
        now = self._clock()
        self._moved_at = max(self._moved_at, self.in_flight[0].at)
        took = self._took[self.in_flight[0].large]
        due = self.in_flight[0].at + 0.7 * took
        early = now < due
        # There is nothing to await: a query is the only way to learn where a node stands. One that is late
        # may be so by much: it is asked for the less often the longer it takes.
        pause = due - now if early else min(max(0.15 * (now - self.in_flight[0].at), 0.005), 0.1)
        await asyncio.sleep(pause)
        if not self.in_flight:
            return
        # The results cannot follow before the last leaf is where the furthest stands: up to there
        # it is the leaves that count.
        furthest = self.furthest
        behind = furthest is not None and self.in_flight[0].last < furthest
        asked = self.leaves if behind else self.results
        reached = await asyncio.gather(*map(self.timelines.nodes.position, asked))
        before = len(self.in_flight)
        now = self._clock()
        while self.in_flight and all(r is not None and r >= self.in_flight[0].last for r in reached):
            if behind and furthest is not None and self.in_flight[0].last >= furthest:
                break
            sent = self.in_flight.popleft()
            took, least = self._took[sent.large], min(now - sent.at, PATIENCE)
            # Had it arrived when it was asked for first, it may have been there long before: after one that
            # was slow all would be thought to be, as nobody asks for them earlier.
            self._took[sent.large] = min(took, least) if early else took + 0.3 * (least - took)
        if len(self.in_flight) < before:
            self._moved_at = now
        elif now - self._moved_at > PATIENCE:
            self._moved_at = now
            await self._complain(waiting=True)
            await self._look_ahead()

    async def _look_ahead(self) -> None:
        """Asks anew how far the furthest leaf is: another feeder may have left it there since.

        Raises:
            ReplacedError: a leaf is another than the one that was located, or listens to another feeder, or
                a result is gone.
            MissedError: a leaf has set a batch aside.
        """
        stands = await asyncio.gather(*map(self.timelines.leaves.stands, self.leaves))
        ours = self.leader()
        for leaf, stand in zip(self.leaves, stands, strict=True):
            if ours is not None and stand.leader is not None and stand.leader > ours:
                raise ReplacedError(f"{leaf} takes batches of another feeder now")
            if self.born.get(leaf, stand.born) != stand.born:
                raise ReplacedError(
                    f"{leaf} is not the node that it was: its timeline was removed and registered anew "
                    "while it was fed; feed it again"
                )
            if self._has_missed(leaf, stand):
                raise MissedError(
                    f"{leaf} stands at {stand.position} and was sent events up to {self.had}: a batch is "
                    f"lost, or was set aside; {await self._what_is_odd(leaf)}the next try sends it again"
                )
        self.furthest = max((stand.position for stand in stands if stand.position is not None), default=None)
        nodes = {result for result in self.results if not is_sink(result)}
        gone = nodes - (await self.timelines.registry.users()).keys()
        if gone:
            raise ReplacedError(
                f"{min(gone)} was stopped while it was fed: its timeline was changed or removed; "
                "feed it again"
            )

    def _has_missed(self, leaf: str, stand: Standing) -> bool:
        """Whether a leaf has not got all that it was sent, and will not: it was so before, too."""
        end = self.in_flight[0].last if self.in_flight else ()
        if stand.waiting or (stand.position or ()) >= end:
            self._short.pop(leaf, None)
            return False
        again = self._short.get(leaf, ()) == stand.position
        self._short[leaf] = stand.position
        return again

    async def _what_is_odd(self, leaf: str) -> str:
        """Of the signals that a leaf has set aside the last, with the reason, if there are any."""
        odd = (await self.timelines.nodes.status(leaf)).get("odd")
        return "" if odd is None else f"the last signal that it set aside: {odd['last'][-1]['why']}; "

    async def _complain(self, waiting: bool = False) -> None:
        """Looks for the reason why nothing moves, while ``waiting`` also among other streams.

        Raises:
            LimitError: a node has stopped taking events, or a sink cannot write.
            MissedError: a node, or a sink, lacks what one of its children told it.
            NotFoundError: a node is gone.
        """
        source, _, _, number = next(iter(self.leaves)).rsplit(".", 3)
        for node in await self.timelines.registry.users():
            if node.startswith(f"{source}.") and node.endswith(f".{number}"):
                found = await self.timelines.nodes.status(node)
                if found["full"]:
                    raise LimitError(found["full"])
                if waiting:
                    _look_for_gaps(node, found)
        for sink in self.results:
            if sink.startswith(f"{source}.sink."):
                status = await self.timelines.nodes.sink(sink)
                if waiting:
                    _look_for_gaps(sink, status)
                if status["full"] or status.get("attempt", 0) >= ATTEMPTS:
                    raise LimitError(status["full"] or f"{sink} cannot write: {status['error']}")
                if waiting and (held := status.get("held")) is not None:
                    until, times = self._merged.get(sink, (-1, 0))
                    times = times + 1 if until == status["until"] else 1
                    self._merged[sink] = (status["until"], times)
                    if times >= LOOKS:
                        raise LimitError(held)


def _look_for_gaps(name: str, status: IsMissing) -> None:
    if "missing" in status:
        raise MissedError(
            f"{name} cannot go on: {status['missing']}; what it answers stays right, up to its position. "
            "Register the timeline under another name, or remove it, register it anew and feed it again"
        )


def size_of(events: Events) -> int:
    """About how many bytes a compact batch has as a message, rather more than less.

    Names and values count in full. Of numbers (codes, and differences of times and places) it is about one
    and a half times the bits that they need, as compressed decimal digits; of CIRR 4.4 bytes an event.
    """
    text = sum(len(key.encode()) for key in events.keys)
    bits = np.log2(len(events.keys) + 1)
    for column in events.columns.values():
        text += sum(len(value.encode()) for value in column.values if isinstance(value, str))
        bits += np.log2(len(column.values))
    for places in (events.tick, *events.position.T):
        bits += _bits(places)
    return text + int(len(events) * bits * 1.5 / 8)


def _bits(places: I64) -> float:
    """The bits of a difference between two, on average."""
    steps = np.abs(differences(np.ascontiguousarray(places))[1:])
    return float(np.log2(1.0 + steps).mean()) if len(steps) else 64.0

"""One stream of a source: which leaves get a batch, how many are under way, and when all have arrived."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from timeline.errors import LimitError, ServiceError
from timeline.tables.events import Events, Position
from workflows.client import Client
from workflows.names import is_sink
from workflows.protocol.node import About

#: Events a batch and batches in flight per stream: a wave costs the same whatever it carries.
BATCH_EVENTS = 20_000
IN_FLIGHT = 3
#: A batch is divided until its names and values are below this many bytes: a node that continues as
#: new carries the batches that wait in its inbox, beside a state of up to a MiB, in one payload of 2 MiB.
BATCH_BYTES = 1 << 18
#: Without any progress for so long (s), somebody looks for the reason.
PATIENCE = 5.0
#: A sink that could not write so often holds up what it is fed by.
ATTEMPTS = 6
#: How long a batch may take to arrive (s), before one has.
FIRST_GUESS = 0.05


class ReplacedError(ServiceError):
    """A node is not the one that it was: its timeline was changed, or removed, meanwhile."""


class Stream:
    """Leaves that get the same batches, and the nodes whose positions say that a batch has arrived.

    ``furthest`` is where the furthest leaf stood when they were asked, ``low`` the one that is furthest
    behind; ``settled`` is up to where refused events are kept elsewhere, if anybody does so.
    """

    def __init__(
        self, timelines: Client, leaves: Mapping[str, frozenset[str]], results: Iterable[str]
    ) -> None:
        self.timelines = timelines
        self.leaves = dict(leaves)
        self.results = set(results)
        self.born: dict[str, str] = {}
        self.low: Position | None = None
        self.furthest: Position | None = None
        self.settled: Position | None = None
        self.in_flight: deque[Position] = deque()
        self._asking = asyncio.Lock()
        #: When each batch in flight was sent, and how long such a one takes to arrive (s): to ask before
        #: it can have arrived would only delay it.
        self._sent_at: deque[float] = deque()
        self._took = FIRST_GUESS
        self._moved_at = 0.0

    async def locate(self) -> None:
        """Asks the leaves where they stand.

        Raises:
            LimitError: a node has stopped taking events; whatever is sent would wait beside what does.
        """
        await self._complain()
        stands = await asyncio.gather(*map(self.timelines.leaves.stands, self.leaves))
        self.born = {leaf: born for leaf, (_, born) in zip(self.leaves, stands, strict=True)}
        known = [position for position, _ in stands if position is not None]
        self.furthest = max(known, default=None)
        self.low = min(known) if len(known) == len(stands) else None

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
        for part, end in self._divide(events.compact(), last):
            await self._until(lambda: len(self.in_flight) < IN_FLIGHT)
            about = {leaf: self._about(leaf) for leaf in self.leaves}
            await self.timelines.leaves.signal_events(self.leaves, part, end, about)
            self.in_flight.append(end)
            self._sent_at.append(time.monotonic())

    async def drain(self) -> None:
        """Waits until the results stand where the last batch ended."""
        await self._until(lambda: not self.in_flight)

    async def arrived(self, position: Position) -> None:
        """Waits until the results have all batches that were sent and begin at or below a position."""
        await self._until(lambda: not self.in_flight or self.in_flight[0] > position)

    def _about(self, leaf: str) -> About:
        about = About(born=self.born.get(leaf))
        if self.settled is not None:
            about["settled"] = list(self.settled)
        return about

    def _divide(self, events: Events, last: Position) -> list[tuple[Events, Position]]:
        """Batches that are small enough, and that end where the furthest leaf stands.

        Leaves that a feeder left uneven meet at that position, so that their parents can go on.
        """
        furthest = self.furthest
        if furthest is not None and (self.low is None or self.low < furthest) and furthest < last:
            rest = events.after(furthest)
            first = events.take(slice(0, len(events) - len(rest)))
            self.low = furthest
            return [*self._divide(first.compact(), furthest), *self._divide(rest.compact(), last)]
        if len(events) > 1 and (len(events) > BATCH_EVENTS or _bytes(events) > BATCH_BYTES):
            half = len(events) // 2
            middle: Position = tuple(events.position[half - 1].tolist())
            return [
                *self._divide(events.take(slice(0, half)).compact(), middle),
                *self._divide(events.take(slice(half, None)).compact(), last),
            ]
        return [(events, last)]

    async def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            # One asks at a time, and its answer serves all that wait.
            async with self._asking:
                if not done():
                    await self._ask()

    async def _ask(self) -> None:
        """Asks once how far the results are, when it is likely that the next batch has arrived."""
        now = time.monotonic()
        self._moved_at = max(self._moved_at, self._sent_at[0])
        due = self._sent_at[0] + 0.7 * self._took
        # There is nothing to await: a query is the only way to learn where a node stands.
        await asyncio.sleep(max(due - now, 0.0) if now < due else min(max(0.15 * self._took, 0.005), 0.1))
        if not self.in_flight:
            return
        # The results cannot follow before the last leaf is where the furthest stands: up to there
        # it is the leaves that count.
        furthest = self.furthest
        behind = furthest is not None and self.in_flight[0] < furthest
        asked = self.leaves if behind else self.results
        reached = await asyncio.gather(*map(self.timelines.nodes.position, asked))
        before = len(self.in_flight)
        while self.in_flight and all(r is not None and r >= self.in_flight[0] for r in reached):
            if behind and furthest is not None and self.in_flight[0] >= furthest:
                break
            self.in_flight.popleft()
            took = time.monotonic() - self._sent_at.popleft()
            self._took += 0.3 * (min(took, PATIENCE) - self._took)
        now = time.monotonic()
        if len(self.in_flight) < before:
            self._moved_at = now
        elif now - self._moved_at > PATIENCE:
            self._moved_at = now
            await self._complain()
            await self._look_ahead()

    async def _look_ahead(self) -> None:
        """Asks anew how far the furthest leaf is: another feeder may have left it there since.

        Raises:
            ReplacedError: a leaf is another than the one that was located, or a result is gone.
        """
        stands = await asyncio.gather(*map(self.timelines.leaves.stands, self.leaves))
        for leaf, (_, born) in zip(self.leaves, stands, strict=True):
            if self.born.get(leaf, born) != born:
                raise ReplacedError(
                    f"{leaf} is not the node that it was: its timeline was removed and registered anew "
                    "while it was fed; feed it again"
                )
        self.furthest = max((p for p, _ in stands if p is not None), default=None)
        nodes = {result for result in self.results if not is_sink(result)}
        gone = nodes - (await self.timelines.registry.users()).keys()
        if gone:
            raise ReplacedError(
                f"{min(gone)} was stopped while it was fed: its timeline was changed or removed; "
                "feed it again"
            )

    async def _complain(self) -> None:
        """Looks for the reason why nothing moves.

        Raises:
            LimitError: a node has stopped taking events, or a sink cannot write.
            NotFoundError: a node is gone.
        """
        source, _, _, number = next(iter(self.leaves)).rsplit(".", 3)
        for node in await self.timelines.registry.users():
            if node.startswith(f"{source}.") and node.endswith(f".{number}"):
                full = (await self.timelines.nodes.status(node))["full"]
                if full:
                    raise LimitError(full)
        for sink in self.results:
            if sink.startswith(f"{source}.sink."):
                status = await self.timelines.nodes.sink(sink)
                if status["full"] or status.get("attempt", 0) >= ATTEMPTS:
                    raise LimitError(status["full"] or f"{sink} cannot write: {status['error']}")


def _bytes(events: Events) -> int:
    """About how long the names and values of a batch are, whose dictionaries hold only what occurs."""
    size = sum(len(key.encode()) for key in events.keys)
    for column in events.columns.values():
        size += sum(len(value.encode()) for value in column.values if isinstance(value, str))
    return size

"""One partition of a source, for all timelines on it: read, send on, settle, acknowledge.

What keeps it exact: a leaf gets, in order, every message behind the position that it names itself.
Those that stand where the furthest does are fed from the subscription (`live`); one that is behind (it
is new, or a feeder died between two leaves) is brought up by a reader of its own (`catching_up`), and joins
the others at the end of a batch. Whenever messages do not directly follow those before (another feeder may
have been at it in between), the leaves are asked anew. Nothing is acknowledged before every leaf's results
have it and what was refused is where dead letters are (`settling`); nothing at all while a leaf is being
brought up, or a timeline is paused (`pauses`): what it has not had must stay in the source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from feeder.stream import ReplacedError
from feeder.topics.catching_up import CatchingUp
from feeder.topics.going_back import GoingBack, SoughtError
from feeder.topics.lead import Lead, OvertakenError, TakenError
from feeder.topics.live import KeyCheck, Live, MovedError
from feeder.topics.marking import Marking
from feeder.topics.pauses import Pauses
from feeder.topics.receiving import Receiver
from feeder.topics.roster import Leaf, Roster, Shard, State, call_the_roll
from feeder.topics.settling import Counts, Settling
from feeder.topics.source import Input
from feeder.topics.telling import Telling
from feeder.topics.turns import Turns
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.metrics import FeederMetrics


class PartitionFeeder:
    """Feeds one partition of ``partitions`` to timelines, by the subscription of that name; ``name`` is what
    the feeder is called."""

    def __init__(
        self,
        timelines: Client,
        source: Input,
        subscription: str,
        specs: list[Spec],
        say: Callable[[str], None] = print,
        partitions: int = 1,
        turns: Turns | None = None,
        telling: Telling | None = None,
        accept_gap: bool = False,
        name: str = "",
    ) -> None:
        self.source = source
        self.counts = Counts()
        self._metrics = FeederMetrics(source.name)
        self._timelines = timelines
        self._subscription = subscription
        self._specs = specs
        self._say = say
        self._turns = turns or Turns()
        self._keys = KeyCheck(source, partitions, say)
        self._telling = telling or Telling(source.name, say)
        self._pauses = Pauses()
        self._name = name
        self._lead = Lead(timelines, name)
        self._accept_gap = accept_gap
        #: The registry was looked at; it has said something new, and that is not followed yet.
        self._looked = asyncio.Event()
        self._news = self._following = False
        self._roster: Roster | None = None
        self._settling: Settling | None = None

    def look(self) -> None:
        """A look at the registry begins, of which `update` tells what it has found."""
        if self._settling is not None:
            self._settling.measure()
            self._settling.note()

    def update(self, fed: list[Spec], shared: Sequence[Spec] = (), parked: Sequence[Spec] = ()) -> None:
        """The timelines that are on the source now: that run, that are paused but share leaves with those,
        and that are just paused."""
        paused = self._pauses.paused
        specs = [*fed, *self._pauses.note(shared, parked, self.counts.messages, self._roster)]
        if specs != self._specs or paused != self._pauses.paused:
            self._specs = specs
            if self._roster is not None:
                self._roster.specs = specs
            self._news = True
        elif not self._news and not self._following and self._settling is not None:
            self._settling.confirm()
        self._looked.set()

    async def run(self) -> None:
        """Feeds until it is cancelled, or something fails; may be called again then.

        Raises:
            TimelineError: Temporal does not answer, the source does not, or a node cannot take any more.
        """
        self._lead.leader = None
        while True:
            self._roster = self._settling = None
            self._following = False
            self._pauses.begin()
            try:
                async with AsyncExitStack() as stack:
                    await self._run(stack)
            except TakenError:
                continue
            except (MovedError, ReplacedError, OvertakenError, SoughtError):
                self._lead.leader = None

    async def give_up(self) -> None:
        """Gives the subscription up: no timeline is on the source any more."""
        subscription = await asyncio.to_thread(self.source.partition.subscribe, self._subscription)
        await asyncio.to_thread(subscription.give_up)

    async def _run(self, stack: AsyncExitStack) -> None:
        partition, timelines = self.source.partition, self._timelines
        subscription = await asyncio.to_thread(partition.subscribe, self._subscription, self._name or None)
        stack.push_async_callback(asyncio.to_thread, subscription.close)
        box = await asyncio.to_thread(partition.letter_box)
        stack.push_async_callback(asyncio.to_thread, box.close)
        roster, furthest = await call_the_roll(timelines, self.source, self._specs, self._lead)
        if furthest is None:
            # Nothing was accepted of this source yet, whatever the subscription was at.
            await asyncio.to_thread(self.source.seek_to_begin, subscription)
        roster.specs = self._specs  # as they are by now
        self._roster = roster
        going_back = GoingBack(
            timelines, self.source, roster, subscription, self._say, accept_gap=self._accept_gap
        )
        if furthest is not None:
            await going_back.begin()
        turns = self._turns.share()
        stack.callback(turns.close)
        settling = Settling(
            timelines,
            subscription,
            box,
            roster,
            self.counts,
            lambda: self._pauses.holding,
            turns,
            self._metrics,
        )
        self._settling = settling
        live = Live(
            timelines,
            self.source,
            roster,
            settling,
            self.counts,
            self._keys,
            furthest,
            turns,
            self._telling,
            Marking(timelines, self.source, roster, subscription, self._lead),
            going_back,
            self._metrics,
        )
        receiver = Receiver(subscription, partition.follows)
        stack.push_async_callback(receiver.stop)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(live.run(receiver))
                group.create_task(settling.run())
                group.create_task(self._follow(group, roster, live, settling))
        except BaseExceptionGroup as failures:
            # What one task ran into is what counts; the others were called off.
            raise failures.exceptions[0] from None

    async def _follow(self, group: asyncio.TaskGroup, roster: Roster, live: Live, settling: Settling) -> None:
        """Brings leaves up that are behind; takes note of timelines that come and go."""
        for shard in roster.shards:
            if behind := shard.in_state(State.BEHIND):
                group.create_task(self._bring_up(roster, shard, behind, live, settling))
        while True:
            await self._looked.wait()
            self._looked.clear()
            if not self._news:
                await settling.acknowledge()
                continue
            self._news, self._following = False, True
            for shard in roster.shards:
                wanted = roster.wanted(shard)
                new = shard.unknown(wanted)
                stands = await asyncio.gather(*map(self._timelines.leaves.stands, new))
                behind = {
                    name: Leaf(wanted[name], State.BEHIND, stand.position)
                    for name, stand in zip(new, stands, strict=True)
                }
                # First those that come: the shard is not to look as if nobody wanted anything.
                shard.put(behind)
                shard.let_go(wanted)
                if behind:
                    group.create_task(self._bring_up(roster, shard, behind, live, settling))
            roster.count_results()
            self._following = False
            # Not before those that go on are known to be behind.
            if self._pauses.let_go():
                await settling.acknowledge()

    async def _bring_up(
        self, roster: Roster, shard: Shard, behind: dict[str, Leaf], live: Live, settling: Settling
    ) -> None:
        catching = CatchingUp(self._timelines, self.source, roster, shard, behind, live)
        await catching.locate()
        self._say(f"{self.source.name}: bringing {len(behind)} new nodes up to the others")
        await catching.run()
        self._say(f"{self.source.name}: {len(behind)} nodes are up")
        await settling.acknowledge()

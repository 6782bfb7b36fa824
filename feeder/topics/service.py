"""The feeder of topics: for all registered timelines, as they come and go, until it is stopped."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from feeder.leaves import to_feed
from feeder.sources.base import Connector, ends_of
from feeder.topics.partition import PartitionFeeder
from feeder.topics.settling import Counts
from feeder.topics.source import Input, subscription_of
from feeder.topics.telling import Telling
from feeder.topics.turns import Turns
from timeline.errors import ServiceError, TimelineError
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.protocol import Topic

#: How often (s) the registry is asked what there is to feed.
LOOK = 1.0
#: One that is told to end and goes on is told again after so long (s): longer than it takes to end.
END_AGAIN = 30.0
#: After a failure a partition waits so long (s) before it is tried again, twice as long each time up to.
PAUSE, MAX_PAUSE = 0.5, 15.0


def own_name() -> str:
    """What a feeder is called that was given no name: by its machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(slots=True)
class _Fed:
    """A source and the tasks that feed its partitions; none while all timelines on it are paused."""

    name: str
    telling: Telling
    parts: list[PartitionFeeder] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Feeder:
    """Feeds the timelines on topics. Several may run, in other processes too: a broker gives each partition
    to one of them, and to another when that one dies.

    ``only`` restricts it to the timelines on the source of that one. ``say`` is told what a person should
    hear. ``accept_gap``: it goes on where a topic no longer has what timelines have not had, after a restore.
    ``name`` is what others call it; no two have the same.
    """

    def __init__(
        self,
        connector: Connector,
        timelines: Client,
        *,
        only: str | None = None,
        say: Callable[[str], None] = print,
        accept_gap: bool = False,
        name: str | None = None,
    ) -> None:
        self.connector = connector
        self.timelines = timelines
        self.only = only
        self.say = say
        self.accept_gap = accept_gap
        self.name = name or own_name()
        self._turns = Turns()
        self._sources: dict[str, _Fed] = {}
        self._complaints: dict[str, str] = {}
        #: Why it does not know what there is to feed; ``None``: it does.
        self.trouble: str | None = "it has not looked at the registry yet"

    @property
    def counts(self) -> dict[str, Counts]:
        """What was done so far, by partition."""
        return {p.source.name: p.counts for source in self._sources.values() for p in source.parts}

    async def run(self) -> None:
        """Feeds until it is cancelled; what is under way then is delivered again, and ignored."""
        try:
            while True:
                begun = time.monotonic()
                try:
                    await self._look()
                    self.trouble = None
                except TimelineError as error:
                    self.trouble = str(error)
                    self._complain("registry", error)
                await asyncio.sleep(max(0.0, LOOK - (time.monotonic() - begun)))
        finally:
            for source in self._sources.values():
                await _end(source)

    async def _look(self) -> None:
        """Compares what is registered with what is fed."""
        for source in self._sources.values():
            for partition in source.parts:
                partition.look()
            try:
                await source.telling.note(self.timelines)
            except TimelineError as error:  # it was said, and is no reason not to feed
                self._complain(source.name, error)
        wanted: dict[str, list[Spec]] = {}
        every = await self.timelines.registry.specs()
        only = every[self.only].source_id if self.only in every else None
        for spec in every.values():
            if spec.source.topic is not None and (self.only is None or spec.source_id == only):
                wanted.setdefault(spec.source_id, []).append(spec)
        opened = await self.timelines.registry.topics()
        # A source that the registry has forgotten had no timeline for a moment: it begins anew.
        for source_id in self._sources.keys() - (wanted.keys() & opened.keys()):
            source = self._sources.pop(source_id)
            await _end(source)
            if source_id not in wanted:
                for partition in source.parts:
                    await partition.give_up()
                self.say(f"{source.name}: no timeline is on {source_id} any more")
        paused = await self.timelines.registry.paused()
        for source_id, specs in wanted.items():
            fed, shared, parked = to_feed(specs, paused)
            if not fed and source_id not in opened:
                continue  # nobody wants anything of it yet
            try:
                if source_id not in self._sources:
                    await self._open(source_id, specs, opened.get(source_id))
            except TimelineError as error:
                self._complain(source_id, error)
                continue
            source = self._sources[source_id]
            for task in source.tasks:
                if task.done():
                    task.result()  # raises what nobody expected: better the end than silence
            if not fed and source.tasks:
                await _end(source)
                self.say(f"{source.name}: all timelines are paused")
            elif fed:
                for partition in source.parts:
                    partition.update(fed, shared, parked)
                self._start(source, fed)

    async def _open(self, source_id: str, specs: list[Spec], known: Topic | None) -> None:
        """Has all that it takes to feed a source."""
        # Where workers lack the key that we encrypt with, this is refused, and no leaf gets what it could
        # not read.
        await self.timelines.registry.log(source_id)
        source = self.connector.source(specs[0])
        partitions = await asyncio.to_thread(source.partitions)
        count = len(partitions)
        if known is None:
            latest = specs[0].source.start == "latest"
            ends = await asyncio.to_thread(ends_of, source) if latest else [None] * count
            # Behind which message each partition begins, where that is the newest there is.
            starts = [None if end is None else list(end) for end in ends]
            known = await self.timelines.registry.open_topic(
                source_id, Topic(partitions=count, starts=starts)
            )
        if known["partitions"] != count:
            raise ServiceError(
                f"{specs[0].source.topic} has {count} partitions, and had {known['partitions']} when it was "
                "first fed: keys have moved between them, and no stream has all events of such a key; "
                f"register the timelines on it anew: {', '.join(spec.name for spec in specs)}"
            )
        fed = _Fed(source.name, Telling(source.name, self.say))
        for number, (partition, begin) in enumerate(zip(partitions, known["starts"], strict=True)):
            entry = Input(partition, number, None if begin is None else tuple(begin), specs[0])
            fed.parts.append(
                PartitionFeeder(
                    self.timelines,
                    entry,
                    subscription_of(source_id),
                    specs,
                    self.say,
                    count,
                    self._turns,
                    fed.telling,
                    self.accept_gap,
                    self.name,
                )
            )
        self._sources[source_id] = fed

    def _start(self, source: _Fed, specs: list[Spec]) -> None:
        """Begins to feed a source, unless that has begun."""
        if source.tasks:
            return
        source.tasks = [asyncio.create_task(self._keep_feeding(partition)) for partition in source.parts]
        names = ", ".join(spec.name for spec in specs)
        count = len(source.parts)
        what = f"{count} partitions" if count > 1 else "one partition"
        self.say(f"{source.name}: {what}, feeding {names}")

    async def _keep_feeding(self, partition: PartitionFeeder) -> None:
        """Runs a partition, and again after a failure: nothing is lost by that, so nothing ends it."""
        pause = PAUSE
        while True:
            begun = time.monotonic()
            try:
                await partition.run()
            except TimelineError as error:
                self._complain(partition.source.name, error)
            if time.monotonic() - begun > MAX_PAUSE:
                pause = PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE)

    def _complain(self, about: str, error: TimelineError) -> None:
        """Says what is wrong, once as long as it stays the same."""
        text = str(error)
        if self._complaints.get(about) != text:
            self._complaints[about] = text
            self.say(f"{about}: {text}")


async def _end(source: _Fed) -> None:
    running = {task for task in source.tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        # A group of tasks that runs into something just then tells that, and not that it is to end.
        _, running = await asyncio.wait(running, timeout=END_AGAIN)
    await asyncio.gather(*source.tasks, return_exceptions=True)
    source.tasks = []

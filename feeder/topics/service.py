"""The feeder of topics: for all registered timelines, as they come and go, until it is stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pulsar

from feeder.leaves import to_feed
from feeder.topics.partition import Counts, Partition
from feeder.topics.positions import ends_of
from producer.pulsar.topics import full_name, partition_name, partitions
from timeline.errors import ServiceError, TimelineError
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.protocol import Topic

#: How often (s) the registry is asked what there is to feed.
LOOK = 1.0
#: After a failure a partition waits so long (s) before it is tried again, twice as long each time up to.
PAUSE, MAX_PAUSE = 0.5, 15.0


@dataclass(slots=True)
class _Source:
    """A source and the tasks that feed its partitions; none while all timelines on it are paused."""

    topic: str
    parts: list[Partition] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Feeder:
    """Feeds the timelines on topics. Several may run, in other processes too: Pulsar gives each partition
    to one of them, and to another when that one dies.

    ``only`` restricts it to the timelines on the source of that one. ``say`` is told what a person should
    hear.
    """

    def __init__(
        self,
        client: pulsar.Client,
        timelines: Client,
        *,
        only: str | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.client = client
        self.timelines = timelines
        self.only = only
        self.say = say
        self._sources: dict[str, _Source] = {}
        self._complaints: dict[str, str] = {}

    @property
    def counts(self) -> dict[str, Counts]:
        """What was done so far, by partition."""
        return {p.topic: p.counts for source in self._sources.values() for p in source.parts}

    async def run(self) -> None:
        """Feeds until it is cancelled; what is under way then is delivered again by Pulsar, and ignored."""
        try:
            while True:
                begun = time.monotonic()
                try:
                    await self._look()
                except (TimelineError, pulsar.PulsarException) as error:
                    self._complain("registry", error)
                await asyncio.sleep(max(0.0, LOOK - (time.monotonic() - begun)))
        finally:
            for source in self._sources.values():
                await _end(source)

    async def _look(self) -> None:
        """Compares what is registered with what is fed."""
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
                    await partition.unsubscribe()
                self.say(f"{source.topic}: no timeline is on {source_id} any more")
        paused = await self.timelines.registry.paused()
        for source_id, specs in wanted.items():
            fed, shared, parked = to_feed(specs, paused)
            if not fed and source_id not in opened:
                continue  # nobody wants anything of it yet
            try:
                if source_id not in self._sources:
                    await self._open(source_id, specs, opened.get(source_id))
            except (TimelineError, pulsar.PulsarException) as error:
                self._complain(source_id, error)
                continue
            source = self._sources[source_id]
            if not fed and source.tasks:
                await _end(source)
                self.say(f"{full_name(source.topic)}: all timelines are paused")
            elif fed:
                for partition in source.parts:
                    partition.update(fed, shared, parked)
                self._start(source, fed)

    async def _open(self, source_id: str, specs: list[Spec], known: Topic | None) -> None:
        """Has all that it takes to feed a source."""
        topic = specs[0].source.topic
        assert topic is not None
        count = await asyncio.to_thread(partitions, self.client, topic)
        if known is None:
            starts = await asyncio.to_thread(self._starts, specs[0], count)
            known = await self.timelines.registry.open_topic(
                source_id, Topic(partitions=max(1, count), starts=starts)
            )
        if known["partitions"] != max(1, count):
            raise ServiceError(
                f"{topic} has {max(1, count)} partitions, and had {known['partitions']} when it was first "
                "fed: keys have moved between them, and no stream has all events of such a key; register "
                f"the timelines on it anew: {', '.join(spec.name for spec in specs)}"
            )
        source = _Source(topic)
        for number in range(known["partitions"]):
            begin = known["starts"][number]
            partition = Partition(
                self.client,
                self.timelines,
                partition_name(topic, number, count),
                number,
                f"timeline-{source_id}",
                None if begin is None else tuple(begin),
                specs,
                self.say,
                known["partitions"],
            )
            source.parts.append(partition)
        self._sources[source_id] = source

    def _start(self, source: _Source, specs: list[Spec]) -> None:
        """Begins to feed a source, unless that has begun."""
        if source.tasks:
            return
        source.tasks = [asyncio.create_task(self._keep_feeding(partition)) for partition in source.parts]
        names = ", ".join(spec.name for spec in specs)
        count = len(source.parts)
        what = f"{count} partitions" if count > 1 else "one partition"
        self.say(f"{full_name(source.topic)}: {what}, feeding {names}")

    def _starts(self, spec: Spec, count: int) -> list[list[int] | None]:
        """Behind which message each partition begins, where that is the newest there is."""
        if spec.source.start != "latest":
            return [None] * max(1, count)
        return [None if end is None else list(end) for end in ends_of(self.client, spec)]

    async def _keep_feeding(self, partition: Partition) -> None:
        """Runs a partition, and again after a failure: nothing is lost by that, so nothing ends it."""
        pause = PAUSE
        while True:
            begun = time.monotonic()
            try:
                await partition.run()
            except (TimelineError, pulsar.PulsarException) as error:
                self._complain(partition.topic, error)
            if time.monotonic() - begun > MAX_PAUSE:
                pause = PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE)

    def _complain(self, about: str, error: Exception) -> None:
        """Says what is wrong, once as long as it stays the same."""
        text = f"{type(error).__name__}: {error}" if isinstance(error, pulsar.PulsarException) else str(error)
        if self._complaints.get(about) != text:
            self._complaints[about] = text
            self.say(f"{about}: {text}")


async def _end(source: _Source) -> None:
    for task in source.tasks:
        task.cancel()
    await asyncio.gather(*source.tasks, return_exceptions=True)
    source.tasks = []

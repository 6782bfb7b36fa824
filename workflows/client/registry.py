"""Registering timelines, and what the registry knows of them."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import orjson

from timeline.errors import NotFoundError, SpecError, TimelineError
from timeline.language.mistakes import Mistake
from timeline.spec.spec import Spec
from timeline.tables.wire import Wire
from workflows.bounds import within_bounds
from workflows.checks import MAX_NAME
from workflows.client.answers import Registered
from workflows.client.asking import Asking
from workflows.client.furthest import places_of
from workflows.life import Standing, Version, Warned
from workflows.names import REGISTRY_ID
from workflows.protocol import Gap, Segment, Topic
from workflows.protocol import registry as protocol
from workflows.protocol.calls import Query

T = TypeVar("T")

#: Workflows that one update of the registry may be asked to start, unless one timeline alone has more.
NODES_AT_ONCE = 300


class Registry:
    """Which timelines there are, which nodes they use, and which files and topics sources have had."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking

    async def register(self, spec: Spec) -> None:
        """Starts what the timeline needs; the same spec again changes nothing.

        Raises:
            TimelineError: a timeline of that name has another spec; `register_all` can replace it.
        """
        topics = await self.topics()
        within_bounds(spec, len(protocol.streams_of_source(spec, topics)))
        places = await places_of(self.asking, [spec], await self.specs(), topics)
        await self.asking.update(protocol.REGISTER, spec.to_wire(), places)

    async def register_all(
        self,
        specs: Sequence[Spec],
        replaces: Mapping[str, int] | None = None,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> list[Registered]:
        """Starts what many timelines need, a hundred of them in seconds; a spec may be another than the
        one that is registered under its name if ``replaces`` has the version of that.

        ``on_progress`` is told in words how far it is.

        Raises:
            TimelineError: two specs have one name, or a timeline has another spec; none is registered then.
            LimitError: a timeline has too many nodes; none is registered then.
        """
        twice = [name for name, count in Counter(spec.name for spec in specs).items() if count > 1]
        if twice:
            raise TimelineError(f"two specs are called {twice[0]!r}; give each timeline a name of its own")
        replaces = dict(replaces or {})
        known, standings, topics = await self.specs(), await self.standings(), await self.topics()
        for spec in specs:
            within_bounds(spec, len(protocol.streams_of_source(spec, topics)))
        for spec in specs:
            if spec != known.get(spec.name, spec) and spec.name not in replaces:
                # What the registry says of it; all that comes before is not registered then.
                await self.register(spec)
        asking = self.asking.telling(lambda n, of: on_progress(f"{n} of {of} workflows started"))
        done: dict[str, Registered] = {}
        # Those that are changed in one go: what moves to another policy together shares nodes.
        changed = [spec for spec in specs if spec.name in replaces]
        others = [spec for spec in specs if spec.name not in replaces]
        places = await places_of(self.asking, specs, known, topics)
        for part in [*([changed] if changed else []), *self._parts(others, topics)]:
            wires = [spec.to_wire() for spec in part]
            seen = {spec.name: replaces[spec.name] for spec in part if spec.name in replaces}
            rows = await asking.update(protocol.REGISTER_ALL, wires, seen, places)
            for spec, row in zip(part, rows, strict=True):
                replaced = standings.get(spec.name) if row["new"] else None
                version = None if replaced is None else replaced["version"]
                stopped = tuple(row["stopped"])
                done[spec.name] = Registered(spec, row["version"], row["new"], version, stopped)
            on_progress(f"{len(done)} of {len(specs)} registered")
        return [done[spec.name] for spec in specs]

    def _parts(self, specs: Sequence[Spec], topics: Mapping[str, Topic]) -> Iterator[list[Spec]]:
        """Specs that go into one update: so few nodes that it is done long before anybody loses patience."""
        part: list[Spec] = []
        nodes = 0
        for spec in specs:
            topic = topics.get(spec.source_id)
            more = len(spec.fragments) * spec.limits.shards * (topic["partitions"] if topic else 1)
            if part and nodes + more > NODES_AT_ONCE:
                yield part
                part, nodes = [], 0
            part.append(spec)
            nodes += more
        if part:
            yield part

    async def pause(self, name: str) -> bool:
        """Has the nodes that only this timeline uses get no more events; false if it was so already.

        Raises:
            NotFoundError: there is no such timeline.
        """
        await self.spec(name)
        return await self.asking.update(protocol.PAUSE, name, True)

    async def resume(self, name: str) -> bool:
        """Has a paused timeline go on from where it stands; false if it was not paused.

        Raises:
            NotFoundError: there is no such timeline.
        """
        await self.spec(name)
        return await self.asking.update(protocol.PAUSE, name, False)

    async def standings(self) -> dict[str, Standing]:
        """Version of each timeline, since when, and whether it is paused, by name."""
        return await self._known(protocol.LIVES, {})

    async def paused(self) -> set[str]:
        """The names of the timelines that are paused."""
        return {name for name, standing in (await self.standings()).items() if standing["paused"]}

    async def versions(self, name: str) -> list[Version]:
        """The last versions of a timeline, oldest first.

        Raises:
            NotFoundError: there is no such timeline.
        """
        await self.spec(name)
        return await self.asking.query(REGISTRY_ID, protocol.VERSIONS, name)

    async def remove(self, name: str) -> list[str]:
        """Removes a timeline; returns the ids of the nodes that stopped, because nobody uses them.

        Raises:
            NotFoundError: there is no such timeline.
        """
        if name not in await self.begun():
            await self.spec(name)
        return await self.asking.update(protocol.REMOVE, name)

    async def log(self, source_id: str) -> list[Segment]:
        """The files that a source has had, in order."""
        return await self.asking.query(REGISTRY_ID, protocol.LOG, source_id)

    async def extend_log(self, source_id: str, files: Sequence[Segment]) -> list[Segment]:
        """Appends what is new of some files to a source's log; the whole log."""
        return await self.asking.update(protocol.EXTEND_LOG, source_id, list(files))

    async def specs(self) -> dict[str, Spec]:
        """All registered timelines that are understood, by name."""
        read, _ = _read(await self._known(protocol.TIMELINES, {}))
        return read

    async def unreadable(self) -> dict[str, str]:
        """The timelines that another version registered and this one does not understand: why, by name."""
        _, unread = _read(await self._known(protocol.TIMELINES, {}))
        return unread

    async def begun(self) -> dict[str, Spec]:
        """The timelines whose registration was begun and left: registered again it goes on, and removed
        they are gone."""
        read, _ = _read(await self._known(protocol.BEGUN, {}))
        return read

    async def spec(self, name: str) -> Spec:
        """The spec of a timeline.

        Raises:
            NotFoundError: there is none; with the names there are.
        """
        specs, unread = _read(await self._known(protocol.TIMELINES, {}))
        if name in specs:
            return specs[name]
        if name in unread:
            raise TimelineError(
                f"timeline {name!r} is registered, but not understood here: {unread[name]}\n"
                "use the version that registered it, or a later one"
            )
        near = difflib.get_close_matches(name, specs, 1)
        hint = f"did you mean {near[0]!r}?" if near else "`timeline list` shows what there is"
        raise NotFoundError(f"no timeline {name!r} is registered; {hint}")

    async def users(self) -> dict[str, list[str]]:
        """For every running node, the names of the timelines that use it."""
        return await self.asking.query(REGISTRY_ID, protocol.USERS)

    async def topics(self) -> dict[str, Topic]:
        """The topics that feeders have taken, by source."""
        return await self._known(protocol.TOPICS, {})

    async def open_topic(self, source_id: str, topic: Topic) -> Topic:
        """Starts the nodes of a topic's partitions; the topic as it was when that was first done.

        Raises:
            NotFoundError: no timeline is on the source.
            TimelineError: the source was fed from files.
        """
        return await self.asking.update(protocol.OPEN_TOPIC, source_id, topic)

    async def gaps(self, source_id: str) -> list[Gap]:
        """Messages of a topic that are missing, as somebody has accepted."""
        topic = (await self.topics()).get(source_id)
        return [] if topic is None else topic.get("gaps", [])

    async def note_gap(self, source_id: str, gap: Gap) -> None:
        """Accepts that messages of a topic are missing."""
        await self.asking.update(protocol.NOTE_GAP, source_id, gap)

    async def warnings(self, name: str) -> list[Mistake]:
        """What events have shown of a timeline that is likely to be a mistake, as far as that was noted."""
        noted = await self.asking.query(REGISTRY_ID, protocol.WARNINGS, name)
        return [Mistake(one["kind"], one["text"], one["suggestion"], one["place"]) for one in noted]

    async def note_warnings(
        self, spec: Spec, mistakes: Sequence[Mistake], partitions: Sequence[int] | None = None
    ) -> None:
        """Notes what events show of a registered timeline, as far as there is room for it, instead of what
        was noted before, of those ``partitions`` if there are any. Of one that is another by now nothing is
        noted."""
        kept: list[Warned] = []
        size = 2
        for mistake in mistakes:
            one = Warned(
                kind=mistake.kind, place=mistake.place, text=mistake.text, suggestion=mistake.suggestion
            )
            size += len(orjson.dumps(one)) + 1
            if size <= MAX_NAME:
                kept.append(one)
        standing = (await self.standings()).get(spec.name)
        if standing is None or (await self.specs()).get(spec.name) != spec:
            return
        parts = None if partitions is None else list(partitions)
        if parts or await self.asking.query(REGISTRY_ID, protocol.WARNINGS, spec.name) != kept:
            await self.asking.update(protocol.NOTE_WARNINGS, spec.name, standing["version"], kept, parts)

    async def streams(self, spec: Spec) -> range:
        """The numbers of the streams of a timeline's source."""
        return protocol.streams_of_source(spec, {} if spec.source.topic is None else await self.topics())

    async def store(self) -> str | None:
        """The store in which workers keep large states, if they do."""
        return await self._known(protocol.STORE, None)

    async def use_store(self, url: str, max_state: int) -> None:
        """Says that workers keep large states there, so that a node's may have ``max_state`` bytes."""
        await self.asking.update(protocol.USE_STORE, url, max_state)

    async def _known(self, query: Query[[], T], otherwise: T) -> T:
        """What the registry says; ``otherwise`` before there is any."""
        try:
            return await self.asking.query(REGISTRY_ID, query)
        except NotFoundError:
            return otherwise


def _read(wires: dict[str, Wire]) -> tuple[dict[str, Spec], dict[str, str]]:
    """The specs that are understood, and why others are not, by name."""
    read: dict[str, Spec] = {}
    unread: dict[str, str] = {}
    for name, wire in sorted(wires.items()):
        try:
            read[name] = Spec.from_wire(wire)
        except SpecError as error:
            unread[name] = "; ".join(f"{problem.place}: {problem.message}" for problem in error.problems)
    return read, unread

"""The registry: which timelines there are, which nodes they use, and which files a source has had."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio import workflow
from temporalio.common import RawValue

from workflows.moving import hand_over
from workflows.protocol import Gap, RegistryState, Segment, Topic
from workflows.protocol import registry as protocol
from workflows.protocol.node import RENEW
from workflows.renewal import continue_as_new, is_due
from workflows.slices import STARTS_A_RUN, start_some
from workflows.wiring import Wiring

with workflow.unsafe.imports_passed_through():
    from timeline.spec.changes import is_move
    from timeline.spec.spec import Spec
    from timeline.tables.wire import Wire
    from workflows import checks, life
    from workflows.carrying import Carried
    from workflows.logs import goes_on, had
    from workflows.names import REGISTRY_TYPE, fragment_id


@workflow.defn(name=REGISTRY_TYPE)
class RegistryWorkflow:
    """One per namespace. Updates run one after another, so that starting and stopping never cross."""

    @workflow.init
    def __init__(self, state: RegistryState | bytes | None = None) -> None:
        self.carried = Carried(state)
        self.state = self.carried.state
        self.lock = asyncio.Lock()
        self.wiring = Wiring(self.state)
        self.renewing = False

    @workflow.run
    async def run(self, state: RegistryState | bytes | None = None) -> None:
        most = STARTS_A_RUN if workflow.patched("starts-a-run") else None
        await workflow.wait_condition(
            lambda: is_due(self.renewing, moves=False) or (most is not None and self.wiring.started >= most)
        )
        await workflow.wait_condition(workflow.all_handlers_finished)
        continue_as_new(self.carried.to_bytes())

    @workflow.signal(dynamic=True)
    def told(self, name: str, args: Sequence[RawValue]) -> None:
        """Whatever it is told; but `RENEW` it heeds nothing."""
        self.renewing |= name == RENEW.name

    # --- updates ---------------------------------------------------------------------------------

    @protocol.REGISTER.handler
    async def register(self, wire: Wire, places: protocol.Places | None = None) -> Wire:
        """Starts what a timeline needs and does not run yet. The same spec again changes nothing."""
        await self.register_all([wire], {}, places or {})
        return wire

    @protocol.REGISTER.check(register)
    def _may_register(self, wire: Wire, places: protocol.Places | None = None) -> None:
        checks.on_places(places)
        checks.registrable(self.carried, [wire], {})

    @protocol.REGISTER_ALL.handler
    async def register_all(
        self, wires: list[Wire], replaces: dict[str, int], places: protocol.Places | None = None
    ) -> list[protocol.Accepted]:
        """Starts what timelines need and does not run yet; all of them, or none if one cannot be.

        A spec may be another than the one that is registered under its name if ``replaces`` has the
        version of that: its new nodes are started (of another policy alone: with the states of those of
        before), it is switched over, and what nobody uses any more is stopped. Before new nodes have
        reached the ``places`` of their source they answer no question. Returns for each its ``version``,
        whether it is ``new`` and the ids that ``stopped``.

        Of many nodes it starts some, and fails with `GO_ON`: asked again, it goes on from there.
        """
        async with self.lock:
            await self.wiring.look()
            specs, befores = checks.registrable(self.carried, wires, replaces)
            pairs = [(Spec.from_wire(befores[s.name]), s) for s in specs if s.name in befores]
            moves = [(before, after) for before, after in pairs if is_move(before, after)]
            held = await hand_over(self.wiring, moves) if moves and workflow.patched("handover") else []
            try:
                # What is handed over runs already, and the old nodes wait: there is no time for slices.
                return await self._switch(specs, wires, befores, places or {}, in_slices=not held)
            finally:
                # Not before the new ones are registered: what is fed from now on is fed to them too.
                await self.wiring.go_on(held)

    @protocol.REGISTER_ALL.check(register_all)
    def _may_register_all(
        self, wires: list[Wire], replaces: dict[str, int], places: protocol.Places | None = None
    ) -> None:
        checks.on_places(places)
        checks.registrable(self.carried, wires, replaces)

    @protocol.PAUSE.handler
    async def pause(self, name: str, paused: bool) -> bool:
        """Pauses a timeline, or has it go on: feeders heed that. False if it was so already."""
        async with self.lock:
            wire = self.carried.wire(name)
            lives = self.state.setdefault("lives", {})
            was = life.standing(lives.get(name), wire)["paused"]
            lives.setdefault(name, life.Life(versions=life.versions(None, wire)))["paused"] = paused
        return was != paused

    @protocol.PAUSE.check(pause)
    def _may_pause(self, name: str, paused: bool) -> None:
        self.carried.spec(name)

    @protocol.REMOVE.handler
    async def remove(self, name: str) -> list[str]:
        """Forgets a timeline and stops the nodes that nobody else uses; returns their ids."""
        async with self.lock:
            spec = self.carried.spec(name)
            stopped = await self.wiring.stop_all(spec)
            if self.state["timelines"].pop(name, None) is not None:
                stopped += await self._drop_begun(name)
            self.state.get("begun", {}).pop(name, None)
            self.state.get("lives", {}).pop(name, None)
            self.carried.forget_sources()
        return stopped

    @protocol.REMOVE.check(remove)
    def _may_remove(self, name: str) -> None:
        self.carried.spec(name)

    @protocol.EXTEND_LOG.handler
    async def extend_log(self, source: str, files: list[Segment]) -> list[Segment]:
        """Appends what is new of some files to a source's log; returns the whole log.

        A file is known by path and fingerprint: what the log has of it already is not added again. What
        it has under another name the feeder has found out; but for a copy that somebody feeds meanwhile.
        """
        checks.extendable(self.carried, source, files)
        log = self.state["logs"].setdefault(source, [])
        for file in files:
            after = 0 if file.get("again") else max(had(log, file), file["after"])
            if file["last"] <= after and not goes_on(log, file):
                continue
            if len(log) >= checks.MAX_SEGMENTS:
                raise checks.too_many_files(source)
            log.append(Segment(**{**file, "after": after}))
            log[-1].pop("again", None)
        return log

    @protocol.EXTEND_LOG.check(extend_log)
    def _may_extend_log(self, source: str, files: list[Segment]) -> None:
        checks.loggable(self.carried, source, files)

    @protocol.NOTE_GAP.handler
    async def note_gap(self, source: str, gap: Gap) -> None:
        """Takes note of messages that a source's timelines will never have."""
        topic = self.state.get("topics", {}).get(source)
        if topic is not None and gap not in topic.setdefault("gaps", []):
            topic["gaps"].append(gap)

    @protocol.NOTE_GAP.check(note_gap)
    def _may_note_gap(self, source: str, gap: Gap) -> None:
        checks.notable(self.carried, source, gap)

    @protocol.NOTE_WARNINGS.handler
    async def note_warnings(
        self, name: str, version: int, warnings: list[life.Warned], partitions: list[int] | None = None
    ) -> None:
        """Takes note of what events show of a version of a timeline, instead of what was noted before."""
        wire = self.state["timelines"].get(name)
        known = self.carried.life(name)
        if wire is None or life.standing(known, wire)["version"] != version:
            return  # what was looked at is another timeline by now
        noted = known or life.Life(versions=life.versions(None, wire))
        self.state.setdefault("lives", {})[name] = life.noted(noted, warnings, partitions)

    @protocol.NOTE_WARNINGS.check(note_warnings)
    def _may_note_warnings(
        self, name: str, version: int, warnings: list[life.Warned], partitions: list[int] | None = None
    ) -> None:
        checks.warnable(self.carried, name, warnings, partitions)

    @protocol.OPEN_TOPIC.handler
    async def open_topic(self, source: str, topic: Topic) -> Topic:
        """Starts the nodes of a topic's partitions. Who comes first says where they begin; returns that.

        Of many nodes it starts some, and fails with `GO_ON`: asked again, it goes on from there.
        """
        async with self.lock:
            await self.wiring.look()
            specs = checks.openable(self.carried, source, topic)
            topics = self.state.setdefault("topics", {})
            is_new = source not in topics
            topics.setdefault(source, Topic(partitions=topic["partitions"], starts=topic["starts"]))
            work = [([spec], stream, None) for spec in specs for stream in self.wiring.streams(spec)]
            if not await start_some(self.wiring, work) and is_new:
                await asyncio.gather(*(self.wiring.start(*one) for one in work))
        return topics[source]

    @protocol.OPEN_TOPIC.check(open_topic)
    def _may_open_topic(self, source: str, topic: Topic) -> None:
        checks.rememberable(self.carried, source, topic)

    @protocol.USE_STORE.handler
    async def use_store(self, store: str, max_state: int) -> None:
        """Workers keep large states in a store from now on: nodes may have so many bytes, full ones go on."""
        async with self.lock:
            old = self.state.get("max_state")
            self.state["store"] = store
            self.state["max_state"] = max_state
            if old != max_state:
                await self.wiring.limit(self.state["users"], max_state)

    @protocol.USE_STORE.check(use_store)
    def _may_use_store(self, store: str, max_state: int) -> None:
        checks.storable(store, max_state)

    # --- queries ---------------------------------------------------------------------------------

    @protocol.STORE.handler
    def store(self) -> str | None:
        """The store in which workers keep large states, if they do."""
        return self.state.get("store")

    @protocol.TIMELINES.handler
    def timelines(self) -> dict[str, Wire]:
        """All specs by name."""
        return self.state["timelines"]

    @protocol.LIVES.handler
    def lives(self) -> dict[str, life.Standing]:
        """Version and state of all timelines by name."""
        timelines = self.state["timelines"].items()
        return {name: life.standing(self.carried.life(name), wire) for name, wire in timelines}

    @protocol.BEGUN.handler
    def begun(self) -> dict[str, Wire]:
        """Specs whose registration has begun and is not done, by name."""
        return self.state.get("begun", {})

    @protocol.VERSIONS.handler
    def versions(self, name: str) -> list[life.Version]:
        """The remembered versions of a timeline, oldest first; none if it is not registered."""
        wire = self.state["timelines"].get(name)
        return [] if wire is None else life.versions(self.carried.life(name), wire)

    @protocol.WARNINGS.handler
    def warnings(self, name: str) -> list[life.Warned]:
        """What events have shown of a timeline that is likely to be a mistake."""
        known = self.carried.life(name)
        return [] if known is None else life.warned(known)

    @protocol.LOG.handler
    def log(self, source: str) -> list[Segment]:
        """The files that a source has had."""
        return self.state["logs"].get(source, [])

    @protocol.TOPICS.handler
    def topics(self) -> dict[str, Topic]:
        """The topics that feeders have taken, by source."""
        return dict(self.state.get("topics", {}))

    @protocol.USERS.handler
    def users(self) -> dict[str, list[str]]:
        """For every node that runs, the timelines that use it."""
        return self.state["users"]

    # --- work ------------------------------------------------------------------------------------

    async def _switch(
        self,
        specs: list[Spec],
        wires: list[Wire],
        befores: dict[str, Wire],
        places: protocol.Places,
        *,
        in_slices: bool,
    ) -> list[protocol.Accepted]:
        """Starts what is missing for specs, registers them, and stops what those of before had."""
        sources: dict[str, list[Spec]] = {}
        for spec in specs:
            sources.setdefault(spec.source_id, []).append(spec)
        work = [
            (same, stream, _place(places, source, stream))
            for source, same in sources.items()
            for stream in self.wiring.streams(same[0])
        ]
        begun = {spec.name: wire for spec, wire in zip(specs, wires, strict=True)}
        for name, wire in begun.items():
            if self.state.get("begun", {}).get(name, wire) != wire:
                known = [Spec.from_wire(befores[name])] if name in befores else []
                await self._drop_begun(name, Spec.from_wire(wire), *known)
        if not (in_slices and await start_some(self.wiring, work, begun)):
            await asyncio.gather(*(self.wiring.start(*one) for one in work))
        done = []
        for spec, wire in zip(specs, wires, strict=True):
            before = befores.get(spec.name)
            is_new = self.state["timelines"].get(spec.name) != wire
            if is_new:
                lives = self.state.setdefault("lives", {})
                lives[spec.name] = life.accepted(lives.get(spec.name), before, wire, workflow.now())
            self.state["timelines"][spec.name] = wire
            self.state.get("begun", {}).pop(spec.name, None)
            stopped = [] if before is None else await self._retire(Spec.from_wire(before), spec)
            version = life.standing(self.carried.life(spec.name), wire)["version"]
            done.append(protocol.Accepted(version=version, new=is_new, stopped=stopped))
        if befores:
            self.carried.forget_sources()
        return done

    async def _drop_begun(self, name: str, *kept: Spec) -> list[str]:
        """Stops what a registration that was not done has started under a name, unless those use it."""
        wire = self.state.get("begun", {}).pop(name, None)
        if wire is None:
            return []
        spec = Spec.from_wire(wire)
        used = {
            fragment_id(other, fragment, stream)
            for other in kept
            for stream in self.wiring.streams(other)
            for fragment in other.fragments
        }
        return await self.wiring.stop_all(spec, used)

    async def _retire(self, before: Spec, after: Spec) -> list[str]:
        """Stops what a timeline used before its spec was changed, and nobody uses now."""
        same = before.source_id == after.source_id
        kept: set[str] = set()
        if same:
            streams = self.wiring.streams(before)
            kept = {fragment_id(after, f, stream) for stream in streams for f in after.fragments}
        stopped = await self.wiring.stop_all(before, kept)
        logs = self.state["logs"]
        if not same and before.source.topic is after.source.topic is None and before.source_id in logs:
            # Files are those of the timeline, whatever its source is called: the next feed reads them again.
            logs[after.source_id] = logs.pop(before.source_id)
        return stopped


def _place(places: protocol.Places, source: str, stream: int) -> list[int] | None:
    streams = places.get(source, [])
    return streams[stream] if stream < len(streams) else None

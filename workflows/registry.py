"""The registry: which timelines there are, which nodes they use, and which files a source has had."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows.moving import hand_over
from workflows.protocol import Gap, RegistryState, Segment, Topic
from workflows.protocol import registry as protocol
from workflows.wiring import Wiring

with workflow.unsafe.imports_passed_through():
    import orjson
    import zstandard

    from timeline.spec.changes import is_move
    from timeline.spec.spec import Spec
    from timeline.tables.wire import Wire
    from workflows import life
    from workflows.names import REGISTRY_TYPE, fragment_id

#: The most pieces of files that one source remembers; each is about 150 bytes of state.
MAX_SEGMENTS = 2_000
#: A run that has started so many nodes continues as new: Temporal lets one have 2 000 children that run,
#: and a timeline of 256 streams needs most of them.
STARTS_A_RUN = 200


@workflow.defn(name=REGISTRY_TYPE)
class RegistryWorkflow:
    """One per namespace. Updates run one after another, so that starting and stopping never cross."""

    @workflow.init
    def __init__(self, state: RegistryState | bytes | None = None) -> None:
        # Carried as bytes, as nodes do, because only bytes go out to a store; once it was JSON.
        carried: RegistryState | None = (
            orjson.loads(zstandard.ZstdDecompressor().decompress(state))
            if isinstance(state, bytes)
            else state
        )
        self.state = carried or RegistryState(timelines={}, users={}, logs={})
        self.lock = asyncio.Lock()
        self.wiring = Wiring(self.state)

    @workflow.run
    async def run(self, state: RegistryState | bytes | None = None) -> None:
        most = STARTS_A_RUN if workflow.patched("starts-a-run") else None
        await workflow.wait_condition(
            lambda: (
                workflow.info().is_continue_as_new_suggested()
                or (most is not None and self.wiring.started >= most)
            )
        )
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(zstandard.ZstdCompressor(level=3).compress(orjson.dumps(self.state)))

    # --- updates ---------------------------------------------------------------------------------

    @protocol.REGISTER.handler
    async def register(self, wire: Wire, places: protocol.Places | None = None) -> Wire:
        """Starts what a timeline needs and does not run yet. The same spec again changes nothing."""
        await self.register_all([wire], {}, places or {})
        return wire

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
        """
        specs = [Spec.from_wire(wire) for wire in wires]
        async with self.lock:
            timelines = self.state["timelines"]
            befores: dict[str, Wire] = {}
            for spec, wire in zip(specs, wires, strict=True):
                known = timelines.get(spec.name)
                if known is not None and known != wire:
                    version = life.standing(self._life(spec.name), known)["version"]
                    if replaces.get(spec.name) != version:
                        raise _conflict(spec.name, version, replaces.get(spec.name))
                    if known.get("sink"):
                        raise _has_sink(spec.name)
                    befores[spec.name] = known
            pairs = [(Spec.from_wire(befores[s.name]), s) for s in specs if s.name in befores]
            moves = [(before, after) for before, after in pairs if is_move(before, after)]
            held = await hand_over(self.wiring, moves) if moves and workflow.patched("handover") else []
            try:
                return await self._switch(specs, wires, befores, places or {})
            finally:
                # Not before the new ones are registered: what is fed from now on is fed to them too.
                await self.wiring.go_on(held)

    @protocol.PAUSE.handler
    async def pause(self, name: str, paused: bool) -> bool:
        """Pauses a timeline, or has it go on: feeders heed that. False if it was so already."""
        async with self.lock:
            wire = self._registered(name)
            lives = self.state.setdefault("lives", {})
            was = life.standing(lives.get(name), wire)["paused"]
            lives.setdefault(name, life.Life(versions=life.versions(None, wire)))["paused"] = paused
        return was != paused

    @protocol.REMOVE.handler
    async def remove(self, name: str) -> list[str]:
        """Forgets a timeline and stops the nodes that nobody else uses; returns their ids."""
        async with self.lock:
            spec = Spec.from_wire(self._registered(name))
            stopped = []
            for stream in self.wiring.streams(spec):
                stopped += await self.wiring.stop(spec, stream)
            del self.state["timelines"][name]
            self.state.get("lives", {}).pop(name, None)
            self._forget_sources()
        return stopped

    @protocol.EXTEND_LOG.handler
    async def extend_log(self, source: str, files: list[Segment]) -> list[Segment]:
        """Appends what is new of some files to a source's log; returns the whole log.

        A file is known by path and fingerprint: what the log has of it already is not added again. What
        it has under another name the feeder has found out; but for a copy that somebody feeds meanwhile.
        """
        if files and source in self.state.get("topics", {}):
            raise ApplicationError(
                f"source {source} is fed from its topic; a timeline that is to have files "
                "needs a source of its own: register it without source.topic",
                type="Conflict",
                non_retryable=True,
            )
        log = self.state["logs"].setdefault(source, [])
        for file in files:
            after = 0 if file.get("again") else max(_had(log, file), file["after"])
            if file["last"] <= after and not _goes_on(log, file):
                continue
            if len(log) >= MAX_SEGMENTS:
                raise ApplicationError(
                    f"source {source} has had {MAX_SEGMENTS} files or pieces of files, the most "
                    "that are remembered; put the files together, or register a timeline anew",
                    type="Limit",
                    non_retryable=True,
                )
            log.append(Segment(**{**file, "after": after}))
            log[-1].pop("again", None)
        return log

    @protocol.NOTE_GAP.handler
    async def note_gap(self, source: str, gap: Gap) -> None:
        """Takes note of messages that a source's timelines will never have."""
        topic = self.state.get("topics", {}).get(source)
        if topic is not None and gap not in topic.setdefault("gaps", []):
            topic["gaps"].append(gap)

    @protocol.OPEN_TOPIC.handler
    async def open_topic(self, source: str, topic: Topic) -> Topic:
        """Starts the nodes of a topic's partitions. Who comes first says where they begin; returns that."""
        async with self.lock:
            if self.state["logs"].get(source):
                raise ApplicationError(
                    f"source {source} was fed from files, so that its topic cannot be read; "
                    "register the timeline anew (timeline remove, then register), or under another name",
                    type="Conflict",
                    non_retryable=True,
                )
            specs = [Spec.from_wire(wire) for wire in self.state["timelines"].values()]
            specs = [spec for spec in specs if spec.source_id == source]
            if not specs:
                raise ApplicationError(
                    f"no timeline is registered on source {source}", type="NotFound", non_retryable=True
                )
            topics = self.state.setdefault("topics", {})
            if source not in topics:
                topics[source] = topic
                for spec in specs:
                    await asyncio.gather(
                        *(self.wiring.start([spec], stream) for stream in self.wiring.streams(spec))
                    )
        return topics[source]

    @protocol.USE_STORE.handler
    async def use_store(self, store: str, max_state: int) -> None:
        """Workers keep large states in a store from now on: nodes may have so many bytes, full ones go on."""
        async with self.lock:
            old = self.state.get("max_state")
            self.state["store"] = store
            self.state["max_state"] = max_state
            if old != max_state:
                await self.wiring.limit(self.state["users"], max_state)

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
        return {name: life.standing(self._life(name), wire) for name, wire in timelines}

    @protocol.VERSIONS.handler
    def versions(self, name: str) -> list[life.Version]:
        """The remembered versions of a timeline, oldest first; none if it is not registered."""
        wire = self.state["timelines"].get(name)
        return [] if wire is None else life.versions(self._life(name), wire)

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

    def _registered(self, name: str) -> Wire:
        wire = self.state["timelines"].get(name)
        if wire is None:
            raise ApplicationError(f"no timeline {name!r} is registered", type="NotFound", non_retryable=True)
        return wire

    async def _switch(
        self, specs: list[Spec], wires: list[Wire], befores: dict[str, Wire], places: protocol.Places
    ) -> list[protocol.Accepted]:
        """Starts what is missing for specs, registers them, and stops what those of before had."""
        sources: dict[str, list[Spec]] = {}
        for spec in specs:
            sources.setdefault(spec.source_id, []).append(spec)
        await asyncio.gather(
            *(
                self.wiring.start(same, stream, _place(places, source, stream))
                for source, same in sources.items()
                for stream in self.wiring.streams(same[0])
            )
        )
        done = []
        for spec, wire in zip(specs, wires, strict=True):
            before = befores.get(spec.name)
            is_new = self.state["timelines"].get(spec.name) != wire
            if is_new:
                lives = self.state.setdefault("lives", {})
                lives[spec.name] = life.accepted(lives.get(spec.name), before, wire, workflow.now())
            self.state["timelines"][spec.name] = wire
            stopped = [] if before is None else await self._retire(Spec.from_wire(before), spec)
            version = life.standing(self._life(spec.name), wire)["version"]
            done.append(protocol.Accepted(version=version, new=is_new, stopped=stopped))
        if befores:
            self._forget_sources()
        return done

    def _life(self, name: str) -> life.Life | None:
        return self.state.get("lives", {}).get(name)

    async def _retire(self, before: Spec, after: Spec) -> list[str]:
        """Stops what a timeline used before its spec was changed, and nobody uses now."""
        same = before.source_id == after.source_id
        stopped = []
        for stream in self.wiring.streams(before):
            kept = {fragment_id(after, f, stream) for f in after.fragments} if same else set()
            stopped += await self.wiring.stop(before, stream, kept)
        logs = self.state["logs"]
        if not same and before.source.topic is after.source.topic is None and before.source_id in logs:
            # Files are those of the timeline, whatever its source is called: the next feed reads them again.
            logs[after.source_id] = logs.pop(before.source_id)
        return stopped

    def _forget_sources(self) -> None:
        """Drops the files and topics of sources that no timeline is on."""
        sources = {Spec.from_wire(w).source_id for w in self.state["timelines"].values()}
        self.state["logs"] = {s: log for s, log in self.state["logs"].items() if s in sources}
        topics = self.state.get("topics", {})
        for source in [source for source in topics if source not in sources]:
            del topics[source]


def _place(places: protocol.Places, source: str, stream: int) -> list[int] | None:
    streams = places.get(source, [])
    return streams[stream] if stream < len(streams) else None


def _goes_on(log: Sequence[Segment], entry: Segment) -> bool:
    """Whether an entry is a mark, and not what a log ends with already."""
    return "mark" in entry and not (log and log[-1].get("mark", -1) >= entry["mark"])


def _had(log: Sequence[Segment], file: Segment) -> int:
    """How many lines of a file a log has."""
    name, content = (file["path"], file["fingerprint"]), file.get("content")
    return max(
        (
            part["last"]
            for part in log
            if (part["path"], part["fingerprint"]) == name
            or (content is not None and (part.get("content"), part["last"]) == (content, file["last"]))
        ),
        default=0,
    )


def _conflict(name: str, version: int, seen: int | None) -> ApplicationError:
    """Another spec than the one that is registered, which nobody asked to replace, or not any more."""
    if seen is None:
        hint = f"`timeline register` with --yes changes it, `timeline remove {name}` makes room"
        what = f"a timeline {name!r} is registered with another spec (v{version}); {hint}"
    else:
        what = f"timeline {name!r} was v{seen} when you looked and is v{version} now; look again"
    return ApplicationError(what, type="Conflict", non_retryable=True)


def _has_sink(name: str) -> ApplicationError:
    """Rows of two specs would share their ids."""
    what = (
        f"timeline {name!r} has a [sink] and cannot be changed: rows of both specs would have the same ids; "
        "register the changed one under another name, with a place of its own, or remove this one first"
    )
    return ApplicationError(what, type="Conflict", non_retryable=True)

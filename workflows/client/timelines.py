"""What the command line and the feeder ask of Temporal: register, signal, query."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    RPCError,
    WithStartWorkflowOperation,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCStatusCode

from timeline.aggregate import Partial, Request, Result, kinds_of, merge
from timeline.errors import (
    BusyError,
    LimitError,
    NotFoundError,
    RequestError,
    RetentionError,
    ServiceError,
    SplitKeyError,
    StoreError,
    TimelineError,
)
from timeline.plan import PlanNode
from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position
from timeline.tables.wire import from_position, to_events, to_position
from timeline.values.scalars import Value
from workflows.connection import connect, no_worker, task_queue, worker_is_there
from workflows.life import Standing, Version
from workflows.names import REGISTRY_ID, REGISTRY_TYPE, node_id, sink_id, streams_of
from workflows.payloads.codec import prepared
from workflows.protocol import MAX_ANSWER, Segment, Topic

T = TypeVar("T")
#: How long an answer may take before it is asked whether there is a worker at all; and at most.
PATIENCE = 3.0
ANSWER_TIMEOUT = 15.0
#: Seconds after which a query is sent once more, and whichever is answered first counts: what a worker had
#: when it was killed is given to no other. Questions over all keys may take their time.
LOST_AFTER, SLOW_AFTER = 0.7, 4.0
#: An update that the server had given to a worker that was killed is rejected as not processed.
UPDATE_ATTEMPTS = 4
#: Nodes that one update of the registry may be asked to start, unless one timeline alone has more.
NODES_AT_ONCE = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """The value of a key at ``at`` (ms), over the stream's prefix that ends at ``position``.

    ``final``: no acceptable event can change it any more. ``error`` says why there is no value.
    """

    key: str
    at: int | None
    value: Value
    position: Position | None
    final: bool
    error: str | None = None
    #: Where the key's values begin (ms), and are exact, if the node was started later than the key.
    exact_from: int | None = None
    #: Where operators with memory began (ms) instead of at the key's origin.
    counted_from: int | None = None


@dataclass(frozen=True, slots=True)
class KeyTimeline:
    """A node's whole timeline of a key: rows as `Table.json_rows` has them, times in ms."""

    origin: int
    newest: int
    rows: list[list[Any]]
    #: Why there are none, if the key is quarantined.
    error: str | None = None
    #: As in `Answer`.
    exact_from: int | None = None
    counted_from: int | None = None


def _was_cut(error: BaseException | None) -> bool:
    """Whether the server gave up because the worker that it had asked has gone."""
    return isinstance(error, RPCError) and error.status is RPCStatusCode.CANCELLED


async def _until_answered(ask: Callable[[], Awaitable[T]], after: float) -> T:
    """The first answer to what is asked: again when it is cut off, and after so many seconds without any
    answer, then twice as many, and so on."""
    tasks = {asyncio.ensure_future(ask())}
    try:
        while True:
            done, _ = await asyncio.wait(tasks, timeout=after, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not _was_cut(task.exception()):
                    return task.result()
            tasks -= done
            if not done:
                after *= 2
            if not done or not tasks:
                tasks.add(asyncio.ensure_future(ask()))
    finally:
        for task in tasks:
            task.cancel()


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a spec: the version it is, whether that is new, which version it ``replaced`` (null:
    there was none), and the ids of the nodes that stopped because of that."""

    spec: Spec
    version: int
    new: bool
    replaced: int | None
    stopped: tuple[str, ...]


def _split(spec: Spec, key: str) -> SplitKeyError:
    return SplitKeyError(
        f"key {key!r} has events in several partitions of {spec.source.topic}, so that no stream has them "
        f"all; producers must send with the column {spec.source.key!r} as the message key, or all without "
        "one to a topic with one partition"
    )


class Timelines:
    """Timelines on a Temporal server.

    Every method raises `ServiceError` if the server or a worker does not answer.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    @classmethod
    async def connect(cls) -> Timelines:
        """Connects as Temporal's environment configuration says."""
        return cls(await connect())

    # --- the registry ----------------------------------------------------------------------------

    async def register(self, spec: Spec) -> None:
        """Starts what the timeline needs; the same spec again changes nothing.

        Raises:
            TimelineError: a timeline of that name has another spec; `register_all` can replace it.
        """
        await self._update("register", spec.to_wire())

    async def register_all(
        self,
        specs: Sequence[Spec],
        replaces: Mapping[str, int] | None = None,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> list[Registered]:
        """Starts what many timelines need, a hundred of them in seconds; a spec may be another than the
        one that is registered under its name if ``replaces`` has the version of that.

        ``on_progress`` is told how many are done.

        Raises:
            TimelineError: two specs have one name, or a timeline has another spec; none is registered then.
        """
        twice = [name for name, count in Counter(spec.name for spec in specs).items() if count > 1]
        if twice:
            raise TimelineError(f"two specs are called {twice[0]!r}; give each timeline a name of its own")
        replaces = dict(replaces or {})
        known, standings = await self.specs(), await self.standings()
        for spec in specs:
            if spec != known.get(spec.name, spec) and spec.name not in replaces:
                # What the registry says of it; all that comes before is not registered then.
                await self.register(spec)
        done: list[Registered] = []
        for part in self._parts(specs, await self.topics()):
            wires = [spec.to_wire() for spec in part]
            seen = {spec.name: replaces[spec.name] for spec in part if spec.name in replaces}
            for spec, row in zip(part, await self._update("register_all", wires, seen), strict=True):
                replaced = standings.get(spec.name) if row["new"] else None
                changed = None if replaced is None else replaced["version"]
                done.append(Registered(spec, row["version"], row["new"], changed, tuple(row["stopped"])))
            on_progress(len(done))
        return done

    def _parts(self, specs: Sequence[Spec], topics: Mapping[str, Topic]) -> Iterator[list[Spec]]:
        """Specs that go into one update: so few nodes that it is done long before anybody loses patience."""
        part: list[Spec] = []
        nodes = 0
        for spec in specs:
            topic = topics.get(spec.source_id)
            more = len(spec.plan.nodes) * spec.limits.shards * (topic["partitions"] if topic else 1)
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
        return bool(await self._update("pause", name, True))

    async def resume(self, name: str) -> bool:
        """Has a paused timeline go on from where it stands; false if it was not paused.

        Raises:
            NotFoundError: there is no such timeline.
        """
        await self.spec(name)
        return bool(await self._update("pause", name, False))

    async def standings(self) -> dict[str, Standing]:
        """Version of each timeline, since when, and whether it is paused, by name."""
        with contextlib.suppress(NotFoundError):
            standings: dict[str, Standing] = await self._query(REGISTRY_ID, "lives")
            return standings
        return {}

    async def paused(self) -> set[str]:
        """The names of the timelines that are paused."""
        return {name for name, standing in (await self.standings()).items() if standing["paused"]}

    async def versions(self, name: str) -> list[Version]:
        """The last versions of a timeline, oldest first.

        Raises:
            NotFoundError: there is no such timeline.
        """
        await self.spec(name)
        versions: list[Version] = await self._query(REGISTRY_ID, "versions", name)
        return versions

    async def remove(self, name: str) -> list[str]:
        """Removes a timeline; returns the ids of the nodes that stopped, because nobody uses them.

        Raises:
            NotFoundError: there is no such timeline.
        """
        await self.spec(name)
        stopped: list[str] = await self._update("remove", name)
        return stopped

    async def extend_log(self, source_id: str, files: Sequence[Segment]) -> list[Segment]:
        """Appends what is new of some files to a source's log; the whole log."""
        log: list[Segment] = await self._update("extend_log", source_id, list(files))
        return log

    async def specs(self) -> dict[str, Spec]:
        """All registered timelines by name."""
        try:
            found = await self._query(REGISTRY_ID, "timelines")
        except NotFoundError:
            return {}
        return {name: Spec.from_wire(wire) for name, wire in sorted(found.items())}

    async def spec(self, name: str) -> Spec:
        """The spec of a timeline.

        Raises:
            NotFoundError: there is none; with the names there are.
        """
        specs = await self.specs()
        if name in specs:
            return specs[name]
        near = difflib.get_close_matches(name, specs, 1)
        hint = f"did you mean {near[0]!r}?" if near else "`timeline list` shows what there is"
        raise NotFoundError(f"no timeline {name!r} is registered; {hint}")

    async def users(self) -> dict[str, list[str]]:
        """For every running node, the names of the timelines that use it."""
        users: dict[str, list[str]] = await self._query(REGISTRY_ID, "users")
        return users

    async def topics(self) -> dict[str, Topic]:
        """The topics that feeders have taken, by source."""
        with contextlib.suppress(NotFoundError):
            topics: dict[str, Topic] = await self._query(REGISTRY_ID, "topics")
            return topics
        return {}

    async def open_topic(self, source_id: str, topic: Topic) -> Topic:
        """Starts the nodes of a topic's partitions; the topic as it was when that was first done.

        Raises:
            NotFoundError: no timeline is on the source.
            TimelineError: the source was fed from files.
        """
        opened: Topic = await self._update("open_topic", source_id, topic)
        return opened

    async def streams(self, spec: Spec) -> range:
        """The numbers of the streams of a timeline's source."""
        if spec.source.topic is None:
            return range(spec.limits.shards)
        topic = (await self.topics()).get(spec.source_id)
        return range(spec.limits.shards * (topic["partitions"] if topic else 1))

    async def store(self) -> str | None:
        """The store in which workers keep large states, if they do."""
        with contextlib.suppress(NotFoundError):
            return str(await self._query(REGISTRY_ID, "store") or "") or None
        return None

    async def use_store(self, url: str, max_state: int) -> None:
        """Says that workers keep large states there, so that a node's may have ``max_state`` bytes."""
        await self._update("use_store", url, max_state)

    # --- nodes -----------------------------------------------------------------------------------

    async def status(self, workflow_id: str) -> dict[str, Any]:
        """A node's position, counters and sizes, as `workflows.node.NodeWorkflow.status` gives them."""
        status: dict[str, Any] = await self._query(workflow_id, "status")
        return status

    async def sinks(self, spec: Spec) -> list[dict[str, Any]]:
        """What the sink of a timeline says on each stream (`workflows.sink.SinkWorkflow.status`); with an
        ``error`` and its ``attempt`` if it tries in vain to write."""
        if spec.sink is None:
            return []
        ids = [sink_id(spec, stream) for stream in await self.streams(spec)]
        return list(await asyncio.gather(*map(self.sink, ids)))

    async def sink(self, workflow_id: str) -> dict[str, Any]:
        """What one sink says, as `sinks` has it."""
        status = await self.status(workflow_id)
        described = await self.client.get_workflow_handle(workflow_id).describe()
        failing = [a for a in described.raw_description.pending_activities if a.last_failure.message]
        trying = {"error": failing[0].last_failure.message, "attempt": failing[0].attempt} if failing else {}
        return {"workflow": workflow_id, **status, **trying}

    async def position(self, workflow_id: str) -> Position | None:
        """The place in the stream that a node's table stands for."""
        return from_position(await self._query(workflow_id, "position"))

    async def stands(self, workflow_id: str) -> tuple[Position | None, str]:
        """A node's position, and which of all that ever had its id it is."""
        answer = await self._query(workflow_id, "stands")
        return from_position(answer["position"]), answer["born"]

    async def values(
        self, spec: Spec, node: PlanNode, wanted: Sequence[tuple[str, int | None]]
    ) -> list[Answer]:
        """A node's values at ``(key, tick)`` pairs, in their order; tick ``None`` is the key's newest.

        Raises:
            NotFoundError: a key of which no event was heard.
            SplitKeyError: a key whose events are in several partitions of the topic.
        """
        answers: dict[int, Answer] = {}
        for stream, indices in (await self._by_stream(spec, [key for key, _ in wanted])).items():
            workflow_id = node_id(spec, node, stream)
            for first in range(0, len(indices), MAX_ANSWER):
                part = indices[first : first + MAX_ANSWER]
                answer = await self._query(workflow_id, "values", [list(wanted[i]) for i in part])
                position = from_position(answer["position"])
                for i, value in zip(part, answer["values"], strict=True):
                    if value is None:
                        continue
                    if i in answers:
                        raise _split(spec, wanted[i][0])
                    answers[i] = Answer(
                        wanted[i][0],
                        value["at"],
                        value.get("value"),
                        position,
                        value.get("final", False),
                        value.get("error"),
                        value.get("exact_from"),
                        value.get("counted_from"),
                    )
        for i, (key, _) in enumerate(wanted):
            if i not in answers:
                raise await self._no_key(spec, node, key)
        return [answers[i] for i in range(len(wanted))]

    async def request(
        self,
        spec: Spec,
        *,
        start: int | None = None,
        end: int | None = None,
        every: int | None = None,
        **words: Any,
    ) -> Request:
        """A question over all keys, as `timeline.aggregate.Request.parse` reads its ``words``; a series
        (``every``, ms) begins at the earliest origin and ends at the newest event unless it is said.

        Raises:
            RequestError: what cannot be asked of the timeline's outputs.
            ExpressionError: a condition that cannot be understood.
            NotFoundError: there were no events, and nothing says when the series is to begin and end.
        """
        kinds = kinds_of(spec.plan)
        if every is not None and (start is None or end is None):
            Request.parse(kinds, **words)  # says what is wrong before anything is asked
            origin, newest = await self.span(spec)
            start = origin if start is None else start
            end = newest if end is None else end
        return Request.parse(kinds, start=start, end=end, every=every, **words)

    async def aggregate(self, spec: Spec, request: Request) -> Result:
        """The answer to a question over all keys: one query of the result node of each stream, merged.

        ``positions`` of the answer are those of the streams, by number.

        Raises:
            LimitError: more than one answer holds, or takes too long; with what to ask instead.
            RequestError: the request does not fit the outputs.
        """
        wire = request.to_wire()

        async def ask(stream: int) -> Partial:
            workflow_id = node_id(spec, spec.plan.result, stream)
            answer = await self._query(workflow_id, "aggregate", wire)
            if "error" in answer:
                errors = {"BusyError": BusyError, "LimitError": LimitError}
                raise errors.get(answer["class"], RequestError)(answer["error"])
            return Partial.from_wire(answer["partial"], request)

        streams = await self.streams(spec)
        answers = await asyncio.gather(*map(ask, streams), return_exceptions=True)
        partials: list[Partial] = []
        for stream, answer in zip(streams, answers, strict=True):
            if isinstance(answer, BusyError):
                # Alone it may have the time that it had not beside the others.
                partials.append(await ask(stream))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                partials.append(answer)
        return merge(request, partials, kinds_of(spec.plan))

    async def span(self, spec: Spec) -> tuple[int, int]:
        """The earliest origin and the newest event (ms) of all keys of a timeline.

        Raises:
            NotFoundError: it has had no events.
        """
        ids = [node_id(spec, spec.plan.result, stream) for stream in await self.streams(spec)]
        spans = [s for s in await asyncio.gather(*(self._query(i, "span") for i in ids)) if s is not None]
        if not spans:
            raise NotFoundError(
                f"timeline {spec.name!r} has had no events, so that a series begins and ends nowhere; "
                "say from when to when, or feed it"
            )
        return min(first for first, _ in spans), max(last for _, last in spans)

    async def refused(
        self, spec: Spec, stream: int, after: Position | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """The events of a stream that were refused, from behind a position on: position, key, time (ms) and
        reason of those that are kept."""
        leaf = spec.plan.leaves[0]  # all leaves get, and refuse, the same events
        async for event in self.refused_by(node_id(spec, leaf, stream), after):
            yield event

    async def refused_by(
        self, workflow_id: str, after: Position | None = None, last: Position | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """The events that a leaf refused, from behind a position on, up to and including ``last``."""
        while page := await self._query(workflow_id, "refused", to_position(after)):
            for row in page:
                if last is not None and tuple(row[0]) > last:
                    return
                yield dict(zip(("position", "key", "at", "reason"), row, strict=True))
            if len(page) < MAX_ANSWER:
                return
            after = tuple(page[-1][0])

    async def quarantined(self, spec: Spec) -> list[dict[str, Any]]:
        """The keys whose operator raises: workflow, node (its text), key, position, error of each."""
        found: list[dict[str, Any]] = []
        for stream in await self.streams(spec):
            for node in spec.plan.nodes:
                workflow_id, first = node_id(spec, node, stream), 0
                while page := await self._query(workflow_id, "quarantined", first):
                    first += len(page)
                    about = {"workflow": workflow_id, "node": node.text}
                    found += [about | held for held in page if held["own"]]
        return found

    async def release(self, spec: Spec, key: str) -> list[str]:
        """Has a quarantined key tried again; the ids of the nodes whose operators raised for it.

        Raises:
            NotFoundError: the key is not quarantined.
            RetentionError: what it would be rebuilt from is gone.
        """
        held = [q for q in await self.quarantined(spec) if q["key"] == key]
        if not held:
            raise NotFoundError(f"key {key!r} of timeline {spec.name!r} is not quarantined")
        for q in held:
            if q["lost"]:
                raise RetentionError(
                    f"key {key!r} was quarantined at position {q['position']} and limits.retention has "
                    "passed: what it would be rebuilt from is gone; remove the timeline, register it and "
                    "feed it again"
                )
        for q in held:
            try:
                await self.client.get_workflow_handle(q["workflow"]).signal("release", key)
            except RPCError as error:
                raise self._rpc_error(error, q["workflow"]) from None
        return [q["workflow"] for q in held]

    async def leaf_status(self, spec: Spec, stream: int) -> dict[str, Any]:
        """The status of one leaf, which accepts and refuses what all do."""
        return await self.status(node_id(spec, spec.plan.leaves[0], stream))

    async def recent(self, spec: Spec, stream: int, most: int) -> dict[str, Any]:
        """The keys of a stream with the newest events: ``keys`` (key, at, value, error, stream), ``count``
        of all, ``position``."""
        answer: dict[str, Any] = await self._query(node_id(spec, spec.plan.result, stream), "recent", most)
        rows = [{"value": None, "error": None, "stream": stream} | row for row in answer["keys"]]
        return answer | {"keys": rows}

    async def keys(self, spec: Spec) -> list[str]:
        """The names of all keys that the timeline has heard of, sorted."""
        streams = await self.streams(spec)
        names = await asyncio.gather(*(self.keys_on(spec, stream) for stream in streams))
        return sorted({name for part in names for name in part})

    async def keys_on(self, spec: Spec, stream: int) -> list[str]:
        """The names of the keys of one stream, in order of appearance."""
        names: list[str] = []
        workflow_id = node_id(spec, spec.plan.result, stream)
        while page := await self._query(workflow_id, "keys", len(names)):
            names += page
        return names

    async def timelines(self, spec: Spec, node: PlanNode, keys: Sequence[str]) -> dict[str, KeyTimeline]:
        """A node's whole timelines of some keys; a key that it has not heard of is left out.

        Raises:
            SplitKeyError: a key whose events are in several partitions of the topic.
        """
        found: dict[str, KeyTimeline] = {}
        for stream, indices in (await self._by_stream(spec, keys)).items():
            here = await self.timelines_on(spec, node, stream, [keys[i] for i in indices])
            for key in here.keys() & found.keys():
                raise _split(spec, key)
            found |= here
        return found

    async def timelines_on(
        self, spec: Spec, node: PlanNode, stream: int, keys: Sequence[str]
    ) -> dict[str, KeyTimeline]:
        """The same, of keys that live on one stream."""
        found: dict[str, KeyTimeline] = {}
        # Rows are many: few keys a question, so that no answer nears the limit of a message.
        for first in range(0, len(keys), 100):
            part = keys[first : first + 100]
            answer = await self._query(node_id(spec, node, stream), "timelines", part)
            found |= {key: KeyTimeline(**timeline) for key, timeline in answer["timelines"].items()}
        return found

    async def _by_stream(self, spec: Spec, keys: Sequence[str]) -> dict[int, list[int]]:
        """For each stream the indices of the keys that may live there."""
        shards = spec.limits.shards
        partitions = len(await self.streams(spec)) // shards
        streams: dict[int, list[int]] = {}
        for i, key in enumerate(keys):
            for stream in streams_of(key, shards, partitions):
                streams.setdefault(stream, []).append(i)
        return streams

    async def signal_events(
        self,
        leaves: Mapping[str, frozenset[str]],
        events: Events,
        last: Position,
        about: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Signals a batch to leaves, each with the columns it reads; returns when the server has them.

        ``about`` is what `workflows.node.NodeWorkflow.events` is told besides, by leaf.
        """
        payloads = {}
        for columns in leaves.values():
            if columns not in payloads:
                part = {name: events.columns[name] for name in sorted(columns)}
                narrow = Events(events.keys, events.key, events.tick, part, events.position)
                payloads[columns] = prepared(to_events(narrow, last))
        try:
            await asyncio.gather(
                *(
                    self.client.get_workflow_handle(leaf).signal(
                        "events", args=[payloads[columns], *([about[leaf]] if about else [])]
                    )
                    for leaf, columns in leaves.items()
                )
            )
        except RPCError as error:
            raise self._rpc_error(error, "a leaf") from None

    # --- asking ----------------------------------------------------------------------------------

    async def _no_key(self, spec: Spec, node: PlanNode, key: str) -> NotFoundError:
        names = await self.keys(spec)
        near = difflib.get_close_matches(key, names[:10_000], 1)
        count = f"{len(names)} key{'' if len(names) == 1 else 's'}"
        hint = f"did you mean {near[0]!r}?" if near else f"it has heard of {count}"
        return NotFoundError(f"timeline {spec.name!r} has no events of key {key!r}; {hint}")

    async def _query(self, workflow_id: str, name: str, *args: Any) -> Any:
        handle = self.client.get_workflow_handle(workflow_id)
        timeout = timedelta(seconds=ANSWER_TIMEOUT)
        try:
            return await self._patiently(
                _until_answered(
                    lambda: handle.query(name, args=args, rpc_timeout=timeout),
                    SLOW_AFTER if name == "aggregate" else LOST_AFTER,
                )
            )
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            if "TMPRL1105" in str(error):  # the SDK's code for a claim without a store
                hint = "its worker has none; start it with --store, or set TIMELINE_STORE"
                raise StoreError(f"the state of {workflow_id} is in a store, and {hint}") from None
            raise ServiceError(f"{workflow_id} could not answer {name!r}: {error}") from None
        except RPCError as error:
            raise self._rpc_error(error, workflow_id) from None

    async def _update(self, name: str, *args: Any) -> Any:
        """What the registry says to an update; again if the worker that had it was killed before it began."""
        for attempt in range(UPDATE_ATTEMPTS):
            start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
                REGISTRY_TYPE,
                id=REGISTRY_ID,
                task_queue=task_queue(),
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary="timelines, their nodes and their files",
            )
            try:
                return await self._patiently(
                    self.client.execute_update_with_start_workflow(
                        name, args=args, start_workflow_operation=start
                    )
                )
            except WorkflowUpdateFailedError as error:
                cause = error.cause
                kind = cause.type if isinstance(cause, ApplicationError) else None
                if kind == "UnprocessedUpdate" and attempt < UPDATE_ATTEMPTS - 1:
                    continue
                errors: dict[str | None, type[TimelineError]] = {
                    "NotFound": NotFoundError,
                    "Limit": LimitError,
                    "UnprocessedUpdate": ServiceError,
                }
                message = cause.message if isinstance(cause, ApplicationError) else str(cause)
                raise errors.get(kind, TimelineError)(message) from None
            except RPCError as error:
                raise self._rpc_error(error, REGISTRY_ID) from None
        raise AssertionError("not reached")

    async def _patiently(self, answer: Awaitable[T]) -> T:
        """Waits for an answer, but says soon if nobody is there who could give it."""
        task = asyncio.ensure_future(answer)
        try:
            done, _ = await asyncio.wait({task}, timeout=PATIENCE)
            if not done and not await worker_is_there(self.client):
                raise no_worker(self.client)
            return await asyncio.wait_for(task, ANSWER_TIMEOUT - PATIENCE)
        except TimeoutError:
            raise ServiceError(
                f"no answer within {ANSWER_TIMEOUT:g} s; is the worker still running, or busy?"
            ) from None
        finally:
            task.cancel()

    def _rpc_error(self, error: RPCError, what: str) -> TimelineError:
        if error.status == RPCStatusCode.NOT_FOUND and "namespace" in error.message.lower():
            return ServiceError(f"{error.message}; set TEMPORAL_NAMESPACE to one that is there")
        if error.status == RPCStatusCode.NOT_FOUND:
            return NotFoundError(f"no workflow {what} is running")
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            return ServiceError(f"{what} did not answer in time; is its worker still running?")
        target = self.client.service_client.config.target_host
        return ServiceError(f"Temporal at {target} refused: {error.message}")

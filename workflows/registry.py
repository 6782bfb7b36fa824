"""The registry: which timelines there are, which nodes they use, and which files a source has had."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, NotRequired, TypedDict

from temporalio import workflow
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    import orjson
    import zstandard

    from timeline.emission import Emission
    from timeline.plan import PlanNode
    from timeline.spec import Spec
    from workflows.gauge import MAX_STATE
    from workflows.names import REGISTRY_TYPE, SINK_TYPE, node_id, sink_id
    from workflows.node import NodeSpec, Subscriber
    from workflows.sink import SinkSpec

#: The most pieces of files that one source remembers; each is about 150 bytes of state.
MAX_SEGMENTS = 2_000
#: A workflow may have 2 000 signals under way to others.
SIGNALS_AT_ONCE = 500


class Segment(TypedDict):
    """Lines ``after + 1 .. last`` of a file; its place in the log is the first part of positions."""

    path: str
    fingerprint: str
    after: int
    last: int


class Topic(TypedDict):
    """A topic as it was when a feeder first took it: how many partitions, and where each begins.

    A start is a position (ledger, entry, batch index) behind which events are read, or null.
    """

    partitions: int
    starts: list[list[int] | None]


class RegistryState(TypedDict):
    """What the registry carries: specs by name, users by node id, file logs and topics by source; the store
    in which workers keep large states, if they do, and how many bytes a node's may have there."""

    timelines: dict[str, dict[str, Any]]
    users: dict[str, list[str]]
    logs: dict[str, list[Segment]]
    store: NotRequired[str]
    max_state: NotRequired[int]
    topics: NotRequired[dict[str, Topic]]


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

    @workflow.run
    async def run(self, state: RegistryState | bytes | None = None) -> None:
        await workflow.wait_condition(lambda: workflow.info().is_continue_as_new_suggested())
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(zstandard.ZstdCompressor(level=3).compress(orjson.dumps(self.state)))

    # --- updates ---------------------------------------------------------------------------------

    @workflow.update
    async def register(self, wire: dict[str, Any]) -> dict[str, Any]:
        """Starts what a timeline needs and does not run yet. The same spec again changes nothing."""
        spec = Spec.from_wire(wire)
        async with self.lock:
            known = self.state["timelines"].get(spec.name)
            if known is not None and known != wire:
                raise ApplicationError(
                    f"a timeline {spec.name!r} is registered with another spec; "
                    f"remove it first (timeline remove {spec.name}) or choose another name",
                    type="Conflict",
                    non_retryable=True,
                )
            await asyncio.gather(*(self._start(spec, stream) for stream in self._streams(spec)))
            self.state["timelines"][spec.name] = wire
        return wire

    @workflow.update
    async def remove(self, name: str) -> list[str]:
        """Forgets a timeline and stops the nodes that nobody else uses; returns their ids."""
        async with self.lock:
            wire = self.state["timelines"].get(name)
            if wire is None:
                raise ApplicationError(
                    f"no timeline {name!r} is registered", type="NotFound", non_retryable=True
                )
            spec = Spec.from_wire(wire)
            stopped = []
            for stream in self._streams(spec):
                stopped += await self._stop(spec, stream)
            del self.state["timelines"][name]
            sources = {Spec.from_wire(w).source_id for w in self.state["timelines"].values()}
            self.state["logs"] = {s: log for s, log in self.state["logs"].items() if s in sources}
            topics = self.state.get("topics", {})
            for source in [source for source in topics if source not in sources]:
                del topics[source]
        return stopped

    @workflow.update
    async def extend_log(self, source: str, files: list[Segment]) -> list[Segment]:
        """Appends what is new of some files to a source's log; returns the whole log.

        A file is known by path and fingerprint: what the log has of it already is not added again.
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
            had = [
                s["last"] for s in log if (s["path"], s["fingerprint"]) == (file["path"], file["fingerprint"])
            ]
            after = max(had, default=0)
            if file["last"] <= after:
                continue
            if len(log) >= MAX_SEGMENTS:
                raise ApplicationError(
                    f"source {source} has had {MAX_SEGMENTS} files or pieces of files, the most "
                    "that are remembered; put the files together, or register a timeline anew",
                    type="Limit",
                    non_retryable=True,
                )
            log.append(
                Segment(
                    path=file["path"],
                    fingerprint=file["fingerprint"],
                    after=after,
                    last=file["last"],
                )
            )
        return log

    @workflow.update
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
                    await asyncio.gather(*(self._start(spec, stream) for stream in self._streams(spec)))
        return topics[source]

    @workflow.update
    async def use_store(self, store: str, max_state: int) -> None:
        """Workers keep large states in a store from now on: nodes may have so many bytes, full ones go on."""
        async with self.lock:
            old = self.state.get("max_state")
            self.state["store"] = store
            self.state["max_state"] = max_state
            nodes = [] if old == max_state else list(self.state["users"])
            for first in range(0, len(nodes), SIGNALS_AT_ONCE):
                part = nodes[first : first + SIGNALS_AT_ONCE]
                await asyncio.gather(*(self._signal(node, "limit", max_state) for node in part))

    # --- queries ---------------------------------------------------------------------------------

    @workflow.query
    def store(self) -> str | None:
        """The store in which workers keep large states, if they do."""
        return self.state.get("store")

    @workflow.query
    def timelines(self) -> dict[str, Any]:
        """All specs by name."""
        return self.state["timelines"]

    @workflow.query
    def topics(self) -> dict[str, Any]:
        """The topics that feeders have taken, by source."""
        return dict(self.state.get("topics", {}))

    @workflow.query
    def users(self) -> dict[str, list[str]]:
        """For every node that runs, the timelines that use it."""
        return self.state["users"]

    # --- work ------------------------------------------------------------------------------------

    def _streams(self, spec: Spec) -> range:
        topic = self.state.get("topics", {}).get(spec.source_id)
        return range(spec.limits.shards * (topic["partitions"] if topic else 1))

    async def _start(self, spec: Spec, stream: int) -> None:
        users = self.state["users"]
        parents = _parents(spec, stream)
        missing = [n for n in spec.plan.nodes if node_id(spec, n, stream) not in users]
        shared = [n for n in spec.plan.nodes if n not in missing]
        await asyncio.gather(*(self._start_node(spec, n, stream, parents[n.index]) for n in missing))
        new_ids = {node_id(spec, n, stream) for n in missing}
        for node in shared:
            for parent in parents[node.index]:
                if parent["workflow"] in new_ids:
                    await self._signal(node_id(spec, node, stream), "subscribe", parent)
        for node in spec.plan.nodes:
            using = users.setdefault(node_id(spec, node, stream), [])
            if spec.name not in using:
                using.append(spec.name)
        if spec.sink is not None:
            await self._start_sink(spec, stream)

    async def _start_sink(self, spec: Spec, stream: int) -> None:
        max_state = self.state.get("max_state", MAX_STATE)
        args = SinkSpec(spec=spec.to_wire(), stream=stream, max_state=max_state)
        # Left over from a registry that was lost, it runs already; a snapshot does no harm then.
        with contextlib.suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                SINK_TYPE,
                args=[args],
                id=sink_id(spec, stream),
                parent_close_policy=ParentClosePolicy.ABANDON,
                cancellation_type=ChildWorkflowCancellationType.ABANDON,
            )
        for index, inputs in Emission(spec, stream).inputs().items():
            subscriber = Subscriber(workflow=sink_id(spec, stream), inputs=inputs)
            await self._signal(node_id(spec, spec.plan.nodes[index], stream), "subscribe", subscriber)

    async def _stop_sink(self, spec: Spec, stream: int) -> None:
        sink = sink_id(spec, stream)
        for index in Emission(spec, stream).inputs():
            await self._signal(node_id(spec, spec.plan.nodes[index], stream), "unsubscribe", sink)
        await self._signal(sink, "stop", None)

    async def _start_node(
        self, spec: Spec, node: PlanNode, stream: int, subscribers: list[Subscriber]
    ) -> None:
        args = NodeSpec(
            expression=node.text,
            stream=stream,
            allowed_lateness=spec.limits.allowed_lateness,
            retention=spec.limits.retention,
            key_ttl=spec.limits.key_ttl,
            subscribers=subscribers,
            max_state=self.state.get("max_state", MAX_STATE),
        )
        workflow_id = node_id(spec, node, stream)
        try:
            await workflow.start_child_workflow(
                node.operator.name,
                args=[args],
                id=workflow_id,
                static_summary=node.text[:200],
                parent_close_policy=ParentClosePolicy.ABANDON,
                cancellation_type=ChildWorkflowCancellationType.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            # Left over from a registry that was lost: it runs, so it is told of its parents.
            for subscriber in subscribers:
                await self._signal(workflow_id, "subscribe", subscriber)
            if "max_state" in self.state:
                await self._signal(workflow_id, "limit", self.state["max_state"])

    async def _stop(self, spec: Spec, stream: int) -> list[str]:
        users = self.state["users"]
        stopped = []
        if spec.sink is not None:
            await self._stop_sink(spec, stream)
        parents = _parents(spec, stream)
        for node in reversed(spec.plan.nodes):
            workflow_id = node_id(spec, node, stream)
            using = users[workflow_id] = [u for u in users.get(workflow_id, []) if u != spec.name]
            if not using:
                del users[workflow_id]
                stopped.append(workflow_id)
                await self._signal(workflow_id, "stop", None)
        # What goes on to run must not send to what has stopped.
        for node in spec.plan.nodes:
            workflow_id = node_id(spec, node, stream)
            for parent in parents[node.index]:
                if workflow_id in users and parent["workflow"] in stopped:
                    await self._signal(workflow_id, "unsubscribe", parent["workflow"])
        return stopped

    async def _signal(self, workflow_id: str, name: str, arg: Any) -> None:
        handle = workflow.get_external_workflow_handle(workflow_id)
        try:
            if arg is None:
                await handle.signal(name)
            else:
                await handle.signal(name, arg)
        except ApplicationError as error:
            # A node that somebody terminated by hand cannot be stopped again.
            workflow.logger.warning("%s to %s not delivered: %s", name, workflow_id, error)


def _parents(spec: Spec, stream: int) -> dict[int, list[Subscriber]]:
    """For each node of the plan its parents, with the inputs of theirs that it is."""
    parents: dict[int, list[Subscriber]] = {n.index: [] for n in spec.plan.nodes}
    for node in spec.plan.nodes:
        for child in sorted(set(node.inputs)):
            inputs = [i for i, c in enumerate(node.inputs) if c == child]
            parents[child].append(Subscriber(workflow=node_id(spec, node, stream), inputs=inputs))
    return parents

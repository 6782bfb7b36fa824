"""Starting and stopping the nodes and sinks of timelines, and who of them is whose parent.

A part of the registry's workflow: what is done here, and in which order, is in its history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ParamSpec

from temporalio import workflow
from temporalio.common import RetryPolicy, TypedSearchAttributes
from temporalio.exceptions import ActivityError

from workflows.protocol import NodeSpec, RegistryState, Subscriber, node
from workflows.protocol.calls import Signal
from workflows.protocol.node import Place
from workflows.protocol.registry import streams_of_source
from workflows.sinking import Sinking
from workflows.starting import Ways, started

with workflow.unsafe.imports_passed_through():
    from timeline.fragments import Fragment
    from timeline.spec.spec import Spec
    from workflows.attributes import ANSWER, attributes
    from workflows.attributes import NAME as LOOK
    from workflows.gauge import MAX_STATE
    from workflows.names import fragment_id

P = ParamSpec("P")

#: A workflow may have 2 000 signals under way to others.
SIGNALS_AT_ONCE = 500


def parents_of(spec: Spec, stream: int) -> dict[int, list[Subscriber]]:
    """For each fragment, by its root's index, its parents with the slots of theirs that it fills."""
    parents: dict[int, list[Subscriber]] = {f.root.index: [] for f in spec.fragments}
    for fragment in spec.fragments:
        for child in sorted({m.inputs[i] for m, i in fragment.slots}):
            slots = fragment.slots_of(spec.plan.nodes[child])
            parents[child].append(Subscriber(workflow=fragment_id(spec, fragment, stream), inputs=slots))
    return parents


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fragment that timelines need on a stream: one of them, and all of their fragments that are made
    of it."""

    spec: Spec
    fragment: Fragment
    stream: int
    parents: list[Subscriber]
    #: All timelines that it is of.
    names: list[str]

    def args(self, max_state: int, target: Place = None) -> NodeSpec:
        """What its workflow is started with."""
        limits = self.spec.limits
        args = NodeSpec(
            expression=self.fragment.root.text,
            stream=self.stream,
            allowed_lateness=limits.allowed_lateness,
            retention=limits.retention,
            key_ttl=limits.key_ttl,
            subscribers=self.parents,
            max_state=max_state,
        )
        if self.fragment.policy != "node":
            args["fragments"] = self.fragment.policy
        if limits.watermark != "key":
            args["watermark"] = limits.watermark
        if target is not None:
            args["target"] = target
        return args

    def found_by(self, known: Collection[str]) -> TypedSearchAttributes | None:
        """What it is found by in a namespace that knows those search attributes."""
        operator, key = self.fragment.root.operator.name, self.spec.source.key
        return attributes(known, self.names, operator, self.stream, key)


def wanted(specs: Iterable[Spec], stream: int) -> dict[str, Wanted]:
    """The fragments of timelines on one source, by workflow id, each once and children first."""
    nodes: dict[str, Wanted] = {}
    for spec in specs:
        of_spec = parents_of(spec, stream)
        for fragment in spec.fragments:
            one = nodes.setdefault(
                fragment_id(spec, fragment, stream), Wanted(spec, fragment, stream, [], [])
            )
            one.names.append(spec.name)
            one.parents.extend(p for p in of_spec[fragment.root.index] if p not in one.parents)
    return nodes


class Wiring:
    """The workflows that run for a registry: it starts, connects and stops them, and notes in the
    registry's ``state`` who uses them. ``started`` counts the nodes that this run started."""

    def __init__(self, state: RegistryState) -> None:
        self.state = state
        self.started = 0
        #: Nodes that this run told to stop, and did not start again.
        self.stopping: set[str] = set()
        #: The search attributes that the namespace knows.
        self.known: list[str] = []
        self.ways = Ways()
        self.sinking = Sinking(state, self.stopping, self.ways)

    async def look(self) -> None:
        """Finds out which search attributes the namespace has. To be called before `start`: with one that it
        has not, nothing could be started."""
        if not workflow.patched("search-attributes"):
            return
        try:
            self.known = await workflow.execute_local_activity(
                LOOK,
                result_type=list,
                schedule_to_close_timeout=timedelta(seconds=2 * ANSWER),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except ActivityError:
            self.known = []
        self.sinking.known = self.known

    def streams(self, spec: Spec) -> range:
        """The streams of a timeline's source, as far as its topic is known."""
        return streams_of_source(spec, self.state.get("topics", {}))

    async def start(self, specs: Sequence[Spec], stream: int, target: Place = None) -> None:
        """Starts what timelines on one source need on a stream, each node once; new ones have to reach a
        ``target`` before they answer."""
        users = self.state["users"]
        nodes = wanted(specs, stream)
        missing = {workflow_id for workflow_id in nodes if workflow_id not in users}
        await asyncio.gather(*(self._start_node(i, nodes[i], target) for i in nodes if i in missing))
        for workflow_id, one in nodes.items():
            for parent in one.parents if workflow_id not in missing else []:
                if parent["workflow"] in missing:
                    await node.SUBSCRIBE.tell(workflow_id, parent)
        for spec in specs:
            for fragment in spec.fragments:
                using = users.setdefault(fragment_id(spec, fragment, stream), [])
                if spec.name not in using:
                    using.append(spec.name)
        for spec in specs:
            await self.sinking.start(spec, stream)

    async def stop(self, spec: Spec, stream: int, kept: Collection[str] = ()) -> list[str]:
        """Stops the nodes of a timeline on a stream that no other uses, but for those that are kept."""
        users = self.state["users"]
        stopped = []
        await self.sinking.stop(spec, stream)
        parents = parents_of(spec, stream)
        for fragment in reversed(spec.fragments):
            workflow_id = fragment_id(spec, fragment, stream)
            if workflow_id in kept:
                continue
            using = users[workflow_id] = [u for u in users.get(workflow_id, []) if u != spec.name]
            if not using:
                del users[workflow_id]
                stopped.append(workflow_id)
                self.stopping.add(workflow_id)
                await node.STOP.tell(workflow_id)
        # What goes on to run must not send to what has stopped.
        for fragment in spec.fragments:
            workflow_id = fragment_id(spec, fragment, stream)
            for parent in parents[fragment.root.index]:
                if workflow_id in users and parent["workflow"] in stopped:
                    await node.UNSUBSCRIBE.tell(workflow_id, parent["workflow"])
        return stopped

    async def stop_all(self, spec: Spec, kept: Collection[str] = ()) -> list[str]:
        """Stops the nodes of a timeline that run and that no other uses, but for those that are kept."""
        streams = self.streams(spec)
        every = [fragment_id(spec, fragment, stream) for stream in streams for fragment in spec.fragments]
        kept = {*kept, *(i for i in every if i not in self.state["users"])}
        at_once = max(1, SIGNALS_AT_ONCE // len(spec.fragments))
        if len(streams) == 1 or not workflow.patched("stop-at-once"):
            at_once = 1
        stopped: list[str] = []
        for first in range(0, len(streams), at_once):
            part = streams[first : first + at_once]
            for ids in await asyncio.gather(*(self.stop(spec, stream, kept) for stream in part)):
                stopped += ids
        return stopped

    def adopt(self, nodes: Iterable[str]) -> None:
        """Takes note of nodes that were started elsewhere; who uses them, `start` says."""
        for workflow_id in nodes:
            self.state["users"].setdefault(workflow_id, [])
            self.stopping.discard(workflow_id)

    async def go_on(self, nodes: Iterable[str]) -> None:
        """Has nodes that were held go on, as far as they are still used."""
        await self._tell([i for i in nodes if i in self.state["users"]], node.GO_ON)

    async def give_up(self, nodes: Collection[str]) -> None:
        """Stops nodes that were started, if they were, but are not to be."""
        self.stopping.update(nodes)
        await self._tell(nodes, node.STOP)

    async def limit(self, nodes: Iterable[str], max_state: int) -> None:
        """Tells nodes how many bytes their states may have from now on."""
        await self._tell(nodes, node.LIMIT, max_state)

    @property
    def max_state(self) -> int:
        """How many bytes a node's state may have."""
        return self.state.get("max_state", MAX_STATE)

    async def _tell(self, nodes: Iterable[str], signal: Signal[P], *args: P.args, **more: P.kwargs) -> None:
        every = list(nodes)
        for first in range(0, len(every), SIGNALS_AT_ONCE):
            part = every[first : first + SIGNALS_AT_ONCE]
            await asyncio.gather(*(signal.tell(workflow_id, *args, **more) for workflow_id in part))

    async def _start_node(self, workflow_id: str, one: Wanted, target: Place) -> None:
        args = one.args(self.max_state, target)
        self.started += 1
        if not await started(
            workflow_id,
            one.fragment.root.operator.name,
            args,
            ways=self.ways,
            stopping=self.stopping,
            patch="one-of-that-id-is-stopping",
            summary=one.fragment.root.text[:200],
            found_by=one.found_by(self.known),
        ):
            # Left over from a registry that was lost: it runs, so it is told of its parents.
            for subscriber in one.parents:
                await node.SUBSCRIBE.tell(workflow_id, subscriber)
            if workflow.patched("hold"):
                await node.GO_ON.tell(workflow_id)
            if "max_state" in self.state:
                await node.LIMIT.tell(workflow_id, self.state["max_state"])
            self.stopping.discard(workflow_id)

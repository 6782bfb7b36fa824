"""Single nodes and sinks: where they stand, what is wrong with them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NotRequired, cast

from timeline.errors import NotFoundError, RetentionError
from timeline.plan import PlanNode
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.tables.wire import from_position
from workflows.client.asking import Asking
from workflows.client.registry import Registry
from workflows.names import fragment_id, merged_id, node_id, sink_id
from workflows.protocol import node as protocol
from workflows.protocol import sink as sinks


class Quarantined(protocol.HeldKey):
    """A quarantined key, with the ``workflow`` whose operator raises and the text of that ``node``."""

    workflow: str


class SinkReport(sinks.SinkStatus):
    """What a sink says, with its workflow; with an ``error`` and its ``attempt`` if it tries in vain."""

    workflow: str
    error: NotRequired[str]
    attempt: NotRequired[int]


class Nodes:
    """The workflows of nodes and sinks, by their ids (`workflows.names`)."""

    def __init__(self, asking: Asking, registry: Registry) -> None:
        self.asking = asking
        self.registry = registry

    async def status(self, workflow_id: str) -> protocol.NodeStatus:
        """A node's position, counters and sizes."""
        return await self.asking.query(workflow_id, protocol.STATUS)

    async def of_timeline(self, spec: Spec) -> list[tuple[PlanNode, str, protocol.NodeStatus]]:
        """Every node of a timeline on every stream, with the workflow where it lives and its status: what
        those that live together have in common is said of each."""
        streams = await self.registry.streams(spec)
        hosts = [fragment_id(spec, fragment, stream) for stream in streams for fragment in spec.fragments]
        told = dict(zip(hosts, await asyncio.gather(*map(self.status, hosts)), strict=True))
        found: list[tuple[PlanNode, str, protocol.NodeStatus]] = []
        for stream in streams:
            for node in spec.plan.nodes:
                workflow_id = node_id(spec, node, stream)
                status = told[workflow_id]
                for one in status.get("members", []):
                    if one["node"] == node.digest:
                        status = cast(protocol.NodeStatus, {**status, **one})
                found.append((node, workflow_id, status))
        return found

    async def position(self, workflow_id: str) -> Position | None:
        """The place in the stream that a node's table stands for, or up to which a sink has written."""
        return from_position(await self.asking.query(workflow_id, protocol.POSITION))

    async def sinks(self, spec: Spec) -> list[SinkReport]:
        """What each sink of a timeline says on each stream; nothing if it has none."""
        if not spec.sinks:
            return []
        streams = await self.registry.streams(spec)
        ids = [sink_id(spec, sink, stream) for sink in spec.sinks for stream in streams]
        reports = list(await asyncio.gather(*map(self.sink, ids)))
        for sink in spec.sinks:
            if sink.merged:
                with contextlib.suppress(NotFoundError):  # it is started when its topic is opened
                    reports.append(await self.sink(merged_id(spec, sink)))
        return reports

    async def sink(self, workflow_id: str) -> SinkReport:
        """What one sink says; of one that hands its groups over, also what is wrong where they go."""
        status = await self.asking.query(workflow_id, sinks.STATUS)
        described = await self.asking.describe(workflow_id)
        failing = [a for a in described.raw_description.pending_activities if a.last_failure.message]
        trying = {"error": failing[0].last_failure.message, "attempt": failing[0].attempt} if failing else {}
        report = cast(SinkReport, {"workflow": workflow_id, **status, **trying})
        if (merged := status.get("merged")) is not None and status["full"] is None:
            with contextlib.suppress(NotFoundError):  # it is started when its topic is opened
                there = await self.sink(merged)
                report["full"], report["until"] = there["full"], there["until"]
                if "held" in there:
                    report["held"] = there["held"]
                if "error" in there:
                    report["error"], report["attempt"] = there["error"], there["attempt"]
        return report

    async def quarantined(self, spec: Spec) -> list[Quarantined]:
        """The keys whose operator raises, each once for every node where it does."""
        found: list[Quarantined] = []
        for stream in await self.registry.streams(spec):
            for fragment in spec.fragments:
                workflow_id, first = fragment_id(spec, fragment, stream), 0
                while page := await self.asking.query(workflow_id, protocol.QUARANTINED, first):
                    first += len(page)
                    found += [{"workflow": workflow_id, **held} for held in page if held["own"]]
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
            await self.asking.signal(q["workflow"], protocol.RELEASE, key)
        return [q["workflow"] for q in held]

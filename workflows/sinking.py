"""Starting and stopping the sinks of timelines.

A part of the registry's workflow, as `workflows.wiring` is.
"""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from workflows.protocol import RegistryState, SinkSpec, Subscriber, node
from workflows.protocol.registry import streams_of_source
from workflows.protocol.sink import MergedSpec
from workflows.starting import Ways, started

with workflow.unsafe.imports_passed_through():
    from timeline.sinks.emission import Emission
    from timeline.spec.sink import Sink
    from timeline.spec.spec import Spec
    from workflows.attributes import attributes
    from workflows.gauge import MAX_STATE
    from workflows.names import MERGED_TYPE, SINK_TYPE, member, merged_id, node_id, sink_id


class Sinking:
    """The sinks that run for a registry with that ``state``; ``stopping`` are the workflows that this run
    told to stop, and did not start again, and ``ways`` is what is on its way in starts."""

    def __init__(self, state: RegistryState, stopping: set[str], ways: Ways) -> None:
        self.state = state
        self.stopping = stopping
        self.ways = ways
        #: What merges streams, as far as this run has started it.
        self.merging: set[str] = set()
        #: The search attributes that the namespace knows.
        self.known: list[str] = []

    async def start(self, spec: Spec, stream: int) -> None:
        """Starts the sinks of a timeline on a stream whose nodes run."""
        for sink in spec.sinks:
            await self._start(spec, sink, stream)

    async def stop(self, spec: Spec, stream: int) -> None:
        """Ends them."""
        for sink in spec.sinks:
            workflow_id = sink_id(spec, sink, stream)
            for index in Emission(spec, sink, stream).inputs():
                output = spec.plan.nodes[index]
                await node.UNSUBSCRIBE.tell(node_id(spec, output, stream), workflow_id)
            self.stopping.add(workflow_id)
            await node.STOP.tell(workflow_id)
            if sink.merged and stream == 0:
                workflow_id = merged_id(spec, sink)
                self.stopping.add(workflow_id)
                self.merging.discard(workflow_id)
                await node.STOP.tell(workflow_id)

    @property
    def max_state(self) -> int:
        return self.state.get("max_state", MAX_STATE)

    async def _start_merging(self, spec: Spec, sink: Sink) -> None:
        topics = self.state.get("topics", {})
        workflow_id = merged_id(spec, sink)
        # How many partitions a topic has, nobody knows before a feeder has opened it; then it is fed.
        if workflow_id in self.merging or (spec.source.topic is not None and spec.source_id not in topics):
            return
        self.merging.add(workflow_id)
        streams = len(streams_of_source(spec, topics))
        args = MergedSpec(spec=spec.to_wire(), streams=streams, max_state=self.max_state)
        if sink.name is not None:
            args["sink"] = sink.name
        await self._started(workflow_id, MERGED_TYPE, args, spec, None)

    async def _started(self, workflow_id: str, kind: str, args: Any, spec: Spec, stream: int | None) -> None:
        await started(
            workflow_id,
            kind,
            args,
            ways=self.ways,
            stopping=self.stopping,
            patch="sink-is-stopping",
            found_by=attributes(self.known, [spec.name], kind, stream, spec.source.key),
        )

    async def _start(self, spec: Spec, sink: Sink, stream: int) -> None:
        workflow_id = sink_id(spec, sink, stream)
        args = SinkSpec(spec=spec.to_wire(), stream=stream, max_state=self.max_state)
        if sink.name is not None:
            args["sink"] = sink.name
        if sink.merged:
            await self._start_merging(spec, sink)
        # Left over from a registry that was lost, it runs already; a snapshot does no harm then.
        await self._started(workflow_id, SINK_TYPE, args, spec, stream)
        for index, inputs in Emission(spec, sink, stream).inputs().items():
            output = spec.plan.nodes[index]
            subscriber = Subscriber(workflow=workflow_id, inputs=inputs)
            if (inner := member(spec, output)) is not None:
                subscriber["node"] = inner
            await node.SUBSCRIBE.tell(node_id(spec, output, stream), subscriber)

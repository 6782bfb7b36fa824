"""The workflow of a timeline's sink on one stream, and the activity that writes what it says.

It subscribes to the outputs as a node does. It goes on to the next position only when all rows of the one
before are written, so that its position says up to where they are; feeders wait for it as for results.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from workflows.inbox import ChildPatch, Entry, from_carried, to_carried
from workflows.protocol import Progress, SinkSpec
from workflows.protocol import sink as protocol
from workflows.renewal import continue_as_new, is_due
from workflows.told import Told, nothing_odd

with workflow.unsafe.imports_passed_through():
    import orjson

    from timeline.engine.fitting import check_patch, check_slots
    from timeline.engine.state_wire import from_state, to_state
    from timeline.engine.wire import from_patch
    from timeline.errors import TimelineError
    from timeline.sinks.batches import Batch, Row, Written
    from timeline.sinks.emission import Emission
    from timeline.spec.spec import Spec
    from timeline.tables.wire import Wire, to_position
    from workflows.gauge import MAX_STATE, Gauge
    from workflows.metrics import SinkMetrics
    from workflows.names import SINK_TYPE

#: About how many bytes of rows one activity takes; for a webhook, to which each row goes by itself, fewer.
BATCH_BYTES, WEBHOOK_BYTES = 500_000, 50_000
RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=15),
)


@workflow.defn(name=SINK_TYPE)
class SinkWorkflow(Told):
    """Takes ``patch`` signals of the outputs' nodes. All work is done in `run`, in order of arrival."""

    @workflow.init
    def __init__(self, args: SinkSpec, state: bytes | None = None) -> None:
        self.args = args
        self.spec = Spec.from_wire(args["spec"])
        self.sink = self.spec.sink(args.get("sink"))
        self.node = Emission(self.spec, self.sink, args["stream"])
        self.inbox: list[Entry] = []
        self.progress = Progress(rows=0, batches=0, offset=0, exactly_once=None)
        self.written: list[int] | None = None
        self.stopped = False
        self.full: str | None = None
        self.odd = nothing_odd()
        self.gauge = Gauge(args.get("max_state", MAX_STATE))
        self.metrics = SinkMetrics(self.sink.kind)
        if state is not None:
            rest = from_state(state, [self.node.state])
            self.gauge.measured(len(state), 0)
            self.inbox = from_carried(rest["inbox"])
            self.progress = rest["progress"]
            self.written = rest["written"]
            self.odd = rest.get("odd", self.odd)
            self.node.restore(rest["emission"])
            if self.inbox:
                self.metrics.heard()

    @workflow.run
    async def run(self, args: SinkSpec, state: bytes | None = None) -> None:
        while True:
            await workflow.wait_condition(
                lambda: self.stopped or ((bool(self.inbox) or self.is_worn()) and self.full is None)
            )
            self.is_told = False
            try:
                await self._work()
            except TimelineError as error:
                self.full = f"{workflow.info().workflow_id} stopped: {error}"
            if self.stopped:
                return
            if (self.renewing or is_due()) and self.full is None:
                await workflow.wait_condition(workflow.all_handlers_finished)
                # No await from here on: what has come in meanwhile goes along in the inbox.
                carried = self._state()
                self.gauge.measured(len(carried), 0)
                if self.gauge.fits(carried):
                    continue_as_new(self.args, carried)

    # --- signals ---------------------------------------------------------------------------------

    @protocol.PATCH.handler
    def patch(self, patch: Wire) -> None:
        """A patch of an output's node."""
        self.inbox.append(ChildPatch(patch))
        self.metrics.heard()

    @protocol.STOP.handler
    def stop(self) -> None:
        """Ends the workflow: the timeline was removed. What is not written yet is not written."""
        self.stopped = True

    # --- queries ---------------------------------------------------------------------------------

    @protocol.POSITION.handler
    def position(self) -> protocol.Place:
        """The place in the stream up to which all that is final is written."""
        return self.written

    @protocol.STATUS.handler
    def status(self) -> protocol.SinkStatus:
        """Where rows go, how many are written, whether a repeat changes nothing, and what is wrong."""
        return {
            "stream": self.args["stream"],
            "sink": self.sink.name,
            "kind": self.sink.kind,
            "place": self.sink.place,
            "name": self._name(),
            "position": self.written,
            **self.progress,
            "waiting": len(self.inbox),
            "state_bytes": self.gauge.about,
            "full": self.full,
            **self.what_is_odd(),
        }

    # --- work ------------------------------------------------------------------------------------

    async def _work(self) -> None:
        waiting, self.inbox = self.inbox, []
        for entry in waiting:
            if isinstance(entry, ChildPatch):
                try:
                    incoming = from_patch(entry.wire)
                    check_slots(inputs := entry.wire.get("inputs", []), len(self.node.state.edges))
                    for index in inputs:
                        check_patch(self.node.state, index, incoming)
                except TimelineError as error:
                    self.set_aside(protocol.PATCH.name, error)
                    continue
                for index in entry.wire["inputs"]:
                    self.node.receive(index, incoming)
        while not self.stopped and (target := self.node.next_position()) is not None:
            self.node.step(target)
            await self._drain()
        if not self.stopped:
            self.node.step(None)
            await self._drain()
            self.written = to_position(self.node.state.position)
            self.node.tidy()
            if not self.inbox:
                self.metrics.done()

    async def _drain(self) -> None:
        while not self.stopped and (rows := self.node.rows()) is not None:
            for part in _parts(rows, WEBHOOK_BYTES if self.sink.kind == "webhook" else BATCH_BYTES):
                left = part
                while left and not self.stopped:
                    left = left[await self._write(left) :]

    async def _write(self, rows: list[Row]) -> int:
        """Has the first of some rows written: how many."""
        batch = Batch(
            kind=self.sink.kind,
            place=self.sink.place,
            name=self._name(),
            number=self.progress["batches"],
            first=self.progress["rows"],
            offset=self.progress["offset"],
            types=self.node.types(),
            rows=rows,
        )
        writing: workflow.ActivityHandle[Any] = workflow.start_activity(
            "write_sink",
            batch,
            result_type=dict,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=protocol.HEARTBEAT,
            retry_policy=RETRY,
        )
        await workflow.wait_condition(lambda: writing.done() or self.stopped)
        if not writing.done():
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, ActivityError):
                await writing
            return 0
        written: Written = await writing
        count = written.get("rows", len(rows))
        self.metrics.wrote(count)
        self.progress = Progress(
            rows=batch["first"] + count,
            batches=batch["number"] + 1,
            offset=written["offset"],
            exactly_once=written["exactly_once"],
        )
        return count

    def _name(self) -> str:
        """Of the file or the producer: that of a timeline registered anew under this name is another."""
        born = workflow.info().first_execution_run_id
        return f"{self.node.label}-{self.args['stream']}-{born[:8]}"

    def _state(self) -> bytes:
        return to_state(
            [self.node.state],
            **self.what_is_odd(),
            inbox=to_carried(self.inbox),
            progress=self.progress,
            written=self.written,
            emission=self.node.carried(),
        )


def _parts(rows: list[Row], most: int) -> Iterator[list[Row]]:
    """The rows in pieces of about so many bytes."""
    part: list[Row] = []
    size = 0
    for row in rows:
        own = len(orjson.dumps(row))
        if part and size + own > most:
            yield part
            part, size = [], 0
        part.append(row)
        size += own
    if part:
        yield part

"""Rows of a sink on their way out of a workflow: in batches, one after another, each by an activity that is
tried for ever."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from workflows.protocol import HEARTBEAT, Progress
from workflows.protocol import sink as protocol
from workflows.renewal import continue_as_new, is_due
from workflows.told import Told

with workflow.unsafe.imports_passed_through():
    import orjson

    from timeline.errors import TimelineError
    from timeline.sinks.batches import Batch, Row, Written
    from timeline.spec.sink import Sink
    from timeline.spec.spec import Spec
    from workflows.gauge import MAX_STATE, Gauge
    from workflows.metrics import SinkMetrics

#: About how many bytes of rows one activity takes; for a webhook, to which each row goes by itself, fewer.
BATCH_BYTES, WEBHOOK_BYTES = 500_000, 50_000
RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=15),
)


class Rows(Told, ABC):
    """A workflow that works at what comes into its ``inbox``, and has rows of a sink written, until it is
    stopped."""

    inbox: list[Any]

    @abstractmethod
    async def _work(self) -> None:
        """Takes what has come in, and does all that can be done."""

    @abstractmethod
    def _state(self) -> bytes:
        """What the next run must know."""

    def begin(self, spec: Spec, sink: Sink, of: str, max_state: int | None) -> None:
        """What it is before anything came; ``of`` says which of the sink's workflows it is."""
        self.spec, self.sink, self.of = spec, sink, of
        self.progress = Progress(rows=0, batches=0, offset=0, exactly_once=None)
        self.stopped = False
        self.full: str | None = None
        self.begin_told()
        self.gauge = Gauge(max_state or MAX_STATE)
        self.metrics = SinkMetrics(sink.kind)

    def set_aside(self, name: str, why: TimelineError) -> None:
        """Takes note of a signal that is not understood, and counts it."""
        super().set_aside(name, why)
        self.metrics.misfit()

    @protocol.STOP.handler
    def stop(self) -> None:
        """Ends the workflow: the timeline was removed. What is not written yet is not written."""
        self.stopped = True

    async def go_on(self, args: object) -> None:
        """Does what comes in until it is stopped; the next run has ``args``, and what this one carries."""
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
            if is_due(self.renewing) and self.full is None:
                await workflow.wait_condition(workflow.all_handlers_finished)
                # No await from here on: what has come in meanwhile goes along in the inbox.
                carried = self._state()
                self.gauge.measured(len(carried), 0)
                if self.gauge.fits(carried):
                    continue_as_new(args, carried)

    def stands(
        self, stream: int | None, position: protocol.Place, waiting: int, state_bytes: int
    ) -> protocol.SinkStatus:
        """What it says of itself."""
        status: protocol.SinkStatus = {
            "stream": stream,
            "sink": self.sink.name,
            "kind": self.sink.kind,
            "place": self.sink.place,
            "name": self.name(),
            "position": position,
            "rows": self.progress["rows"],
            "batches": self.progress["batches"],
            "offset": self.progress["offset"],
            "exactly_once": self.progress["exactly_once"],
            "waiting": waiting,
            "state_bytes": state_bytes,
            "full": self.full,
        }
        if self.odd["count"]:
            status["odd"] = self.odd
        return status

    async def write(self, rows: list[Row], types: Mapping[str, str]) -> None:
        """Has rows written, with columns of these types; returns when they are, or when it is stopped."""
        for part in _parts(rows, WEBHOOK_BYTES if self.sink.kind == "webhook" else BATCH_BYTES):
            left = part
            while left and not self.stopped:
                left = left[await self._write(left, types) :]

    def name(self) -> str:
        """Of the file or the producer: that of a timeline registered anew under this name is another."""
        born = workflow.info().first_execution_run_id
        return f"{self.sink.label(self.spec.name)}-{self.of}-{born[:8]}"

    async def _write(self, rows: list[Row], types: Mapping[str, str]) -> int:
        """Has the first of some rows written: how many."""
        batch = Batch(
            kind=self.sink.kind,
            place=self.sink.place,
            name=self.name(),
            number=self.progress["batches"],
            first=self.progress["rows"],
            offset=self.progress["offset"],
            types=dict(types),
            rows=rows,
        )
        writing: workflow.ActivityHandle[Any] = workflow.start_activity(
            "write_sink",
            batch,
            result_type=dict,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=HEARTBEAT,
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


def _parts(rows: list[Row], most: int) -> Iterator[list[Row]]:
    """The rows in pieces of about so many bytes, each of rows with the same columns."""
    part: list[Row] = []
    size = 0
    for row in rows:
        own = len(orjson.dumps(row))
        if part and (size + own > most or row.keys() != part[0].keys()):
            yield part
            part, size = [], 0
        part.append(row)
        size += own
    if part:
        yield part

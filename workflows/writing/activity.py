"""The activity that writes the rows of a sink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from temporalio import activity
from temporalio.exceptions import ApplicationError

from timeline.errors import ServiceError, TimelineError
from timeline.sinks.batches import Batch, Written
from workflows.protocol import HEARTBEAT
from workflows.writing.files import write_jsonl, write_parquet

#: Writes a batch, blocking; raises `ServiceError` when it must be tried again.
Writer = Callable[[Batch], Written]


class SinkActivity:
    """Writes batches by their kind. A worker that is given no way to Pulsar writes files only."""

    def __init__(self, topic: Writer | None = None) -> None:
        self.writers: Mapping[str, Writer | None] = {
            "jsonl": write_jsonl,
            "parquet": write_parquet,
            "topic": topic,
        }

    @activity.defn(name="write_sink")
    async def write(self, batch: Batch) -> Written:
        """Writes one batch; one that was written before is not written twice."""
        writer = self.writers[batch["kind"]]
        try:
            if writer is None:
                raise ServiceError(
                    "this worker was started without a way to Pulsar; start one with `timeline worker`"
                )
            writing = asyncio.create_task(asyncio.to_thread(writer, batch))
            while not (await asyncio.wait([writing], timeout=HEARTBEAT.total_seconds() / 4))[0]:
                activity.heartbeat()
            return await writing
        except TimelineError as error:
            # Only what a person must know goes into the history.
            raise ApplicationError(str(error), type=type(error).__name__) from None

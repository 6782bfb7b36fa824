"""The activity that writes the rows of a sink."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError

from timeline.errors import ServiceError, TimelineError
from timeline.sinks.batches import Batch, Open, Written, write_batch
from workflows.protocol import HEARTBEAT
from workflows.writing.files import JsonLines, Parquet
from workflows.writing.roots import outside
from workflows.writing.webhook import WaitError, Webhook

#: Kinds that are files of the worker.
FILES = ("jsonl", "parquet")


class SinkActivity:
    """Writes batches by their kind: files below ``roots``, to webhooks that the environment allows, and to
    Pulsar if it is given a way there."""

    def __init__(self, roots: Sequence[Path], topic: Open | None = None) -> None:
        self.roots = roots
        self.writers: dict[str, Open] = {"jsonl": JsonLines, "parquet": Parquet, "webhook": Webhook}
        if topic is not None:
            self.writers["topic"] = topic

    @activity.defn(name="write_sink")
    async def write(self, batch: Batch) -> Written:
        """Writes one batch; one that was written before is not written twice."""
        try:
            if batch["kind"] not in self.writers:
                raise ServiceError(
                    "this worker was started without a way to Pulsar; start one with `timeline worker`"
                )
            if batch["kind"] in FILES and (problem := outside(batch["place"], self.roots)) is not None:
                raise ServiceError(problem)
            writing = asyncio.create_task(asyncio.to_thread(write_batch, self.writers[batch["kind"]], batch))
            while not (await asyncio.wait([writing], timeout=HEARTBEAT.total_seconds() / 4))[0]:
                activity.heartbeat()
            return await writing
        except TimelineError as error:
            # Only what a person must know goes into the history.
            later = timedelta(seconds=error.seconds) if isinstance(error, WaitError) else None
            raise ApplicationError(str(error), type=type(error).__name__, next_retry_delay=later) from None

"""The activity that writes the rows of a sink."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from timeline.errors import ServiceError, TimelineError, WireError, shortened
from timeline.sinks.batches import Batch, Open, Written, write_batch
from workflows.protocol import HEARTBEAT
from workflows.writing.files import JsonLines, Parquet
from workflows.writing.roots import outside
from workflows.writing.webhook import WaitError, Webhook

#: The names of what sinks write to: they begin with the timeline's.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]{0,250}")
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
            _check(batch)
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
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            what = shortened(f"rows cannot be written: {type(error).__name__}: {error}", 500)
            raise ApplicationError(what, type=type(error).__name__) from None


def _check(batch: Any) -> None:
    """Looks whether this is a batch, and its name one that leads to no other folder: who may write to the
    namespace may have an activity carried out without any sink.

    Raises:
        WireError: it is not.
    """
    texts = ("kind", "place", "name")
    numbers = ("number", "first", "offset")
    good = isinstance(batch, dict) and all(isinstance(batch.get(name), str) for name in texts)
    good = good and all(type(batch.get(name)) is int and batch[name] >= 0 for name in numbers)
    good = good and isinstance(batch.get("types"), dict) and isinstance(batch.get("rows"), list)
    if not good or not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in batch["rows"]):
        raise WireError("this is no batch of rows")
    if not batch["rows"] or not NAME.fullmatch(batch["name"]):
        raise WireError(f"no sink writes to what is called {shortened(batch['name'], 80)!r}")

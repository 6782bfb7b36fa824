"""A feeder as a process of its own that runs into trouble at a signal chosen beforehand.

It is `feeder.files.feed.feed_files` with another client, which sends to one leaf after the other, so that it
can fall between two of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

import feeder.files.feed
import feeder.stream
import workflows.client.asking
from tests.support.cli import PATIENCE
from timeline.errors import ServiceError
from timeline.tables.events import Events, Position
from workflows.client import Client
from workflows.client.asking import Asking
from workflows.client.leaves import Leaves, Standing
from workflows.connection import connect_embedded
from workflows.protocol.node import About

# Forked from a process that has imported everything: a second of a core less for each.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])

#: What a feeder says: it kills somebody, it pauses, it is done, the server does not answer, or it failed
#: and how.
Word: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Order:
    """What a feeder is to do. Before signal ``at`` it kills the process ``victim`` (0: itself), or
    pauses until it hears something; ``stale``: it believes the leaves to be where they were once."""

    address: str
    name: str
    files: tuple[Path, ...]
    batch: int
    seed: int
    repeats: float = 0
    at: int = 0
    victim: int | None = None
    pauses: bool = False
    stale: bool = False


class Feeder:
    """A feeder that runs; `word` awaits what it says next."""

    def __init__(self, order: Order) -> None:
        self._end, theirs = _processes.Pipe()
        self._process = _processes.Process(target=_main, args=(order, theirs), daemon=True)
        self._process.start()
        theirs.close()

    async def word(self) -> Word:
        """What it says next; ``("killed", "")`` if it is gone without a word."""
        try:
            said: Word = await asyncio.to_thread(self._end.recv)
        except EOFError:
            return "killed", ""
        return said

    def resume(self) -> None:
        """Lets a paused one go on."""
        self._end.send(None)

    async def close(self) -> None:
        """Ends it, if it has not ended."""
        self._process.kill()
        await asyncio.to_thread(self._process.join)
        self._process.close()
        self._end.close()


class TroubledLeaves(Leaves):
    """Sends signals twice, stops, or kills, as its order says."""

    def __init__(self, asking: Asking, order: Order, end: Connection) -> None:
        super().__init__(asking)
        self.order, self.end = order, end
        self._draw = random.Random(order.seed)
        self._signals = 0
        self._asked: set[str] = set()

    async def stands(self, workflow_id: str) -> Standing:
        stand = await super().stands(workflow_id)
        found = stand.position
        if self.order.stale and workflow_id not in self._asked and found is not None:
            self._asked.add(workflow_id)
            stale = (found[0], self._draw.randint(0, found[1])) if self._draw.random() < 0.8 else None
            return stand._replace(position=stale)
        return stand

    async def signal_events(
        self,
        leaves: Mapping[str, frozenset[str]],
        events: Events,
        last: Position,
        about: Mapping[str, About] | None = None,
    ) -> None:
        for leaf in self._draw.sample(sorted(leaves), len(leaves)):
            self._trouble()
            for _ in range(1 + (self._draw.random() < self.order.repeats)):
                await super().signal_events({leaf: leaves[leaf]}, events, last, about)

    def _trouble(self) -> None:
        now = self._signals == self.order.at
        self._signals += 1
        if now and self.order.victim is not None:
            self.end.send(("kills", ""))
            # A worker may have been killed by another schedule of this very moment.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.order.victim or os.getpid(), signal.SIGKILL)
        if now and self.order.pauses:
            self.end.send(("paused", ""))
            # Blocks the whole process, as if it had been stopped.
            self.end.recv()


def _main(order: Order, end: Connection) -> None:
    try:
        asyncio.run(_feed(order, end))
        end.send(("done", ""))
    except ServiceError as error:
        end.send(("no service", str(error)))
    except BaseException as error:
        end.send(("failed", repr(error)))
        raise


async def _feed(order: Order, end: Connection) -> None:
    feeder.stream.BATCH_EVENTS = order.batch
    # A worker that was killed may take long to come back.
    workflows.client.asking.ANSWER_TIMEOUT = PATIENCE
    timelines = Client(await connect_embedded(order.address))
    timelines.leaves = TroubledLeaves(timelines.leaves.asking, order, end)
    await feeder.files.feed.feed_files(timelines, await timelines.registry.spec(order.name), order.files)

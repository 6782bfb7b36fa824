"""Events that are fed a few at a time while something goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeVar

from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from tests.support import sinks
from timeline.spec.spec import Spec
from workflows.client import Client

T = TypeVar("T")


class Feeding:
    """Rows of a spec with a sink that writes to a folder (`tests.support.sinks.spec`)."""

    def __init__(self, client: Client, spec: Spec, path: Path, each: int = 2_000) -> None:
        self.client, self.spec, self.path = client, spec, path
        self.rows = sinks.events(1, 5, each)
        self.fed = 0

    async def some(self, count: int = 20) -> None:
        self.fed += count
        # Otherwise the work goes on while nothing is fed.
        assert self.fed <= len(self.rows)
        sinks.write(self.path, self.rows[: self.fed])
        await feed_files(self.client, self.spec, [self.path])

    async def during(self, work: asyncio.Task[T]) -> T:
        """Feeds until some work is done, and once more after it."""
        while not work.done():
            await self.some()
        await self.some()
        return await work

    async def assert_exact(self) -> None:
        """All nodes and all rows of the sink are as they must be."""
        comparison = await compare(self.client, self.spec)
        assert comparison.differences == []
        assert comparison.evaluation.accepted + comparison.evaluation.refused == self.fed
        [sink] = self.spec.sinks
        written = sinks.written(Path(sink.place))
        assert sinks.by_key(written) == sinks.expected(self.spec, comparison.evaluation)

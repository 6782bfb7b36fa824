"""Workers that are told to end: they finish what they are at, whatever comes meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest
from temporalio import activity

from feeder.files.feed import feed_files
from tests.support import sinks
from tests.support.cli import Cli, stop
from tests.support.failures import failures
from tests.support.feeding import Feeding
from tests.support.servers import make_server
from timeline.sinks.batches import Batch, Written
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.patience import Patience
from workflows.worker import make_worker


@pytest.mark.real_server
async def test_workers_drain_under_load(tmp_path: Path) -> None:
    """One after the other is ended in the midst of feeding, when the next is there or before it."""
    async with make_server(tmp_path / "dev.db") as server:
        cli = Cli(server.address, tmp_path)
        temporal = await connect_embedded(server.address)
        client = Client(temporal, Patience(120))
        spec = sinks.spec({"folder": str(tmp_path / "out")}, shards=2)
        feeding = Feeding(client, spec, tmp_path / "fed.jsonl")

        def begin() -> Popen[str]:
            return cli.worker("--sink-root", tmp_path)

        worker = await asyncio.to_thread(begin)
        await client.registry.register(spec)
        await feeding.some()

        def replace(overlapping: bool) -> Popen[str]:
            after = begin() if overlapping else None
            assert stop(worker) == 0
            return after or begin()

        for overlapping in (True, False, True, False):
            work = asyncio.create_task(asyncio.to_thread(replace, overlapping))
            worker = await feeding.during(work)
        await feeding.assert_exact()
        assert await failures(temporal) == []
        await asyncio.to_thread(stop, worker)


class Slow:
    """Writes rows, and is not done before its worker is told to end, and for a while after."""

    def __init__(self, on_begin: Callable[[], object]) -> None:
        self.on_begin = on_begin

    def write(self, batch: Batch) -> Written:
        self.on_begin()
        while not activity.is_worker_shutdown():
            time.sleep(0.01)
        time.sleep(0.5)
        return Written(offset=0, exactly_once=True)

    def close(self) -> None:
        """Has nothing open."""


async def test_a_sink_finishes_its_batch(tmp_path: Path) -> None:
    begun, loop = asyncio.Event(), asyncio.get_running_loop()
    slow = Slow(lambda: loop.call_soon_threadsafe(begun.set))
    async with make_server(tmp_path / "dev.db") as server:
        temporal = await connect_embedded(server.address)
        client = Client(temporal, Patience(120))
        spec = sinks.spec({"topic": "rows", "on": "close"}, key_ttl="5s")
        file = sinks.write(tmp_path / "rows.jsonl", sinks.events(1, 5, 24))
        async with make_worker(await connect_embedded(server.address), topic_writer=lambda _, __: slow):
            await client.registry.register(spec)
            feeding = asyncio.create_task(feed_files(client, spec, [file]))
            await begun.wait()
        async with make_worker(await connect_embedded(server.address)):
            await feeding
            [sink] = await client.nodes.sinks(spec)
            assert (sink["batches"], sink["exactly_once"]) == (1, True)
        assert await failures(temporal) == []

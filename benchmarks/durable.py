"""End to end through the embedded server, against one event a signal in the same run."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.generate import CIRR, events, json_lines
from benchmarks.measure import Figure
from feeder.dry_run import compare
from feeder.feed import feed_files
from timeline.spec import Spec
from workflows.client import Timelines
from workflows.connection import connect_embedded
from workflows.names import node_id
from workflows.server import DevServer
from workflows.worker import make_worker

SINGLE_EVENTS = 60


def spec(name: str, shards: int) -> Spec:
    """CIRR over the generated sessions."""
    return Spec.from_wire(
        {"name": name, "expression": CIRR, "limits": {"shards": shards, "allowed_lateness": "10s"}}
    )


def run(quick: bool) -> list[Figure]:
    """Figures for bulk feeding; mark: 500 times one event a signal."""
    return asyncio.run(_run(quick))


async def _run(quick: bool) -> list[Figure]:
    count, keys = (100_000, 1_000) if quick else (1_000_000, 10_000)
    with tempfile.TemporaryDirectory() as folder:
        async with DevServer(Path(folder) / "dev.db") as server:
            client = await connect_embedded(server.address)
            async with make_worker(client):
                timelines = Timelines(client)
                single = await _one_by_one(timelines)
                bulk, exact = await _bulk(timelines, count, keys, check=quick)
    return [
        Figure(
            f"durable-bulk-{count}",
            bulk,
            "events/s",
            bulk / single,
            f"one event a signal: {single:.1f} events/s",
            "at least 500 times, every timeline exact",
            bulk >= 500 * single and exact,
            "compared with local evaluation" if quick else "counted, not compared",
        )
    ]


async def _one_by_one(timelines: Timelines) -> float:
    """Events a second when each goes alone and the next waits for the answer."""
    wanted = spec("one-by-one", 1)
    await timelines.register(wanted)
    leaves = {node_id(wanted, n, 0): n.leaf.columns for n in wanted.plan.leaves if n.leaf}
    result = node_id(wanted, wanted.plan.result, 0)
    batch = events(SINGLE_EVENTS, 10)
    begin = time.perf_counter()
    for row in range(SINGLE_EVENTS):
        last = (1, row + 1)
        await timelines.signal_events(leaves, batch.take(slice(row, row + 1)).compact(), last)
        while await timelines.position(result) != last:  # noqa: ASYNC110
            # A query is the only way to learn where a node stands.
            await asyncio.sleep(0.002)
    return SINGLE_EVENTS / (time.perf_counter() - begin)


async def _bulk(timelines: Timelines, count: int, keys: int, *, check: bool) -> tuple[float, bool]:
    wanted = spec("bulk", 4)
    await timelines.register(wanted)
    begin = time.perf_counter()
    report = await feed_files(timelines, wanted, [json_lines(count, keys)])
    rate = count / (time.perf_counter() - begin)
    exact = report.accepted == count
    if check:
        exact = exact and not (await compare(timelines, wanted)).differences
    return rate, exact

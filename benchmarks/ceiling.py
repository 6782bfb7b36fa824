"""The ceiling: the same payloads through workflows that do nothing, in the same tree on the same server.

``python -m benchmarks.ceiling ADDRESS FILE STREAMS`` is the worker. It computes beforehand what each node of
CIRR says after each batch; its workflows only wait until all their children have spoken, and say that.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from temporalio import workflow
from temporalio.worker import Worker

from benchmarks.generate import CIRR
from feeder.stream import BATCH_EVENTS, Stream
from tests.support.servers import Server
from timeline.engine import wire
from timeline.engine.patch import parts
from timeline.limits import Limits
from timeline.local.graph import Graph
from timeline.plan import make_plan
from timeline.reading import read_events
from timeline.tables.events import Events, Position, concat
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import shards_of
from workflows.worker import RUNNER

TASK_QUEUE = "ceiling"
PLAN = make_plan(CIRR)
#: What each node says, by stream, node and batch; filled before the worker runs, and never changed.
SAID: dict[tuple[int, int], list[list[dict[str, Any]]]] = {}
LAST: dict[int, list[list[int]]] = {}


def batches(path: Path, streams: int) -> list[list[tuple[Events, Position]]]:
    """The batches of each stream of a file."""
    blocks = read_events(path, key="key", time="time", columns=PLAN.columns)
    events = concat([block.events for block in blocks])
    shard = shards_of(events.keys, streams)[events.key]
    found = []
    for stream in range(streams):
        mine = events.take(np.flatnonzero(shard == stream))
        cuts = range(0, len(mine), BATCH_EVENTS)
        divided = [mine.take(slice(cut, cut + BATCH_EVENTS)).compact() for cut in cuts]
        found.append([(batch, tuple(batch.position[-1].tolist())) for batch in divided])
    return found


def record(path: Path, streams: int) -> None:
    """Fills `SAID`."""
    limits = Limits(10_000, 3_600_000)
    for stream, waves in enumerate(batches(path, streams)):
        graph = Graph(PLAN, limits)
        LAST[stream] = [list(last) for _, last in waves]
        for events, last in waves:
            for index, patch in graph.feed(events, last).items():
                said = SAID.setdefault((stream, index), [])
                said.append([wire.to_patch(part) for part in parts(patch)])


@workflow.defn(name="nothing")
class Nothing:
    """A node that waits for its children, and says what is written."""

    @workflow.init
    def __init__(self, stream: int, index: int) -> None:
        self.stream, self.index = stream, index
        self.heard: Counter[int] = Counter()
        self.waves = 0

    @workflow.signal
    def events(self, batch: dict, about: dict) -> None:  # type: ignore[type-arg]
        self.heard[-1] += 1

    @workflow.signal
    def patch(self, patch: dict) -> None:  # type: ignore[type-arg]
        self.heard[patch["from"]] += patch["waves"]

    @workflow.query
    def position(self) -> list[int] | None:
        return LAST[self.stream][self.waves - 1] if self.waves else None

    @workflow.run
    async def run(self, stream: int, index: int) -> None:
        node = PLAN.nodes[index]
        children = list(node.inputs) or [-1]
        parents = [n.index for n in PLAN.nodes if index in n.inputs]
        while True:
            await workflow.wait_condition(lambda: min(self.heard[c] for c in children) > self.waves)
            before, self.waves = self.waves, min(self.heard[c] for c in children)
            said = [one for wave in SAID[stream, index][before : self.waves] for one in wave]
            message = {"from": index, "waves": self.waves - before, "said": said}
            await asyncio.gather(
                *(
                    workflow.get_external_workflow_handle(workflow_id(stream, parent)).signal(
                        "patch", message
                    )
                    for parent in parents
                )
            )


def workflow_id(stream: int, index: int) -> str:
    """Of a node that does nothing; its end is what `Stream` takes for the stream."""
    return f"nothing.x.{index}.{stream}"


async def serve(address: str, path: Path, streams: int) -> None:
    """Runs the worker until it is killed."""
    record(path, streams)
    client = await connect_embedded(address)
    worker = Worker(client, task_queue=TASK_QUEUE, workflows=[Nothing], workflow_runner=RUNNER)
    async with worker:
        print("ready", flush=True)
        await asyncio.Event().wait()


async def rate(server: Server, path: Path, streams: int) -> float:
    """Events a second."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.ceiling", server.address, str(path), str(streams)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        timelines = Client(await connect_embedded(server.address))
        handles = [
            await timelines.temporal.start_workflow(
                "nothing",
                args=[stream, node.index],
                id=workflow_id(stream, node.index),
                task_queue=TASK_QUEUE,
            )
            for stream in range(streams)
            for node in PLAN.nodes
        ]
        waves = batches(path, streams)
        begin = time.perf_counter()
        await asyncio.gather(*(_feed(timelines, stream, waves[stream]) for stream in range(streams)))
        taken = time.perf_counter() - begin
        for handle in handles:
            await handle.terminate()
    finally:
        process.kill()
        await process.wait()
    return sum(len(events) for stream in waves for events, _ in stream) / taken


async def _feed(timelines: Client, number: int, waves: list[tuple[Events, Position]]) -> None:
    leaves = {workflow_id(number, node.index): node.leaf.columns for node in PLAN.leaves if node.leaf}
    stream = Stream(timelines, leaves, [workflow_id(number, PLAN.result.index)])
    for events, last in waves:
        await stream.send(events, last)
    await stream.drain()


if __name__ == "__main__":
    # The workflow's module must be this one's only copy: the worker reads what `record` wrote.
    from benchmarks import ceiling

    asyncio.run(ceiling.serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))

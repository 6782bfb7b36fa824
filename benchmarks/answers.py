"""How long answers take: after one event, when idle, under load, and after the worker was killed."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.deployment import Deployment, deployment
from benchmarks.durable import spec
from benchmarks.generate import events, json_lines
from benchmarks.measure import Figure, say
from feeder.files.feed import feed_files
from feeder.leaves import leaves_of, results_of
from feeder.stream import Stream
from timeline.fragments import Policy
from timeline.spec.spec import Spec
from timeline.tables.events import Events
from workflows.client import Client

#: Seconds after which something is wrong.
PATIENCE = 60.0
KEYS = 100
#: Of the median (ms) from an event to its answer, when nothing else goes on.
MARKS: dict[Policy, float] = {"stream": 25, "operator": 60}


def run(quick: bool) -> list[Figure]:
    """Latencies as p50 and p99 in ms; the recovery in s."""
    return asyncio.run(_run(quick))


async def _run(quick: bool) -> list[Figure]:
    figures = []
    async with deployment() as running:
        for policy, mark in MARKS.items():
            idle = spec(f"idle-{policy}", 1).by_policy(policy)
            stream = await prepared(running.timelines, idle)
            say(f"answers: one event to a visible answer, idle, {policy}")
            taken = await event_to_answer(running, idle, stream, 20 if quick else 100)
            middle, high = _percentiles(f"idle-{policy}", taken, mark, 300)
            figures += [replace(middle, name=f"idle-{policy}"), high]
        say("answers: queries of all nodes, idle")
        figures += _percentiles("query-idle", await queries(running, idle, 50 if quick else 500), 10, 50)
        say("answers: queries under bulk load")
        taken = await under_load(running, json_lines(1_000_000, 1_000 if quick else 10_000))
        figures += _percentiles("query-under-load", taken, 100, 500)
        say("answers: the only worker is killed")
        figures.append(await _recovery(running, idle, 1 if quick else 5))
    return figures


async def prepared(timelines: Client, idle: Spec) -> Stream:
    """Registers a timeline, and feeds it what it is then idle on."""
    await timelines.registry.register(idle)
    stream = Stream(timelines, leaves_of([idle], 0), results_of([idle], 0))
    await stream.locate()
    await send_all(stream, events(10_000, KEYS))
    return stream


async def send_all(stream: Stream, batch: Events) -> None:
    await stream.send(batch, tuple(batch.position[-1].tolist()))
    await stream.drain()


async def event_to_answer(running: Deployment, idle: Spec, stream: Stream, probes: int) -> list[float]:
    """Seconds from before an event is sent until the result has answered with it."""
    taken = []
    for number in range(probes + 3):
        last = (2, number + 1)
        batch = events(1, 1)
        position = np.array([last], np.int64)
        late = Events(["session-0"], batch.key, np.array([3_600_000 + number]), batch.columns, position)
        begin = time.perf_counter()
        await running.timelines.leaves.signal_events(stream.leaves, late, last, {})
        while True:
            [answer] = await running.timelines.questions.values(idle, idle.plan.result, [("session-0", None)])
            if answer.at == 3_600_000 + number:
                break
            # There is nothing to await: a query is the only way to learn where a node stands.
            await asyncio.sleep(0.005)
            assert time.perf_counter() - begin < PATIENCE
        if number >= 3:
            taken.append(time.perf_counter() - begin)
        await asyncio.sleep(0.05)
    return taken


async def queries(running: Deployment, asked: Spec, count: int) -> list[float]:
    """Seconds of questions, one after the other, of each node in turn."""
    taken = []
    for number in range(count):
        node = asked.plan.nodes[number % len(asked.plan.nodes)]
        begin = time.perf_counter()
        await running.timelines.questions.values(asked, node, [(f"session-{number % KEYS}", None)])
        taken.append(time.perf_counter() - begin)
    return taken


async def under_load(running: Deployment, file: Path) -> list[float]:
    """Queries of the nodes that are being fed, one after the other until all is there."""
    loaded = spec("loaded", 4)
    await running.timelines.registry.register(loaded)
    begun = asyncio.Event()
    feeding = asyncio.create_task(feed_files(running.timelines, loaded, [file], lambda _: begun.set()))
    await begun.wait()
    wanted = {f"session-{number}" for number in range(KEYS)}
    while not wanted <= set(await running.timelines.questions.keys(loaded)):
        pass  # asking takes its time
    taken: list[float] = []
    while not feeding.done() or not taken:
        taken += await queries(running, loaded, 7)
    await feeding
    await running.timelines.registry.remove("loaded")
    return taken


async def _recovery(running: Deployment, idle: Spec, times: int) -> Figure:
    """From the moment of the kill, the start of another worker included; it is asked at once."""
    taken = []
    for _ in range(times):
        await running.timelines.questions.values(idle, idle.plan.result, [("session-0", None)])
        begin = time.perf_counter()
        starting = asyncio.create_task(running.worker.replace())
        await running.timelines.questions.values(idle, idle.plan.result, [("session-0", None)])
        answered = time.perf_counter() - begin
        await starting
        taken.append((answered, time.perf_counter() - begin))
    seconds, ready = sorted(taken)[len(taken) // 2]
    detail = f"median of {times}; slowest {max(taken)[0]:.2f} s"
    return Figure(
        "recovery",
        seconds,
        "s",
        seconds / ready,
        f"start of a worker {ready:.2f} s",
        "under 3 s",
        seconds < 3,
        detail,
    )


def _percentiles(name: str, seconds: list[float], p50: float, p99: float) -> list[Figure]:
    """Both in ms, with their marks."""
    found = sorted(second * 1e3 for second in seconds)
    middle, high = statistics.median(found), found[min(len(found) - 1, int(len(found) * 0.99))]
    detail = f"of {len(found)}; slowest {found[-1]:.0f} ms"
    return [
        Figure(f"{name}-{word}", value, "ms", value / mark, "the mark", f"{mark} ms", value <= mark, detail)
        for word, value, mark in (("p50", middle, p50), ("p99", high, p99))
    ]

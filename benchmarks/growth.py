"""What more events, more keys, more timelines cost; and what keys cost in memory."""

from __future__ import annotations

import asyncio
import statistics
import time

from benchmarks.ceiling import batches
from benchmarks.deployment import Deployment, deployment, resident_mib
from benchmarks.durable import STREAMS, fed, spec
from benchmarks.generate import CIRR, parquet
from benchmarks.measure import Figure, at_most, say
from feeder.files.feed import Progress, feed_files
from timeline.engine.state_wire import to_state
from timeline.local.graph import Graph
from timeline.spec.spec import Spec
from workflows.memory import EVERY

STATE = "latest_event_to_state(state)"
#: What one wants to know of a player, as eight timelines over the same events.
EIGHT = [
    CIRR,
    CIRR.replace("5s", "10s"),
    f'duration_where(has_existed(state == "play") && {STATE} == "buffer")',
    f'duration_where({STATE} == "buffer")',
    f'duration_where({STATE} == "play")',
    f'count_rises({STATE} == "buffer")',
    f'count_rises({STATE} == "pause")',
    'count(state == "seek")',
]
WORKER_MIB = 300


def run(quick: bool) -> list[Figure]:
    """Figures of growth and of memory."""
    return asyncio.run(_run(quick))


async def _run(quick: bool) -> list[Figure]:
    count = 100_000 if quick else 1_000_000
    figures = []
    async with deployment() as running:
        figures.append(await _tenths(running, 500_000 if quick else 5_000_000))
    async with deployment() as running:
        figures += await _keys(
            running, count, (100, 10_000) if quick else (1_000, 100_000), 1 if quick else 3
        )
    async with deployment() as running:
        figures.append(await _eight(running, count, 1 if quick else 3))
    return figures + await _memory(10_000 if quick else 100_000, count)


async def _tenths(running: Deployment, count: int) -> Figure:
    """Events a second while the first tenth is fed, and the last."""
    say(f"growth: {count} events in tenths")
    marks = [(0, time.perf_counter())]

    def note(progress: Progress) -> None:
        marks.append((progress.events, time.perf_counter()))

    wanted = spec("tenths", STREAMS)
    await running.timelines.registry.register(wanted)
    begin = time.perf_counter()
    await feed_files(running.timelines, wanted, [parquet(count, 10_000)], note)
    end = time.perf_counter()

    def moment(events: int) -> float:
        return next(at for sent, at in marks if sent >= events)

    first = count / 10 / (moment(count // 10) - begin)
    last = count / 10 / (end - moment(count * 9 // 10))
    return Figure(
        "growth-last-tenth",
        last,
        "events/s",
        first / last,
        f"the first tenth: {first:,.0f} events/s",
        "ratio at most 1.2",
        first <= 1.2 * last,
        f"all {count:,} events {count / (end - begin):,.0f} events/s",
    )


async def _keys(running: Deployment, count: int, keys: tuple[int, int], repetitions: int) -> list[Figure]:
    rates: dict[int, list[float]] = {number: [] for number in keys}
    for round_ in range(repetitions):
        for number in keys:
            say(f"growth: {number} keys, round {round_ + 1} of {repetitions}")
            wanted = spec("keys", STREAMS)
            rates[number].append(await fed(running, wanted, parquet(count, number), count))
    few, many = (statistics.median(rates[number]) for number in keys)
    return [
        Figure(
            "growth-keys",
            many,
            "events/s",
            few / many,
            f"{keys[0]} keys: {few:,.0f} events/s",
            "ratio at most 1.5",
            few <= 1.5 * many,
            f"{keys[1]} keys: {min(rates[keys[1]]):,.0f} to {max(rates[keys[1]]):,.0f} events/s",
        )
    ]


async def _eight(running: Deployment, count: int, repetitions: int) -> Figure:
    path = parquet(count, 10_000)
    one: list[float] = []
    eight: list[float] = []
    await fed(running, spec("warm-up", STREAMS), path, count)
    for round_ in range(repetitions):
        say(f"growth: one timeline and eight, round {round_ + 1} of {repetitions}")
        for texts, taken in ((EIGHT[:1], one), (EIGHT, eight)):
            specs = [spec(f"eight-{i}", STREAMS, text, "eight") for i, text in enumerate(texts)]
            for wanted in specs:
                await running.timelines.registry.register(wanted)
            begin = time.perf_counter()
            await feed_files(running.timelines, specs[0], [path])
            taken.append(time.perf_counter() - begin)
            nodes = len(await running.timelines.registry.users()) // STREAMS
            for wanted in specs:
                await running.timelines.registry.remove(wanted.name)
    alone, together = statistics.median(one), statistics.median(eight)
    detail = f"{nodes} nodes a stream; {min(eight):.2f} to {max(eight):.2f} s"
    return at_most("growth-eight-timelines", together, "s", alone, f"one: {alone:.2f} s", 2.2, detail)


async def _memory(keys: int, count: int) -> list[Figure]:
    say(f"growth: memory for {keys} keys")
    path = parquet(count, keys)
    async with deployment() as running:
        wanted = Spec.from_wire({"name": "memory", "expression": CIRR, "limits": {"shards": STREAMS}})
        await running.timelines.registry.register(wanted)
        await feed_files(running.timelines, wanted, [path])
        at_once = sum(resident_mib(pid) for pid in running.worker.pids)
        # What it has freed it gives back by and by.
        await asyncio.sleep(2 * EVERY + 1)
        resident = sum(resident_mib(pid) for pid in running.worker.pids)
    # What nodes carry when they continue as new is what these nodes, fed the same, would.
    carried = held = 0
    for waves in batches(path, STREAMS):
        graph = Graph(wanted.plan, wanted.node_limits)
        for events, last in waves:
            graph.feed(events, last)
        held += sum(len(node.state.keys) for node in graph.nodes)
        carried += sum(len(to_state([node.state], inbox=[], newcomers=[], full=None)) for node in graph.nodes)
    return [
        Figure(
            f"memory-worker-{keys}-keys",
            resident,
            "MiB",
            resident / WORKER_MIB,
            "the mark",
            f"under {WORKER_MIB} MiB",
            resident < WORKER_MIB,
            f"{count} events, default limits, at rest; as the feed ended {at_once:.0f} MiB",
        ),
        Figure(
            "memory-carried-state",
            carried / held,
            "bytes a key and node",
            1,
            "-",
            "given",
            True,
            f"{carried / 2**20:.1f} MiB in {STREAMS * len(wanted.plan.nodes)} nodes",
        ),
    ]

"""End to end through the embedded server: against one event a signal, the ceiling, and real traces."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

from benchmarks import ceiling
from benchmarks.deployment import Deployment, deployment
from benchmarks.generate import CIRR, PLAYBACK, events, json_lines, parquet, playback
from benchmarks.measure import Figure, at_least, say
from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from timeline.fragments import Policy
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.names import node_id

SINGLE_EVENTS = 60
POLICIES: tuple[Policy, ...] = ("node", "operator", "stream")
STREAMS = 4


def spec(name: str, shards: int, expression: str = CIRR, source: str | None = None) -> Spec:
    """CIRR over the generated sessions; timelines of a ``source`` share what they have in common."""
    limits = {"shards": shards, "allowed_lateness": "10s"}
    return Spec.from_wire(
        {"name": name, "expression": expression, "limits": limits, "source": {"name": source or name}}
    ).by_policy("operator")


def run(quick: bool) -> list[Figure]:
    """Figures for bulk feeding: absolute, against single events, the ceiling, two processes, real traces."""
    return asyncio.run(_run(quick))


async def _run(quick: bool) -> list[Figure]:
    count, keys = (100_000, 1_000) if quick else (1_000_000, 10_000)
    path, repetitions = json_lines(count, keys), 1 if quick else 3
    names = ("bulk", *POLICIES, "playback", "generated", "ceiling", "two")
    rates: dict[str, list[float]] = {name: [] for name in names}
    async with deployment() as running, deployment(2) as other:
        say("durable: one event a signal")
        single = await _one_by_one(running.timelines)
        for number in range(repetitions):
            say(f"durable: round {number + 1} of {repetitions}")
            for policy in POLICIES:
                by_policy = spec("bulk", STREAMS).by_policy(policy)
                rates[policy].append(await fed(running, by_policy, path, count))
            rates["bulk"].append(rates["operator"][-1])
            rates["two"].append(await fed(other, spec("bulk", STREAMS), path, count))
            rates["ceiling"].append(await ceiling.rate(running.server, path, STREAMS))
            if (real := playback(count)) is not None:
                rates["generated"].append(
                    await fed(running, spec("bulk", STREAMS), parquet(count, keys), count)
                )
                rates["playback"].append(await fed(running, spec("real", STREAMS, PLAYBACK), real, count))
        exact = all([await _exact(running, path, p) for p in POLICIES]) if quick else True
    bulk, two, top = (statistics.median(rates[name]) for name in ("bulk", "two", "ceiling"))
    spread = f"{min(rates['bulk']):,.0f} to {max(rates['bulk']):,.0f}"
    figures = [
        Figure(
            f"durable-bulk-{count}",
            bulk,
            "events/s",
            bulk / single,
            f"one event a signal: {single:.1f} events/s",
            "100 000 events/s, 3 000 times" if not quick else "500 times, every timeline exact",
            (bulk >= 100_000 and bulk >= 3_000 * single) if not quick else (bulk >= 500 * single and exact),
            spread + (", compared with local evaluation" if quick else ""),
        ),
        at_least(
            f"durable-ceiling-{count}",
            bulk,
            "events/s",
            top,
            f"nodes that do nothing: {top:,.0f} events/s",
            0.7,
            f"{min(rates['ceiling']):,.0f} to {max(rates['ceiling']):,.0f}",
        ),
        at_least(
            f"durable-two-processes-{count}",
            two,
            "events/s",
            bulk,
            f"one process: {bulk:,.0f} events/s",
            1,
            f"{min(rates['two']):,.0f} to {max(rates['two']):,.0f}",
        ),
    ]
    each = statistics.median(rates["node"])
    marks: dict[Policy, float] = {"node": 177_000, "operator": 300_000, "stream": 600_000}
    for policy, mark in marks.items():
        rate = statistics.median(rates[policy])
        met = rate >= mark and (policy != "stream" or rate >= 2.5 * each)
        wanted = f"{mark:,.0f} events/s" + (", 2.5 x node" if policy == "stream" else "")
        some = f"{min(rates[policy]):,.0f} to {max(rates[policy]):,.0f}"
        against = f"every node a workflow: {each:,.0f} events/s"
        figures.append(
            Figure(f"durable-bulk-{policy}", rate, "events/s", rate / each, against, wanted, met, some)
        )
    if rates["playback"]:
        real_rate, generated = (statistics.median(rates[name]) for name in ("playback", "generated"))
        other_file = f"as many generated events: {generated:,.0f} events/s"
        figures.append(
            at_least(f"durable-playback-{count}", real_rate, "events/s", generated, other_file, 1 / 1.5)
        )
    return figures


async def fed(running: Deployment, wanted: Spec, path: Path, count: int) -> float:
    """Events a second of a file fed to a timeline that is registered for it, and removed."""
    await running.timelines.registry.register(wanted)
    begin = time.perf_counter()
    report = await feed_files(running.timelines, wanted, [path])
    rate = report.accepted / (time.perf_counter() - begin)
    assert 0.9 * count <= report.accepted + report.refused == report.events <= count, report
    await running.timelines.registry.remove(wanted.name)
    return rate


async def _exact(running: Deployment, path: Path, policy: Policy) -> bool:
    """Every node of every key, compared with local evaluation."""
    wanted = spec("exact", STREAMS).by_policy(policy)
    await running.timelines.registry.register(wanted)
    await feed_files(running.timelines, wanted, [path])
    comparison = await compare(running.timelines, wanted)
    await running.timelines.registry.remove(wanted.name)
    return not comparison.differences


async def _one_by_one(timelines: Client) -> float:
    """Events a second when each goes alone and the next waits for the answer."""
    wanted = spec("one-by-one", 1)
    await timelines.registry.register(wanted)
    leaves = {node_id(wanted, n, 0): n.leaf.columns for n in wanted.plan.leaves if n.leaf}
    result = node_id(wanted, wanted.plan.result, 0)
    batch = events(SINGLE_EVENTS, 10)
    begin = time.perf_counter()
    for row in range(SINGLE_EVENTS):
        last = (1, row + 1)
        await timelines.leaves.signal_events(leaves, batch.take(slice(row, row + 1)).compact(), last)
        while await timelines.nodes.position(result) != last:  # noqa: ASYNC110
            # A query is the only way to learn where a node stands.
            await asyncio.sleep(0.002)
    taken = time.perf_counter() - begin
    await timelines.registry.remove("one-by-one")
    return SINGLE_EVENTS / taken

"""Through Pulsar with everything on this machine: throughput flat out, and latency at several rates."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pulsar

from benchmarks.measure import Figure, say
from feeder.broker import Broker, missing
from feeder.sources.base import ends_of
from feeder.sources.pulsar import PulsarConnector
from producer.generated import playback
from producer.messages import Chunk, limited
from producer.pulsar.connection import connect
from producer.pulsar.positions import place_of
from producer.send import Pace, send
from tests.support.places import CIRR
from timeline.fragments import Policy
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import node_id
from workflows.server import DevServer

PARTITIONS = 4
#: Seconds after which something is wrong.
PATIENCE = 300
RATES = (10, 100, 1_000)
FLAT_OUT_MARK = 40_000.0
SENDING_MARK = 80_000.0
#: By policy: events a second of a backlog; ms from event to answer on four partitions, at each of the rates.
BACKLOG_MARKS: dict[Policy, float] = {"operator": 60_000, "stream": 100_000}
LATENCY_MARKS: dict[Policy, tuple[float, ...]] = {"operator": (200, 300, 400), "stream": (60, 100, 150)}


@dataclass(slots=True)
class Parts:
    """What is running."""

    broker: Broker
    timelines: Client
    client: pulsar.Client


def run(quick: bool) -> list[Figure]:
    """Figures of streaming; none, with the reason, where there is no broker."""
    if (reason := missing()) is not None:
        return [Figure("streaming", 0, "events/s", 0, "-", f"{FLAT_OUT_MARK:,.0f}", False, reason)]
    return asyncio.run(_run(quick))


async def _run(quick: bool) -> list[Figure]:
    events, sessions = (200_000, 2_000) if quick else (1_000_000, 10_000)
    probes = 10 if quick else 100
    figures: list[Figure] = []
    chunks = list(limited(playback(sessions, start=10_000_000), events))
    async with _everything() as parts:
        both, sent = await _flat_out(parts, "flat-out", chunks, events, together=True)
        figures.append(
            Figure(
                f"pulsar-flat-out-{events}",
                both,
                "events/s",
                both / sent,
                f"sending alone in the same run: {sent:,.0f} events/s",
                f"{FLAT_OUT_MARK:,.0f} events/s",
                both >= FLAT_OUT_MARK,
                "producer, broker, feeder, worker and server on this machine",
            )
        )
        figures.append(
            Figure(
                f"pulsar-sending-{events}",
                sent,
                "events/s",
                sent / SENDING_MARK,
                "the mark",
                f"{SENDING_MARK:,.0f} events/s",
                sent >= SENDING_MARK,
                "the producer alone, flat out; nothing reads the topic",
            )
        )
        for policy, mark in BACKLOG_MARKS.items():
            say(f"streaming: a backlog, {policy}")
            name = f"backlog-{policy}"
            backlog, _ = await _flat_out(parts, name, chunks, events, together=False, policy=policy)
            figures.append(
                Figure(
                    f"pulsar-{name}",
                    backlog,
                    "events/s",
                    backlog / both,
                    f"while they are sent, operator: {both:,.0f} events/s",
                    f"{mark:,.0f} events/s",
                    backlog >= mark,
                    f"{events:,} events in a topic that is there already",
                )
            )
        for policy, marks in LATENCY_MARKS.items():
            for rate, mark in zip(RATES, marks, strict=True):
                say(f"streaming: event to answer at {rate}/s, {policy}")
                name = f"pulsar-latency-{policy}-at-{rate}"
                found = sorted(await _latencies(parts, name, rate, probes, policy))
                p50, p99 = statistics.median(found), found[min(len(found) - 1, int(len(found) * 0.99))]
                detail = f"p50; p99 {p99:.0f} ms of {len(found)} from send to visible answer"
                mark_text = f"{mark:.0f} ms on {PARTITIONS} partitions"
                figures.append(
                    Figure(name, p50, "ms", p50 / mark, "the mark", mark_text, p50 <= mark, detail)
                )
    return figures


@asynccontextmanager
async def _everything() -> AsyncIterator[Parts]:
    """Broker, server, and a worker and a feeder in processes of their own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with Broker(folder / "pulsar") as broker, DevServer(folder / "dev.db") as server:
            os.environ |= {"PULSAR_SERVICE_URL": broker.service_url, "TEMPORAL_ADDRESS": server.address}
            timelines = Client(await connect_embedded(server.address))
            client = await asyncio.to_thread(connect)
            processes = [await _command(command) for command in ("worker", "feeder")]
            try:
                yield Parts(broker, timelines, client)
            finally:
                for process in processes:
                    process.terminate()
                    await process.wait()
                await asyncio.to_thread(client.close)


async def _command(name: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "timeline.cli.main", name), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    return process


def _spec(name: str, policy: Policy) -> Spec:
    source = {"topic": name, "key": "session"}
    return Spec.from_wire({"name": name, "expression": CIRR, "source": source}).by_policy(policy)


async def _registered(parts: Parts, name: str, policy: Policy) -> Spec:
    """A timeline on a topic of its own, taken by the feeder."""
    await parts.broker.create_topic(name, PARTITIONS)
    spec = _spec(name, policy)
    await parts.timelines.registry.register(spec)
    return spec


async def _taken(parts: Parts, spec: Spec) -> None:
    async def taken() -> bool:
        return spec.source_id in await parts.timelines.registry.topics()

    await _until(taken)


async def _reached(parts: Parts, result: str, end: Position, pause: float) -> None:
    async def reached() -> bool:
        return (await parts.timelines.nodes.position(result) or ()) >= end

    await _until(reached, pause)


async def _until(done: Callable[[], Awaitable[bool]], pause: float = 0.02) -> None:
    """Asks again and again; what asking costs is part of what is measured, so it must not be often."""
    for _ in range(int(PATIENCE / pause)):
        if await done():
            return
        await asyncio.sleep(pause)
    raise TimeoutError(f"nothing within {PATIENCE} s")


async def _flat_out(
    parts: Parts,
    name: str,
    chunks: list[Chunk],
    events: int,
    *,
    together: bool,
    policy: Policy = "operator",
) -> tuple[float, float]:
    """Events a second until all are in the results, and those of sending alone."""
    if together:
        spec = await _registered(parts, name, policy)
        await _taken(parts, spec)
        begun = time.perf_counter()
        await asyncio.to_thread(send, parts.client, name, chunks, Pace())
    else:
        await parts.broker.create_topic(name, PARTITIONS)
        await asyncio.to_thread(send, parts.client, name, chunks, Pace())
        spec = _spec(name, policy)
        await parts.timelines.registry.register(spec)
        await _taken(parts, spec)
        begun = time.perf_counter()
    source = PulsarConnector(parts.client).source(spec)
    for number, end in enumerate(await asyncio.to_thread(ends_of, source)):
        assert end is not None
        result = node_id(spec, spec.plan.result, number)
        await _reached(parts, result, end, 0.05)
    whole = events / (time.perf_counter() - begun)
    counts = [
        (await parts.timelines.leaves.status(spec, stream))["accepted"]
        for stream in await parts.timelines.registry.streams(spec)
    ]
    assert sum(counts) == events, f"{sum(counts)} of {events} events are there"
    await parts.timelines.registry.remove(name)
    alone = await asyncio.to_thread(send, parts.client, f"{name}-alone", chunks, Pace()) if together else None
    return whole, events / alone.seconds if alone else 0.0


async def _latencies(parts: Parts, name: str, rate: int, probes: int, policy: Policy) -> list[float]:
    """Milliseconds from sending a message to an answer that has it, while others come at a rate."""
    spec = await _registered(parts, name, policy)
    await _taken(parts, spec)
    stop = threading.Event()
    load = asyncio.create_task(
        asyncio.to_thread(
            send, parts.client, name, playback(200, start=10_000_000), Pace(rate=rate), stop=stop
        )
    )
    producer = parts.client.create_producer(name, batching_enabled=False)
    found: list[float] = []
    try:
        for number in range(probes + 5):
            event = {"session": "probe", "time": 20_000_000 + number, "playerStateChange": "play"}
            begun = time.perf_counter()
            message = await asyncio.to_thread(producer.send, orjson.dumps(event), partition_key="probe")
            result = node_id(spec, spec.plan.result, max(0, message.partition()))
            place = place_of(message)
            await _reached(parts, result, place, 0.03)
            if number >= 5:
                found.append((time.perf_counter() - begun) * 1_000)
            await asyncio.sleep(0.05)
    finally:
        stop.set()
        await load
        producer.close()
        await parts.timelines.registry.remove(name)
    return found

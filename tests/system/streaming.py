"""``python -m tests.system.streaming [--events N] [--seed N]``: a real broker while everything is killed.

Playback events with late, repeated and broken ones go over four partitions; meanwhile feeders are killed
with SIGKILL three times, a second feeder takes over, the broker is killed and started again, a timeline is
registered in mid-stream, and the first one is moved to another policy after each kill. In the end every
node of every key must be what local evaluation of the topic says, and every message must be accounted for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import pulsar
import typer

from feeder.broker import Broker
from feeder.checks.topic import Check, check_topic
from feeder.sources.base import ends_of
from feeder.sources.pulsar import PulsarConnector
from feeder.topics.dead_letters import count_by_kind
from producer.generated import playback
from producer.messages import Faults, limited, with_faults
from producer.pulsar.connection import connect
from producer.send import Pace, Report, send
from tests.support.places import CIRR
from tests.support.servers import make_server
from timeline.cli.options import Fragments
from timeline.errors import ServiceError
from timeline.fragments import Policy
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from workflows.backoff import retry
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import fragment_id, node_id
from workflows.worker import make_worker

PARTITIONS = 4
FAULTS = Faults(late=0.02, repeated=0.02, broken=0.005)
LATER = 'count(cdn == "C1") > 1 && latest_event_to_state(playerStateChange) == "buffer"'
#: What the first timeline is moved to, one after the other: not to what the later one has by default.
MOVES: tuple[Policy, ...] = ("node", "operator", "node")
#: How long (s) the end may be waited for.
PATIENCE = 600


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was sent, what the check of each timeline found, and the dead letters by kind."""

    sent: Report
    checks: dict[str, Check]
    letters: Counter[str]
    killed: int


async def stream_and_kill(
    events: int,
    sessions: int,
    seed: int,
    folder: Path,
    policies: tuple[Policy, Policy],
    kills: int = 3,
    moves: Sequence[Policy] = MOVES,
    limits: dict[str, str] | None = None,
    idle: str = "10s",
) -> Outcome:
    """Sends events and kills feeders and the broker at even intervals; see the module's text."""
    broker = Broker(folder / "pulsar")
    await broker.start()
    os.environ["PULSAR_SERVICE_URL"] = broker.service_url
    try:
        async with make_server(folder / "dev.db") as server:
            temporal = await connect_embedded(server.address)
            async with make_worker(temporal):
                client = Client(temporal)
                return await _run(
                    events,
                    sessions,
                    seed,
                    policies,
                    kills,
                    moves,
                    limits,
                    idle,
                    broker,
                    client,
                    server.address,
                )
    finally:
        await broker.stop(kill=True)


async def _feeder(address: str) -> asyncio.subprocess.Process:
    """A ``timeline feeder`` in a process of its own, ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "timeline.cli.main", "feeder"),
        env=os.environ | {"TEMPORAL_ADDRESS": address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    return process


async def _run(
    events: int,
    sessions: int,
    seed: int,
    policies: tuple[Policy, Policy],
    kills: int,
    moves: Sequence[Policy],
    limits: dict[str, str] | None,
    idle: str,
    broker: Broker,
    timelines: Client,
    address: str,
) -> Outcome:
    topic = f"streaming-{seed}"
    await broker.create_topic(topic, PARTITIONS)
    common = {"source": {"topic": topic, "key": "session", "idle": idle}, "limits": limits or {}}
    first = Spec.from_wire({"name": "first", "expression": CIRR, **common}).by_policy(policies[0])
    later = Spec.from_wire({"name": "later", "expression": LATER, **common}).by_policy(policies[1])
    await timelines.registry.register(first)
    client = await asyncio.to_thread(connect)
    connector = PulsarConnector(client)
    sent: list[Report] = []
    progress = Report()

    def note(report: Report) -> None:
        progress.sent, progress.seconds = dict(report.sent), report.seconds

    def produce() -> None:
        chunks = with_faults(limited(playback(sessions, seed=seed, start=10_000_000), events), FAULTS, seed)
        pace = Pace(rate=max(2_000, events / 20))
        sent.append(send(client, topic, chunks, pace, stop=threading.Event(), on_progress=note))

    feeders = [await _feeder(address)]
    try:
        producing = asyncio.create_task(asyncio.to_thread(produce))
        for number in range(kills):
            await until(partial(_far, progress, events * (number + 1) / (kills + 2), producing))
            if number == 0:
                feeders.append(await _feeder(address))  # waits until the other is gone
                await timelines.registry.register(later)
            feeders[0].send_signal(signal.SIGKILL)
            await feeders.pop(0).wait()
            if number == 1:
                await broker.stop(kill=True)
                await broker.start()
            if not feeders or number > 0:
                feeders.append(await _feeder(address))
            if number < len(moves):
                first = await _moved(timelines, first, moves[number])
        await producing
        await arrived(client, timelines, [first, later])
        checks = {s.name: await check_topic(connector, timelines, s) for s in (first, later)}
        letters = await letters_of(connector, first, checks["first"])
    finally:
        for process in feeders:
            process.terminate()
            await process.wait()
        await asyncio.to_thread(client.close)
    return Outcome(sent[0], checks, letters, kills)


async def letters_of(connector: PulsarConnector, spec: Spec, check: Check) -> Counter[str]:
    """The dead letters by kind, once there are as many as a check found; else after a minute."""
    for _ in range(600):
        letters = await asyncio.to_thread(count_by_kind, connector.source(spec))
        refused = letters["late"] + letters["closed"]
        if refused >= check.refused and letters["broken"] >= check.broken:
            break
        await asyncio.sleep(0.1)
    return letters


async def _moved(timelines: Client, spec: Spec, policy: Policy) -> Spec:
    """Moves a timeline; its new leaves must not begin anew."""
    if spec.run.fragments == policy:
        return spec
    version = (await timelines.registry.standings())[spec.name]["version"]
    before = await _stands(timelines, spec)
    [done] = await timelines.registry.register_all([spec.by_policy(policy)], {spec.name: version})
    after = await _stands(timelines, done.spec)
    assert all(now >= then for now, then in zip(after, before, strict=True)), (policy, before, after)
    return done.spec


async def _stands(timelines: Client, spec: Spec) -> list[Position]:
    """Of each partition the place up to which all leaves have had it."""
    leaves = [fragment for fragment in spec.fragments if fragment.leaves]
    stands = [
        [(await timelines.leaves.stands(fragment_id(spec, leaf, n)))[0] or () for leaf in leaves]
        for n in range(PARTITIONS)
    ]
    return [min(places) for places in stands]


def _far(progress: Report, enough: float, producing: asyncio.Task[None]) -> bool:
    return progress.total > enough or producing.done()


async def until(done: Callable[[], bool]) -> None:
    """Waits for something that the producer brings about."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the producer stands still")
        await asyncio.sleep(0.02)


async def arrived(client: pulsar.Client, timelines: Client, specs: list[Spec]) -> None:
    """Waits until all results stand at the messages that are the last of all partitions now."""

    # A broker that was killed not long ago may answer late.
    ends = retry(on=ServiceError, attempts=None, timeout=PATIENCE)(ends_of)
    last = await asyncio.to_thread(ends, PulsarConnector(client).source(specs[0]))
    deadline = time.monotonic() + PATIENCE
    missing = {
        (spec.name, n): node_id(spec, spec.plan.result, n) for spec in specs for n in range(PARTITIONS)
    }
    while missing:
        for (name, number), result in list(missing.items()):
            position = await timelines.nodes.position(result)
            end = last[number]
            if end is None or (position is not None and position >= end):
                del missing[name, number]
        if time.monotonic() > deadline:
            raise TimeoutError(f"{sorted(missing)} do not reach the end of the topic: {last}")
        await asyncio.sleep(0.1)


def main(
    events: Annotated[int, typer.Option(help="Good events; faults come on top.")] = 200_000,
    sessions: Annotated[int, typer.Option(help="Sessions at the same time.")] = 500,
    seed: int = 7,
    first: Annotated[Fragments, typer.Option(help="The policy of the first timeline.")] = Fragments.OPERATOR,
    later: Annotated[Fragments, typer.Option(help="That of the one that comes later.")] = Fragments.STREAM,
    key_ttl: Annotated[str, typer.Option(help="Sessions have lives, with gaps of so long: 20s, say.")] = "",
    watermark: Annotated[str, typer.Option(help="By what events are late: key, or stream.")] = "key",
    idle: Annotated[
        str, typer.Option(help="A silence of so long has a mark, also while all is killed.")
    ] = "10s",
) -> None:
    """Stream, kill, compare; end with 1 if anything differs."""
    begun = time.monotonic()
    limits = {"allowed_lateness": "10s", "watermark": watermark} | ({"key_ttl": key_ttl} if key_ttl else {})
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(
            stream_and_kill(
                events,
                sessions,
                seed,
                Path(folder),
                (first.policy, later.policy),
                limits=limits,
                idle=idle,
            )
        )
    kinds = ", ".join(f"{count} {kind}" for kind, count in outcome.sent.sent.items())
    print(f"sent {outcome.sent.total}: {kinds}; {time.monotonic() - begun:.0f} s")
    wrong = 0
    for name, check in outcome.checks.items():
        total = check.accepted + check.refused + check.broken + check.ahead
        print(
            f"{name}: {check.accepted} accepted + {check.refused} refused + {check.broken} broken = {total} "
            f"of {check.messages} in the topic; {check.timelines} timelines of {check.keys} keys, "
            f"{len(check.differences)} differ"
        )
        lost = abs(total - check.messages) + abs(check.messages - outcome.sent.total)
        wrong += (
            len(check.differences)
            + lost
            + abs(check.refused - outcome.letters["late"] - outcome.letters["closed"])
        )
        wrong += abs(check.broken - outcome.letters["broken"])
    print(f"dead letters: {dict(outcome.letters)}")
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)

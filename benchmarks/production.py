"""What the real server costs against the dev server: one host and two, few history shards and many."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answers import event_to_answer, prepared, queries, under_load
from benchmarks.deployment import Deployment, Worker
from benchmarks.durable import STREAMS, fed, spec
from benchmarks.generate import json_lines
from benchmarks.measure import Figure, say
from benchmarks.processes import cpu_seconds, memory_mib
from tests.support.cluster.binaries import missing
from tests.support.cluster.postgres import Postgres
from tests.support.cluster.server import RealServer
from tests.support.servers import Server
from timeline.fragments import Policy
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.patience import DEFAULT, Patience
from workflows.server import DevServer

POLICIES: tuple[Policy, ...] = ("operator", "stream")
#: Seconds in which nothing is done, to see what that costs.
IDLE = 10.0
#: How many events are waited for one by one; and a fifth of the questions.
PROBES = 40


@dataclass(frozen=True, slots=True)
class Setup:
    """A cluster of so many hosts with so many history shards; without hosts, the dev server."""

    hosts: int
    shards: int = 0

    def __str__(self) -> str:
        hosts = "one-host" if self.hosts == 1 else "two-hosts"
        return f"{hosts}-{self.shards}-shards" if self.hosts else "dev-server"


DEV = Setup(0)
QUICK = (DEV, Setup(1, 16), Setup(2, 16))
SETUPS = (DEV, Setup(1, 4), Setup(1, 16), Setup(1, 512), Setup(2, 4), Setup(2, 16), Setup(2, 512))


@dataclass(slots=True)
class Running:
    """A deployment, and the processes of each of its parts."""

    deployment: Deployment
    parts: dict[str, list[int]]
    postgres: Postgres | None

    def cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(pids) for name, pids in self.parts.items()}

    def written(self) -> int:
        """Bytes of PostgreSQL's log so far."""
        if self.postgres is None:
            return 0
        return int(self.postgres.sql("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def connections(self) -> int:
        if self.postgres is None:
            return 0
        return int(self.postgres.sql("select count(*) from pg_stat_activity where datname like 'temporal%'"))


def run(quick: bool) -> list[Figure]:
    """Figures of each setup against the dev server's; none, with the reason, where no real one is built."""
    if (reason := missing()) is not None:
        return [Figure("production", 0, "events/s", 0, "-", "given", False, reason)]
    return asyncio.run(measured(QUICK, 200_000, 1) if quick else measured(SETUPS, 1_000_000, 3))


async def measured(setups: Sequence[Setup], count: int, rounds: int) -> list[Figure]:
    """The figures of all setups, of so many events, medians of rounds in which each has its turn."""
    file = await asyncio.to_thread(json_lines, count, count // 100)
    found: dict[Setup, list[dict[str, float]]] = {setup: [] for setup in setups}
    for number in range(rounds):
        for setup in setups:
            say(f"production: round {number + 1} of {rounds}, {setup}, load {os.getloadavg()[0]:.1f}")
            async with _started(setup) as running:
                found[setup].append(await _measure(running, file, count))
    figures = []
    for setup in setups:
        for name in found[setup][0]:
            values = [round_[name] for round_ in found[setup]]
            if not any(values):
                continue  # of PostgreSQL, where there is none
            against = statistics.median(round_[name] for round_ in found[DEV])
            value = statistics.median(values)
            what, _, unit = name.partition(", ")
            spread = f"{min(values):,.4g} to {max(values):,.4g}"
            ratio = value / against if against else 0.0
            other = f"the dev server: {against:,.4g} {unit}"
            figures.append(Figure(f"{setup}: {what}", value, unit, ratio, other, "given", True, spread))
    return figures


@asynccontextmanager
async def _started(setup: Setup) -> AsyncIterator[Running]:
    """Server and worker; with two hosts the worker asks the second one first, and the feeder the first."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = None
        hosts: Sequence[Server] = [DevServer(folder / "dev.db")]
        if setup.hosts:
            postgres = await stack.enter_async_context(Postgres())
            first = RealServer(postgres, "temporal", folder / "temporal", shards=setup.shards)
            hosts = [first, first.beside()][: setup.hosts]
        for host in hosts:
            await stack.enter_async_context(host)
        worker = await Worker.start(",".join(host.address for host in reversed(hosts)), folder)
        stack.push_async_callback(worker.stop)
        client = Client(await connect_embedded(hosts[0].address), Patience(DEFAULT))
        parts = {"worker": worker.pids, "server": [host.pid for host in hosts]}
        if postgres is not None:
            parts["postgresql"] = [postgres.pid]
        yield Running(Deployment(hosts[0], client, worker), parts, postgres)


async def _measure(running: Running, file: Path, count: int) -> dict[str, float]:
    """Every figure of a setup by its name and unit."""
    found: dict[str, float] = {}
    deployment = running.deployment
    for policy in POLICIES:
        # The first one opens what is open from then on: connections, caches.
        for _ in range(2):
            before, wal, own = running.cpu(), running.written(), time.process_time()
            rate = await fed(deployment, spec("bulk", STREAMS).by_policy(policy), file, count)
            after, feeder = running.cpu(), time.process_time() - own
        millions = count / 1e6
        found[f"bulk {policy}, events/s"] = rate
        for part in ("worker", "server", "postgresql"):
            found[f"bulk {policy} CPU of {part}, s/M events"] = (
                after.get(part, 0) - before.get(part, 0)
            ) / millions
        found[f"bulk {policy} CPU of feeder, s/M events"] = feeder / millions
        found[f"bulk {policy} PostgreSQL's log, bytes/event"] = (running.written() - wal) / count
    for policy in POLICIES:
        idle = spec(f"idle-{policy}", 1).by_policy(policy)
        stream = await prepared(deployment.timelines, idle)
        taken = await event_to_answer(deployment, idle, stream, PROBES)
        found[f"idle {policy} p50, ms"] = _of(taken, 0.5)
        found[f"idle {policy} p99, ms"] = _of(taken, 0.99)
    taken = await queries(deployment, idle, 5 * PROBES)
    found["query idle p50, ms"], found["query idle p99, ms"] = _of(taken, 0.5), _of(taken, 0.99)
    taken = await under_load(deployment, file)
    found["query under load p50, ms"], found["query under load p99, ms"] = _of(taken, 0.5), _of(taken, 0.99)
    found["PostgreSQL, connections"] = running.connections()
    before, begin = running.cpu(), time.monotonic()
    await asyncio.sleep(IDLE)
    seconds = time.monotonic() - begin
    after = running.cpu()
    for part in ("server", "postgresql"):
        spent = after.get(part, 0) - before.get(part, 0)
        found[f"nothing to do CPU of {part}, % of a core"] = 100 * spent / seconds
        found[f"memory of {part}, MiB"] = memory_mib(running.parts.get(part, []))
    return found


def _of(seconds: list[float], share: float) -> float:
    """In ms, the time within which this share of them was."""
    found = sorted(seconds)
    return found[min(len(found) - 1, int(len(found) * share))] * 1e3

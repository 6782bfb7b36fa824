"""Questions over all keys of a live timeline: ``python -m benchmarks.aggregates [--quick]``.

Generated sessions whose CDN changes on the way, in four streams: how long a question takes when nothing
else goes on, and while events come in; and whether ten instants are what DuckDB says of the local
evaluation of the same events.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table as TextTable

from feeder.files.feed import feed_files
from producer.sessions import STATES, WEIGHTS
from timeline.aggregate import Request, Result
from timeline.aggregate.samples import ACCURACY
from timeline.local.evaluate import evaluate
from timeline.local.evaluation import Evaluation
from timeline.spec.spec import Spec
from timeline.tables.events import EventColumn, Events
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.server import DevServer
from workflows.stores.opening import with_store
from workflows.worker import agree, make_worker

AGG = "count, sum(rebuffering), avg, min, max, p50, p99"
CDNS = ("C1", "C2", "C3", "C4")
EACH = 10  # events a session
SPAN = 3_600_000  # ms in which all of it happens
STREAMS = 4
REPETITIONS = 20
#: What a question may take when nothing else goes on, in seconds.
MARK = 0.1
OUTPUTS = {
    "cdn": "latest_event_to_state(cdn)",
    "buffering": 'latest_event_to_state(state) == "buffer"',
    "rebuffering": 'duration_where(@buffering && has_existed(state == "play"))',
}


def spec(name: str, shards: int = STREAMS) -> Spec:
    """Rebuffering and CDN of generated sessions."""
    limits = {"shards": shards, "retention": "1d", "allowed_lateness": "1m"}
    return Spec.from_wire({"name": name, "outputs": OUTPUTS, "limits": limits})


def sessions(count: int, seed: int = 11) -> Events:
    """Sessions of ten events within some minutes, which begin in the course of an hour.

    The first event names a CDN, and one in five of the others another.
    """
    random = np.random.default_rng(seed)
    key = np.repeat(np.arange(count), EACH)
    begin = np.repeat(random.integers(0, SPAN * 3 // 4, count), EACH)
    tick = begin + np.concatenate(
        [np.zeros((count, 1), np.int64), random.integers(1, SPAN // 4, (count, EACH - 1))], axis=1
    ).reshape(-1)
    state = random.choice(len(STATES), len(key), p=WEIGHTS) + 1
    named = (random.random(len(key)) < 0.2) | (np.arange(len(key)) % EACH == 0)
    cdn = np.where(named, random.integers(1, len(CDNS) + 1, len(key)), 0)
    order = np.argsort(tick, kind="stable")
    # Positions as one file of all of them has them.
    position = np.column_stack((np.ones(len(key), np.int64), np.arange(1, len(key) + 1)))
    columns = {
        "state": EventColumn(state[order], [None, *STATES]),
        "cdn": EventColumn(cdn[order], [None, *CDNS]),
    }
    return Events([f"s{i}" for i in range(count)], key[order], tick[order], columns, position)


def write_sessions(path: Path, events: Events) -> Path:
    """The events as a Parquet file with the columns key, time, state and cdn."""
    names = pa.array(events.keys)
    columns = {
        name: pa.DictionaryArray.from_arrays(
            pa.array(column.codes - 1, pa.int64(), mask=column.codes == 0), pa.array(column.values[1:])
        ).cast(pa.string())
        for name, column in events.columns.items()
    }
    keys = pa.DictionaryArray.from_arrays(pa.array(events.key, pa.int64()), names).cast(pa.string())
    pq.write_table(pa.table({"key": keys, "time": events.tick, **columns}), path)
    return path


def expected(local: Evaluation, at: Sequence[int]) -> dict[tuple[int, str], dict[str, Any]]:
    """By DuckDB, for each time and CDN: what `AGG` asks of the sessions that had begun.

    Sums are of whole ms, so that they are exact.
    """
    columns = local.columns()
    begun = {columns.names[code]: int(columns.origin[code]) for code in columns.codes.tolist()}
    rows = [row for row in local.values(at) if row.at >= begun[row.key]]
    values: list[Any] = [row.value for row in rows]
    data = pa.table(
        {
            "tick": [row.at for row in rows],
            "cdn": pa.array([value["cdn"] for value in values], pa.string()),
            "ms": pa.array([round(value["rebuffering"] * 1000) for value in values], pa.int64()),
        }
    )
    con = duckdb.connect()
    con.register("data", data)
    answer = con.sql(
        "select tick, cdn, count(*), sum(ms)::bigint, min(ms), max(ms), quantile_disc(ms, 0.5), "
        "quantile_disc(ms, 0.99) from data group by tick, cdn"
    ).fetchall()
    return {
        (tick, cdn): {
            "count": count,
            "sum(rebuffering)": total / 1000,
            "avg(rebuffering)": float(Fraction(total, 1000 * count)),
            "min(rebuffering)": least / 1000,
            "max(rebuffering)": most / 1000,
            "p50(rebuffering)": middle / 1000,
            "p99(rebuffering)": high / 1000,
        }
        for tick, cdn, count, total, least, most, middle, high in answer
    }


def problems(result: Result, want: dict[tuple[int, str], dict[str, Any]]) -> list[str]:
    """Where an answer is not what is expected: exactly, but for the columns that state an error."""
    got = {(row["time"], row["cdn"]): row for row in result.rows}
    found = [f"{place}: in one answer only" for place in got.keys() ^ want.keys()]
    for place in got.keys() & want.keys():
        for label, value in want[place].items():
            off = abs(got[place][label] - value)
            if off > result.errors.get(label, 0) * abs(value):
                found.append(f"{place}: {label} is {got[place][label]}, expected {value}")
    return found


async def ask(timelines: Client, wanted: Spec, request: Request, times: int) -> list[float]:
    """Seconds that each of some questions took."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        await timelines.questions.aggregate(wanted, request)
        taken.append(time.perf_counter() - begin)
    return taken


async def under_load(timelines: Client, wanted: Spec, request: Request, file: Path) -> list[float]:
    """Seconds that questions take while a file is fed: one after the other, as many as there is time for."""
    feeding = asyncio.create_task(feed_files(timelines, wanted, [file]))
    taken: list[float] = []
    while not feeding.done():
        taken += await ask(timelines, wanted, request, 1)
    await feeding
    return taken


async def measure(count: int, folder: Path, out: Console) -> bool:
    """Feeds, asks and compares; whether all is as it is to be."""
    wanted, events = spec("aggregates"), sessions(count)
    half = len(events) // 2
    early = write_sessions(folder / "early.parquet", events.take(slice(half)))
    late = write_sessions(folder / "late.parquet", events.take(slice(half, None)))
    first, last = int(events.tick.min()), int(events.tick.max())
    at = [first + (last - first) * i // 10 for i in range(1, 11)]
    out.print(f"{count} sessions, {len(events)} events, {STREAMS} streams, {os.cpu_count()} cores")
    async with DevServer(folder / "dev.db") as server:
        client = await connect_embedded(server.address)
        async with with_store(client, f"file:{folder / 'store'}") as (stored, store), make_worker(stored):
            await agree(stored, store)
            timelines = Client(client)
            await timelines.registry.register(wanted)
            begin = time.perf_counter()
            await feed_files(timelines, wanted, [early])
            rate = half / (time.perf_counter() - begin)
            now = await timelines.questions.request(wanted, agg=AGG, group_by=["cdn"])
            loaded = await under_load(timelines, wanted, now, late)
            instants = await timelines.questions.request(wanted, agg=AGG, group_by=["cdn"], at=at)
            idle = {
                "by CDN, now": await ask(timelines, wanted, now, REPETITIONS),
                "by CDN, at one instant": await ask(
                    timelines, wanted, replace(instants, at=(at[4],)), REPETITIONS
                ),
                "by CDN, at ten instants": await ask(timelines, wanted, instants, REPETITIONS),
            }
            result = await timelines.questions.aggregate(wanted, instants)
            await timelines.registry.remove(wanted.name)
    table = TextTable("question", "median ms", "slowest ms", "questions", box=None)
    for name, taken in (idle | {"by CDN, now, while fed": loaded}).items():
        table.add_row(
            name, f"{statistics.median(taken) * 1e3:.0f}", f"{max(taken) * 1e3:.0f}", str(len(taken))
        )
    out.print(table)
    out.print(f"fed at {rate:,.0f} events/s before that")
    found = problems(result, expected(evaluate(wanted.plan, events, wanted.node_limits), at))
    for problem in found[:20]:
        out.print(problem)
    fast = all(statistics.median(idle[name]) < MARK for name in list(idle)[:2])
    exact = sorted({a.label for a in result.request.aggregates} - result.errors.keys())
    out.print(f"ten instants by CDN equal DuckDB's: {'NO' if found else 'yes'} (exactly: {', '.join(exact)};")
    out.print(f"  within {ACCURACY:.1%}: {', '.join(result.errors) or 'none'})")
    out.print("positions " + ", ".join(".".join(map(str, p or ())) for p in result.positions))
    out.print(f"idle medians below {MARK * 1e3:.0f} ms: {'yes' if fast else 'NO'}")
    return fast and not found


def main(
    quick: Annotated[bool, typer.Option("--quick", help="10 000 sessions, not 100 000.")] = False,
) -> None:
    """Measure questions over all keys of a live timeline; ends with 1 if an answer is wrong or slow."""
    out = Console(width=110)
    with tempfile.TemporaryDirectory() as folder:
        good = asyncio.run(measure(10_000 if quick else 100_000, Path(folder), out))
    raise typer.Exit(0 if good else 1)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()

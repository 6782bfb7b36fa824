"""``python -m benchmarks.soak [--quick] [--json FILE]``: nothing grows, however long a stream runs.

Old keys go on getting events through the event time of 100 000 batches. A batch is what a second brings
(`PER_BATCH` events); `PACKED` of them are sent as one, because a wave through the nodes costs the same
whatever it carries. Retention and lateness are a fraction of what one wave covers, and runs continue as
new every few dozen waves, so that minutes show what would take months.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.deployment import deployment, resident_mib
from benchmarks.generate import CIRR
from feeder.leaves import leaves_of, results_of
from feeder.stream import Stream
from producer.sessions import STATES
from timeline.engine.answers import Answers
from timeline.local.graph import Graph
from timeline.spec.spec import Spec
from timeline.tables.events import EventColumn, Events, Position
from workflows.client import Client
from workflows.names import node_id

KEYS = 200
BATCH_MS = 1_000
PER_BATCH = 20
PACKED = 50
WAVES, QUICK_WAVES = 2_000, 400
#: Behind the newest event of most keys by more than the allowed lateness.
TOO_LATE_MS = 120_000
#: Events of a run before it continues as new; the server's default is 4 096.
HISTORY = 200
#: How often a tenth is looked at; what counts is the most that was seen, as rows come and go in waves.
LOOKS = 20
#: The last tenth may have this many times what the first had.
FLAT = 1.25


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is after some batches; ``carried`` (bytes) and ``rows`` of each node by its text."""

    batches: int
    seconds: float
    worker_mib: float
    server_mib: float
    keys: int
    history: int
    rows: dict[str, int]
    carried: dict[str, int]

    def measures(self) -> dict[str, float]:
        """What must not grow."""
        return {
            "worker, MiB": self.worker_mib,
            "rows": sum(self.rows.values()),
            "carried, bytes": sum(self.carried.values()),
            "keys": self.keys,
        }


def spec() -> Spec:
    """CIRR with limits that are a fraction of what a wave covers."""
    limits = {"allowed_lateness": "5s", "retention": "15s"}
    return Spec.from_wire({"name": "soak", "expression": CIRR, "limits": limits})


def wave(number: int) -> tuple[Events, Position]:
    """The events of `PACKED` batches: mostly in order, some late, some too late.

    So many are too late that what a leaf remembers of them is full by the end of the first tenth.
    """
    random = np.random.default_rng(number)
    count = PACKED * PER_BATCH
    tick = np.sort(random.integers(0, PACKED * BATCH_MS, count)) + number * PACKED * BATCH_MS
    jitter = random.integers(0, 5_000, count)
    late = random.choice(3, count, p=(0.91, 0.05, 0.04))
    tick = np.maximum(0, tick - np.array([0, 1, 0])[late] * jitter - np.array([0, 0, TOO_LATE_MS])[late])
    first = number * count + 1
    position = np.column_stack((np.ones(count, np.int64), np.arange(first, first + count)))
    state = EventColumn(random.integers(1, len(STATES) + 1, count), [None, *STATES])
    keys = [f"session-{key}" for key in range(KEYS)]
    key = random.integers(0, KEYS, count)
    return Events(keys, key, tick, {"state": state}, position), (1, first + count - 1)


async def run(waves: int, console: Console) -> tuple[list[Sample], int]:
    """Sends all waves; a sample of each tenth, and how many values differ in the end."""
    soaked = spec()
    option = f"limit.historyCount.suggestContinueAsNew={HISTORY}"
    graph = Graph(soaked.plan, soaked.node_limits)
    samples: list[Sample] = []
    looks: list[Sample] = []
    async with deployment(options=("--dynamic-config-value", option)) as running:
        timelines = running.timelines
        await timelines.registry.register(soaked)
        stream = Stream(timelines, leaves_of([soaked], 0), results_of([soaked], 0))
        await stream.locate()
        begin = time.monotonic()
        for number in range(waves):
            events, last = wave(number)
            await stream.send(events, last)
            graph.feed(events, last)
            if (number + 1) % (waves // (10 * LOOKS)):
                continue
            await stream.drain()
            seconds = time.monotonic() - begin
            memory = resident_mib(running.worker.process.pid), resident_mib(running.server.pid)
            looks.append(await _look(timelines, soaked, (number + 1) * PACKED, seconds, memory))
            if len(looks) == LOOKS:
                samples.append(_most(looks))
                looks = []
                console.print(f"{number + 1} of {waves} waves, {seconds:.0f} s", highlight=False)
        wrong = await _differences(timelines, soaked, graph)
    return samples, wrong


async def _look(
    timelines: Client, soaked: Spec, batches: int, seconds: float, memory: tuple[float, float]
) -> Sample:
    rows, carried = {}, {}
    keys = history = 0
    for node in soaked.plan.nodes:
        workflow_id = node_id(soaked, node, 0)
        status = await timelines.nodes.status(workflow_id)
        rows[node.text] = status["rows"]
        keys = max(keys, status["keys"])
        history = max(history, status["history_length"])
        # What the run at hand was started with: a state is written only when it is carried.
        first = await anext(
            timelines.temporal.get_workflow_handle(workflow_id).fetch_history_events(page_size=1)
        )
        payloads = first.workflow_execution_started_event_attributes.input.payloads
        carried[node.text] = len(payloads[1].data) if len(payloads) > 1 else 0
    return Sample(batches, seconds, *memory, keys, history, rows, carried)


def _most(looks: list[Sample]) -> Sample:
    """The most of everything that several looks saw."""
    nodes = looks[0].rows
    return Sample(
        looks[-1].batches,
        looks[-1].seconds,
        max(look.worker_mib for look in looks),
        max(look.server_mib for look in looks),
        max(look.keys for look in looks),
        max(look.history for look in looks),
        {text: max(look.rows[text] for look in looks) for text in nodes},
        {text: max(look.carried[text] for look in looks) for text in nodes},
    )


async def _differences(timelines: Client, soaked: Spec, graph: Graph) -> int:
    """In how many values and counters the workflows differ from the same batches in this process.

    Asked is every node of every key, at every second that retention promises.
    """
    wrong = 0
    kept = soaked.limits.allowed_lateness + soaked.limits.retention
    for planned, node in zip(soaked.plan.nodes, graph.nodes, strict=True):
        newest = {key: Answers(node.state).timeline(key)[2] for key in node.state.keys.names}
        asked = [(key, t) for key, last in newest.items() for t in range(last - kept, last + 1, 1_000)]
        answers = await timelines.questions.values(soaked, planned, asked)
        for (key, tick), answer in zip(asked, answers, strict=True):
            wrong += answer.error is not None or answer.value != Answers(node.state).value(key, tick)[0]
        status = await timelines.nodes.status(node_id(soaked, planned, 0))
        wrong += (status["accepted"], status["refused"]) != (node.state.accepted, node.state.refused.count)
    return wrong


def main(
    quick: Annotated[bool, typer.Option("--quick", help="A fifth of it; about a minute and a half.")] = False,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the samples here.")] = None,
) -> None:
    """Soak; end with 1 if something grew or differs."""
    console = Console(width=None if Console().is_terminal else 150)
    samples, wrong = asyncio.run(run(QUICK_WAVES if quick else WAVES, console))
    table = Table("batches", "s", "worker MiB", "server MiB", "keys", "history", "rows", "carried", box=None)
    for s in samples:
        sizes = [f"{size:.1f}" for size in (s.worker_mib, s.server_mib)]
        counts = (s.keys, s.history, sum(s.rows.values()), sum(s.carried.values()))
        table.add_row(f"{s.batches:,}", f"{s.seconds:.0f}", *sizes, *(f"{count:,}" for count in counts))
    console.print(table)
    nodes = Table("node", "rows, first", "last", "carried, first", "last", box=None)
    begin, end = samples[0], samples[-1]
    for text in begin.rows:
        numbers = (begin.rows[text], end.rows[text], begin.carried[text], end.carried[text])
        nodes.add_row(text[:60], *(f"{number:,}" for number in numbers))
    console.print(nodes)
    first, last = begin.measures(), end.measures()
    ratios = {name: last[name] / max(1, first[name]) for name in first}
    told = ", ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items())
    flat = all(ratio <= FLAT for ratio in ratios.values())
    console.print(f"the last tenth to the first: {told}: {'flat' if flat else 'NOT FLAT'} (at most {FLAT})")
    console.print(f"{wrong} values differ from the same batches in one process")
    if json is not None:
        report = {"samples": list(map(asdict, samples)), "ratios": ratios, "flat": flat, "wrong": wrong}
        json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    if wrong or not flat:
        raise typer.Exit(1)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()

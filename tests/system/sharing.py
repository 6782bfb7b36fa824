"""``python -m tests.system.sharing [--seed N]``: ten timelines on one live source come and go, and share.

They are registered one by one while events are fed, and removed in another order, while the worker, the
server and the feeder are killed. After every step each timeline is compared with local evaluation.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from temporalio.api.enums.v1 import EventType

from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from tests.support.servers import Server, make_server
from timeline.cli.options import Fragments
from timeline.errors import ServiceError
from timeline.fragments import Policy
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import REGISTRY_ID, fragment_id

STATES = ("play", "buffer", "seek", "pause")
BUFFERING = 'latest_event_to_state(state) == "buffer"'
PLAYED = 'has_existed(state == "play")'
EXPRESSIONS = (
    f"duration_where({BUFFERING})",
    f"duration_where({PLAYED} && {BUFFERING})",
    f'duration_where({PLAYED} && !has_existed_within(state == "seek", 5s) && {BUFFERING})',
    f'duration_where({PLAYED} && !has_existed_within(state == "seek", 9s) && {BUFFERING})',
    f"count_rises({BUFFERING})",
    f'count_rises({BUFFERING}) + count(state == "seek")',
    f"duration_in_cur_state({BUFFERING})",
    f'if({PLAYED}, latest_event_to_state(state), "new")',
    f"!({PLAYED})",
    f'has_existed_within(state == "seek", 5s) || {BUFFERING}',
)
FAULTS = ("none", "worker", "server", "feeder")
PER_PIECE = 400
KEYS = 12
LATENESS = 3_000


#: What timelines are moved to, one after the other.
MOVES: tuple[Policy, ...] = ("stream", "node", "operator", "stream", "operator", "node")


@dataclass(slots=True)
class Outcome:
    """What was seen. ``nodes`` and ``signals``: as they were with all timelines there, and as they would
    have been if each had nodes of its own."""

    compared: int = 0
    nodes: int = 0
    nodes_apart: int = 0
    signals: int = 0
    signals_apart: int = 0
    faults: dict[str, int] = field(default_factory=dict)


def spec(number: int, fragments: Policy) -> Spec:
    """The timeline of that number; all are on one source."""
    limits = {"allowed_lateness": f"{LATENESS}ms", "retention": "1d"}
    name, expression = f"shared-{number}", EXPRESSIONS[number]
    return Spec.from_wire(
        {"name": name, "expression": expression, "limits": limits, "source": {"name": "player"}}
    ).by_policy(fragments)


def piece(folder: Path, number: int, draw: random.Random) -> Path:
    """Events that follow on those of the piece before, out of order by less than the allowed lateness."""
    path = folder / f"piece-{number}.jsonl"
    with path.open("w") as file:
        for i in range(PER_PIECE):
            tick = LATENESS + (number * PER_PIECE + i) * 100 - draw.randrange(LATENESS)
            row = {"key": f"k{draw.randrange(KEYS)}", "time": tick, "state": draw.choice(STATES)}
            file.write(json.dumps(row) + "\n")
    return path


@dataclass(slots=True)
class Rig:
    """A server on a database, and a worker and feeders as processes, to be killed."""

    server: Server
    folder: Path
    worker: asyncio.subprocess.Process | None = None

    async def command(self, *arguments: str) -> asyncio.subprocess.Process:
        config = self.folder / "temporal.toml"
        config.touch()
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TEMPORAL_")}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "timeline.cli.main", *arguments),
            env=clean | {"TEMPORAL_ADDRESS": self.server.address, "TEMPORAL_CONFIG_FILE": str(config)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def work(self) -> None:
        """Starts a worker."""
        self.worker = await self.command("worker")
        assert self.worker.stdout is not None
        await self.worker.stdout.readline()

    async def hurt(self, what: str, feeding: asyncio.subprocess.Process) -> None:
        """Kills something, and starts it anew."""
        if what == "feeder" and feeding.returncode is None:
            feeding.kill()
        elif what == "worker":
            await self.end_worker()
            await self.work()
        elif what == "server":
            await self.server.stop(kill=True)
            await self.server.start()

    async def end_worker(self) -> None:
        if self.worker is not None and self.worker.returncode is None:
            self.worker.send_signal(signal.SIGKILL)
            await self.worker.wait()


@asynccontextmanager
async def rig(folder: Path) -> AsyncIterator[Rig]:
    async with make_server(folder / "dev.db") as server:
        running = Rig(server, folder)
        await running.work()
        try:
            yield running
        finally:
            await running.end_worker()


async def play(
    seed: int,
    count: int,
    folder: Path,
    say: Callable[[str], None],
    fragments: Policy = "operator",
    moves: Sequence[Policy] = (),
) -> Outcome:
    """Adds and removes ``count`` timelines; in between some are moved to other policies.

    Raises:
        AssertionError: an answer is wrong, or something is left running.
    """
    draw = random.Random(seed)
    outcome = Outcome()
    numbers = list(range(count))
    draw.shuffle(numbers)
    async with rig(folder) as running:
        timelines = Client(await connect_embedded(running.server.address))
        live: list[Spec] = []
        for step, number in enumerate(numbers):
            # While the piece before is still on its way the next timeline comes.
            feeding = await _feed(running, live, piece(folder, step, draw))
            await _patiently(partial(timelines.registry.register, spec(number, fragments)))
            live.append(spec(number, fragments))
            fault = draw.choice(FAULTS)
            await running.hurt(fault, feeding)
            await _settle(running, timelines, live, feeding, outcome, fault)
            say(f"+ {live[-1].name} (fault: {fault}): {len(live)} timelines exact")
        await _count(timelines, live, outcome)
        for step, policy in enumerate(moves):
            # One that is fed moves to another policy: its old workflows go, the new ones catch up.
            feeding = await _feed(running, live, piece(folder, count + step, draw))
            one = draw.randrange(len(live))
            live[one] = moved = live[one].by_policy(policy)
            fault = draw.choice(FAULTS)
            change = _patiently(partial(_move, timelines, moved))
            await asyncio.gather(change, running.hurt(fault, feeding))
            await _settle(running, timelines, live, feeding, outcome, fault)
            say(f"{moved.name} -> {policy} (fault: {fault}): {len(live)} timelines exact")
        draw.shuffle(live)
        for step in range(count - 1):
            feeding = await _feed(running, live, piece(folder, count + len(moves) + step, draw))
            gone = live.pop()
            fault = draw.choice(FAULTS)
            removed = _patiently(partial(timelines.registry.remove, gone.name))
            await asyncio.gather(removed, running.hurt(fault, feeding))
            await _settle(running, timelines, live, feeding, outcome, fault)
            say(f"- {gone.name} (fault: {fault}): {len(live)} timelines exact")
        await timelines.registry.remove(live[0].name)
        assert not await timelines.registry.users()
        await _nothing_runs(timelines)
    return outcome


async def _move(timelines: Client, wanted: Spec) -> None:
    """Changes a timeline to what is wanted, unless that was done by a request whose answer was lost.

    New leaves stand where the old ones stood, or further on, unless others of that policy run already.
    """
    known = await timelines.registry.spec(wanted.name)
    if known.run == wanted.run:
        return
    version = (await timelines.registry.standings())[wanted.name]["version"]
    users = await timelines.registry.users()
    before = await _stands(timelines, known)
    await timelines.registry.register_all([wanted], {wanted.name: version})
    if not users.keys() & {fragment_id(wanted, fragment, 0) for fragment in wanted.fragments}:
        after = await _stands(timelines, wanted)
        assert after >= before, (wanted.name, before, after)


async def _stands(timelines: Client, wanted: Spec) -> Position:
    """The place up to which all leaves of a timeline have had the source."""
    leaves = [fragment_id(wanted, fragment, 0) for fragment in wanted.fragments if fragment.leaves]
    return min([(await timelines.leaves.stands(leaf))[0] or () for leaf in leaves])


async def _feed(running: Rig, live: list[Spec], file: Path) -> asyncio.subprocess.Process:
    """A feeder on its way; before there is any timeline, the file is only remembered."""
    name = live[0].name if live else "nobody"
    return await running.command("feed", name, str(file))


async def _patiently(ask: Callable[[], Awaitable[object]]) -> None:
    """A server or worker that was just killed does not answer for some seconds."""
    for attempt in range(6):
        try:
            await ask()
            return
        except ServiceError:
            if attempt == 5:
                raise


async def _settle(
    running: Rig,
    timelines: Client,
    live: list[Spec],
    feeding: asyncio.subprocess.Process,
    outcome: Outcome,
    fault: str,
) -> None:
    """Feeds all pieces once more, as one does after a crash, and compares all timelines."""
    outcome.faults[fault] = outcome.faults.get(fault, 0) + 1
    await feeding.wait()
    files = sorted(running.folder.glob("piece-*.jsonl"), key=lambda path: int(path.stem.split("-")[1]))
    await _patiently(partial(feed_files, timelines, live[0], files))
    for wanted in live:
        comparison = await compare(timelines, wanted)
        assert not comparison.differences, (wanted.name, comparison.differences[:3])
        assert comparison.timelines, wanted.name
        outcome.compared += comparison.timelines


async def _count(timelines: Client, live: list[Spec], outcome: Outcome) -> None:
    """Nodes and signals, with sharing and without."""
    users = await timelines.registry.users()
    outcome.nodes, outcome.nodes_apart = len(users), sum(len(one.fragments) for one in live)
    for workflow_id, names in users.items():
        signals = 0
        async for event in timelines.temporal.get_workflow_handle(workflow_id).fetch_history_events():
            signals += event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
        outcome.signals += signals
        outcome.signals_apart += signals * len(names)


async def _nothing_runs(timelines: Client) -> None:
    """Waits until no node runs; visibility follows after a moment."""
    left: list[str] = []
    for _ in range(100):
        found = timelines.temporal.list_workflows('ExecutionStatus = "Running"')
        left = [one.id async for one in found if one.id != REGISTRY_ID]
        if not left:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"left running: {left}")


def main(
    seed: Annotated[int, typer.Option(help="Of events, faults and orders.")] = 0,
    count: Annotated[int, typer.Option("--timelines", min=1, max=len(EXPRESSIONS), help="How many.")] = 10,
    fragments: Annotated[Fragments, typer.Option(help="Which nodes share a workflow.")] = Fragments.OPERATOR,
) -> None:
    """Play once; end with 1 if an answer is wrong or something is left running."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            outcome = asyncio.run(play(seed, count, Path(folder), typer.echo, fragments.policy, MOVES))
        except AssertionError as error:
            typer.echo(f"wrong: {error}")
            raise typer.Exit(1) from None
    faults = ", ".join(f"{name} {times}" for name, times in sorted(outcome.faults.items()))
    typer.echo(f"{outcome.compared} timelines compared, all exact; faults: {faults}")
    typer.echo(f"nodes {outcome.nodes}, apart they would be {outcome.nodes_apart}")
    typer.echo(f"signals {outcome.signals}, apart they would be {outcome.signals_apart}")
    typer.echo("nothing left running")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()

"""``timeline demo``: broker, server, worker, feeder and producer on this machine, and sessions that move."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timeline.cli.connecting import run_until_signalled
from timeline.cli.options import JsonOption, UsageError
from timeline.cli.saying import say
from timeline.errors import ServiceError

if TYPE_CHECKING:
    from feeder.sources.base import Connector
    from timeline.cli.processes import Command
    from timeline.spec.spec import Spec
    from timeline.tables.events import Position
    from workflows.client import Client

TOPIC = "sessions"
PARTITIONS = 4
FAULTS = ("--late", "2%", "--repeated", "2%", "--broken", "0.5%")
#: How long (s) the feeder may need for what was sent.
PATIENCE = 600
#: How long (s) the dead letters may need after that.
LETTERS_PATIENCE = 30
CIRR = """
duration_where(
  has_existed(playerStateChange == "play")
  && !has_existed_within(playerStateChange == "seek", 5s)
  && latest_event_to_state(playerStateChange) == "buffer")
"""


def demo(
    events: Annotated[int | None, typer.Option(min=1, help="Stop after so many events.")] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="At the end compare every key of every node with local evaluation."),
    ] = False,
    sessions: Annotated[int, typer.Option(min=1, max=100_000, help="Sessions at the same time.")] = 200,
    speed: Annotated[str, typer.Option(metavar="FACTOR", help="How much faster than real time.")] = "10x",
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep all in this folder [default: keep nothing].")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Stream playback sessions through Pulsar and Temporal on this machine, and watch one timeline.

    Starts a broker (needs Java 17; Maven the first time), an embedded Temporal server, a worker, a feeder
    and a producer with late, repeated and broken messages among the good ones. Ctrl-C stops all of them.
    With --check it ends with 1 if a key of any node differs from local evaluation.
    """
    if check and events is None:
        raise UsageError("--check needs --events N: it compares at the end, and without N there is no end")
    verdict: list[bool] = []
    run_until_signalled(_demo(events, check, sessions, speed, data, json, verdict))
    if verdict and not verdict[0]:
        raise typer.Exit(1)


async def _demo(
    events: int | None,
    check: bool,
    sessions: int,
    speed: str,
    data: Path | None,
    json: bool,
    verdict: list[bool],
) -> None:
    from feeder.broker import Broker
    from feeder.sources.opening import connect
    from timeline.cli.processes import Command
    from timeline.cli.watching import watch_timeline
    from timeline.spec.spec import Spec
    from workflows.client import Client
    from workflows.connection import connect_embedded
    from workflows.server import DevServer

    async with contextlib.AsyncExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        begun = time.monotonic()

        def note(text: str) -> None:
            say(f"{time.monotonic() - begun:6.1f} s  {text}", err=True)

        broker = Broker(folder / "pulsar")
        stack.push_async_callback(broker.stop)
        await broker.start(note)
        note(f"Pulsar broker at {broker.service_url}")
        server = await stack.enter_async_context(DevServer(folder / "temporal" / "dev.db"))
        note(f"Temporal server at {server.address}")
        os.environ |= {"TEMPORAL_ADDRESS": server.address, "PULSAR_SERVICE_URL": broker.service_url}

        def command(*arguments: str) -> Command:
            return Command(*arguments, environment=os.environ, log=folder / f"{arguments[0]}.log")

        with contextlib.suppress(FileExistsError):
            await _topic(broker)
        spec = Spec.from_wire(
            {"name": "cirr", "expression": CIRR, "source": {"topic": TOPIC, "key": "session"}}
        )
        await stack.enter_async_context(command("worker"))
        timelines = Client(await connect_embedded(server.address))
        await timelines.registry.register(spec)
        note("timeline cirr is registered")
        await stack.enter_async_context(command("feeder"))
        pace = ["--flat-out"] if check else ["--speed", speed]
        limit = [] if events is None else ["--events", str(events)]
        # A feeder that took the topic before it has anything follows from the first message on.
        wanted = ["produce", "--to", TOPIC, "--json", "--sessions", str(sessions), *pace, *limit, *FAULTS]
        producer = await stack.enter_async_context(command(*wanted))
        note("worker, feeder and producer run")
        connector = await asyncio.to_thread(connect)
        stack.callback(connector.close)
        watching = asyncio.create_task(watch_timeline(timelines, spec, 1.0, 12, False, json))
        try:
            if events is None:
                await watching
            if code := await producer.wait():
                raise producer.failure(f"ended with code {code}")
            await _arrived(connector, timelines, spec, watching)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        if check:
            verdict.append(await _check(connector, timelines, spec, folder, json))


async def _topic(broker: Any) -> None:
    try:
        await broker.create_topic(TOPIC, PARTITIONS)
    except ServiceError as error:
        if "409" not in str(error):  # it is there from an earlier run in the same folder
            raise


async def _arrived(connector: Connector, timelines: Client, spec: Spec, watching: Any) -> None:
    """Waits until the results stand at the last message of every partition."""
    from feeder.sources.base import ends_of
    from workflows.backoff import until
    from workflows.names import node_id

    async def fed(result: str, end: Position) -> bool:
        position = await timelines.nodes.position(result)
        return watching.done() or (position is not None and position >= end)

    begun = time.monotonic()
    for number, end in enumerate(await asyncio.to_thread(ends_of, connector.source(spec))):
        if end is None:
            continue
        left = max(1.0, begun + PATIENCE - time.monotonic())
        try:
            await until(partial(fed, node_id(spec, spec.plan.result, number), end), left)
        except TimeoutError:
            raise UsageError(f"partition {number} was not fed to its end {end} within {PATIENCE} s") from None


async def _check(connector: Connector, timelines: Client, spec: Spec, folder: Path, json: bool) -> bool:
    """Compares, and prints what became of all messages; whether all is as it must be."""
    import orjson

    from feeder.checks.topic import check_topic
    from feeder.topics.dead_letters import count_by_kind
    from timeline.cli.render import print_json
    from workflows.backoff import until

    sent = orjson.loads((folder / "produce.log").read_bytes().splitlines()[-1])["sent"]
    found = await check_topic(connector, timelines, spec)
    letters: Counter[str] = Counter()

    async def all_there() -> bool:
        nonlocal letters
        letters = await asyncio.to_thread(count_by_kind, connector.source(spec))
        return letters.total() >= found.refused + found.broken + found.ahead

    with contextlib.suppress(TimeoutError):  # what is missing shows in the verdict
        await until(all_there, LETTERS_PATIENCE)
    total = sum(sent.values())
    right = (
        not found.differences
        and found.messages == total == found.accepted + found.refused + found.broken + found.ahead
        and found.refused == letters["late"] + letters["closed"]
        and (found.broken, found.ahead) == (letters["broken"], letters["ahead"])
    )
    counts = {"accepted": found.accepted, "refused": found.refused, "broken": found.broken}
    if found.ahead:
        counts["ahead"] = found.ahead
    if json:
        print_json(
            {"sent": sent, **counts, "dead_letters": dict(letters), "keys": found.keys}
            | {"timelines": found.timelines, "differences": len(found.differences), "right": right}
        )
        return right
    kinds = ", ".join(f"{count} {kind}" for kind, count in sent.items())
    say(f"sent          {total}: {kinds}")
    say(f"accounted for {sum(counts.values())}: " + ", ".join(f"{n} {k}" for k, n in counts.items()))
    say(f"dead letters  {letters.total()}: " + ", ".join(f"{n} {k}" for k, n in letters.items()))
    for difference in found.differences[:10]:
        say(
            f"{difference.key}, {difference.node.text}:\n  workflows {difference.workflows}\n"
            f"  local     {difference.local}",
            err=True,
        )
    wrong = f"{len(found.differences)} differ" if found.differences else "all equal to local evaluation"
    say(f"{found.timelines} timelines ({found.keys} keys, {len(spec.plan.nodes)} nodes): {wrong}")
    return right

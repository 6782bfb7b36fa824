"""Commands for topics: ``feeder``, ``watch``, ``dead-letters``."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from timeline.cli.connecting import NameArgument, connect, connected, run_until_signalled
from timeline.cli.logs import LogFormat, LogLevel
from timeline.cli.observing import (
    HealthOption,
    HealthServer,
    LogFormatOption,
    LogLevelOption,
    MetricsOption,
    Observed,
    host_and_port,
)
from timeline.cli.options import JsonOption, UsageError
from timeline.cli.saying import printable, say
from timeline.cli.watching import watch_timeline

if TYPE_CHECKING:
    pass

KINDS = ("broken", "ahead", "late", "closed")
#: Of the keys of a timeline so many are shown.
ROWS = 15
#: Characters of a feeder's name.
MAX_NAME = 100


def feeder(
    accept_gap: Annotated[
        bool,
        typer.Option(
            "--accept-gap",
            help="Go on although messages are missing: after a restore, if the topic no longer has them.",
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            envvar="TIMELINE_FEEDER_NAME",
            help="What it is called where one sees who feeds [default: host and process].",
        ),
    ] = None,
    metrics_address: MetricsOption = None,
    health_address: HealthOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
    log_level: LogLevelOption = LogLevel.WARNING,
) -> None:
    """Feed all registered timelines on topics from Pulsar, until it is stopped.

    It notices timelines that are registered or removed meanwhile. Several feeders share the partitions.
    When one dies, another takes over. PULSAR_SERVICE_URL and TEMPORAL_ADDRESS say where to connect.
    """
    if name is not None and not (0 < len(name) <= MAX_NAME and name.isprintable()):
        raise UsageError(f"--name has 1 to {MAX_NAME} characters that can be printed, got {name[:80]!r}")
    observed = Observed(metrics_address, health_address, log_format, log_level)
    run_until_signalled(run_feeder(None, accept_gap, observed, name))


async def run_feeder(
    only: str | None, accept_gap: bool = False, observed: Observed | None = None, name: str | None = None
) -> None:
    """Runs a feeder, for one timeline's source or for all."""
    from feeder.sources import opening
    from feeder.topics.service import Feeder

    observed = observed or Observed()
    announce = observed.begin()
    timelines = await connect()
    connector = await asyncio.to_thread(opening.connect)
    try:
        feeder = Feeder(connector, timelines, only=only, say=announce, accept_gap=accept_gap, name=name)

        async def trouble() -> str | None:
            return feeder.trouble

        with contextlib.ExitStack() as stack:
            if observed.health is not None:
                place = host_and_port(observed.health, "--health-address")
                stack.enter_context(HealthServer(*place, trouble))
            announce(
                f"Feeder is ready, called {printable(feeder.name)}: {connector.where}. Stop with Ctrl-C."
            )
            await feeder.run()
    finally:
        await asyncio.to_thread(connector.close)


def watch(
    name: NameArgument,
    every: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds between looks.")] = 1.0,
    rows: Annotated[int, typer.Option(min=1, max=200, help="How many keys to show.")] = ROWS,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    json: JsonOption = False,
) -> None:
    """Watch a timeline: the keys that changed last, with value, time and position, and how fast it goes."""

    async def work() -> None:
        timelines = await connect()
        await watch_timeline(timelines, await timelines.registry.spec(name), every, rows, once, json)

    run_until_signalled(work())


def dead_letters(
    name: NameArgument,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only broken, ahead, late or closed.")
    ] = None,
    send_again: Annotated[
        bool, typer.Option("--send-again", help="Send those of --kind to the topic again, each only once.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """List the messages that no timeline took: broken ones and refused events, with reason and place."""
    from timeline.cli.render import print_json

    if kind is not None and kind not in KINDS:
        raise UsageError(f"--kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if send_again and kind is None:
        raise UsageError("--send-again needs --kind: broken, ahead, late or closed")
    spec = connected(lambda timelines: timelines.registry.spec(name))
    from feeder.sources import opening

    connector = opening.connect()
    try:
        source = connector.source(spec)
        if send_again and kind is not None:
            count = source.send_again(kind)
            say(f"sent {count} {kind} messages to {spec.source.topic} again")
            return
        count = 0
        for letter in source.letters():
            if kind is not None and letter.kind != kind:
                continue
            count += 1
            place = ".".join(map(str, letter.position))
            text = letter.payload.decode("utf-8", "backslashreplace")
            if json:
                about = {"kind": letter.kind, "reason": letter.reason, "partition": letter.partition}
                print_json(
                    about
                    | {"position": letter.position, "key": letter.key, "published": letter.published}
                    | {"message": text}
                )
            else:
                cut = text if len(text) <= 120 else text[:117] + "..."
                say(f"{letter.partition}  {place}  {letter.kind}: {letter.reason}  {printable(cut)}")
        if not count and not json:
            say("no dead letters")
    finally:
        connector.close()

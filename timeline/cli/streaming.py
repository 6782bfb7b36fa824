"""Commands for topics: ``feeder``, ``watch``, ``dead-letters``."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timeline.cli.options import JsonOption, UsageError
from timeline.cli.remote import NameArgument, connected
from timeline.cli.service import run_until_signalled

if TYPE_CHECKING:
    from timeline.spec import Spec
    from workflows.client import Timelines

KINDS = ("broken", "late", "closed")
#: Of the keys of a timeline so many are shown.
ROWS = 15
#: Rates are those of the last so many seconds.
SPAN = 5.0


def feeder() -> None:
    """Feed all registered timelines on topics from Pulsar, until it is stopped.

    Timelines that are registered or removed meanwhile are noticed. Several feeders share the
    partitions, and one takes over when another dies. Connects as PULSAR_SERVICE_URL and TEMPORAL_ADDRESS
    and their kin say.
    """
    run_until_signalled(run_feeder(None))


async def run_feeder(only: str | None) -> None:
    """Runs a feeder, for one timeline's source or for all."""
    from feeder.service import Feeder
    from producer.connection import connect, service_url
    from workflows.client import Timelines

    timelines = await Timelines.connect()
    client = await asyncio.to_thread(connect)
    try:
        typer.echo(f"Feeder is ready: {service_url()}. Stop with Ctrl-C.")
        await Feeder(client, timelines, only=only, say=typer.echo).run()
    finally:
        await asyncio.to_thread(client.close)


def watch(
    name: NameArgument,
    every: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds between looks.")] = 1.0,
    rows: Annotated[int, typer.Option(min=1, max=200, help="How many keys to show.")] = ROWS,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    json: JsonOption = False,
) -> None:
    """Watch a timeline: the keys that changed last, with value, time and position, and how fast it goes."""
    from workflows.client import Timelines

    async def work() -> None:
        timelines = await Timelines.connect()
        await watch_timeline(timelines, await timelines.spec(name), every, rows, once, json)

    run_until_signalled(work())


async def watch_timeline(
    timelines: Timelines, spec: Spec, every: float, rows: int, once: bool, json: bool
) -> None:
    """Shows a timeline again and again, or once."""
    from rich.live import Live

    from timeline.cli.render import console, print_json

    history: deque[tuple[float, int]] = deque()
    out = console()
    with Live(console=out, auto_refresh=False, transient=False) as live:
        while True:
            look = await _look(timelines, spec, rows)
            now = time.monotonic()
            history.append((now, look["accepted"]))
            while now - history[0][0] > SPAN:
                history.popleft()
            span = now - history[0][0]
            look["events_per_second"] = round((look["accepted"] - history[0][1]) / span, 1) if span else 0.0
            if json:
                print_json(look)
            elif not out.is_terminal:
                out.print(_page(spec, look))
            else:
                live.update(_page(spec, look), refresh=True)
            if once:
                return
            await asyncio.sleep(every)


async def _look(timelines: Timelines, spec: Spec, rows: int) -> dict[str, Any]:
    """What there is to show: counters of all streams, and the keys with the newest events."""
    from workflows.api import look

    seen = await look(timelines, spec, rows)
    newest = max((row.at for row in seen.keys if row.at is not None), default=None)
    age = None if newest is None else time.time() - newest / 1_000
    return {
        "timeline": spec.name,
        "keys": [asdict(row) for row in seen.keys],
        "count": seen.count,
        "positions": {str(stream): position for stream, position in enumerate(seen.positions)},
        "accepted": seen.accepted,
        "refused": seen.refused,
        # How old the newest event is says how far behind the answers are, where times are real ones.
        "lag": round(age, 2) if age is not None and 0 <= age < 86_400 else None,
    }


def _page(spec: Spec, look: dict[str, Any]) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from timeline.cli.render import printable, value_text

    table = Table("key", "value", "at (ms)", "stream", box=None, pad_edge=False)
    for row in look["keys"]:
        value = row["error"] or value_text(row["value"])
        table.add_row(Text(printable(row["key"])), Text(printable(value)), str(row["at"]), str(row["stream"]))
    positions = "  ".join(
        f"{stream}: {'.'.join(map(str, position)) if position else '-'}"
        for stream, position in look["positions"].items()
    )
    lag = "" if look["lag"] is None else f", lag {look['lag']:.2f} s"
    head = (
        f"{spec.name}: {look['count']} keys, {look['accepted']} events accepted, {look['refused']} refused, "
        f"{look['events_per_second']:.0f} events/s{lag}"
    )
    return Group(Text(head), Text(f"positions  {positions}"), table)


def dead_letters(
    name: NameArgument,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Only broken, late or closed.")] = None,
    send_again: Annotated[
        bool, typer.Option("--send-again", help="Send those of --kind to the topic again, each but once.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """List the messages that no timeline took: broken ones and refused events, with reason and place."""
    from timeline.cli.render import print_json, printable

    if kind is not None and kind not in KINDS:
        raise UsageError(f"--kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if send_again and kind is None:
        raise UsageError("--send-again needs --kind: broken, late or closed")
    spec = connected(lambda timelines: timelines.spec(name))
    from feeder.dead_letters import read
    from feeder.dead_letters import send_again as send
    from producer.connection import connect

    client = connect()
    try:
        if send_again and kind is not None:
            count = send(client, spec, kind)
            typer.echo(f"sent {count} {kind} messages to {spec.source.topic} again")
            return
        count = 0
        for letter in read(client, spec):
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
                typer.echo(f"{letter.partition}  {place}  {letter.kind}: {letter.reason}  {printable(cut)}")
        if not count and not json:
            typer.echo("no dead letters")
    finally:
        client.close()

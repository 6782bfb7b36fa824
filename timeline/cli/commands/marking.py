"""The command ``mark``: time goes on although no event comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from timeline.cli.connecting import NameArgument, connected
from timeline.cli.options import JsonOption, times
from timeline.cli.saying import say

if TYPE_CHECKING:
    from workflows.client import Client


def mark(
    name: NameArgument,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="T", help="A time (ms or RFC 3339) [default: now, by the clock]."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say of a timeline that is fed from files that no event before a time will come any more.

    The time of its streams goes on to T. With limits.watermark = "stream" everything up to T less
    limits.allowed_lateness is then final. With limits.key_ttl lives end. An event from before that is
    refused if it comes later. A topic does not need this command: its feeder moves the time on when the
    topic is silent (source.idle).
    """
    tick = times([at] if at is not None else None)

    async def work(timelines: Client) -> int:
        from feeder.files.marking import mark_files

        return await mark_files(timelines, await timelines.registry.spec(name), tick[0] if tick else None)

    reached = connected(work)
    if json:
        from timeline.cli.render import print_json

        print_json({"timeline": name, "time": reached})
    else:
        say(f"{name}: the time of the stream is {reached} ms")

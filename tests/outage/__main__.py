"""``python -m tests.outage [--only PART] [--events N] [--seed N]``; ends with 1 if anything is wrong."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from feeder.broker import missing
from tests.outage.feeding import feed
from tests.outage.report import Row
from tests.outage.rig import EVERYTHING, FAULTS
from tests.outage.streaming import stream
from tests.support.cluster import binaries

PARTS = ("feed", "stream", "everything")


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PARTS)}.")] = None,
    events: Annotated[
        int, typer.Option(min=10_000, help="Events of a stream; a feed has six times as many.")
    ] = 100_000,
    kills: Annotated[int, typer.Option(min=1, help="How often everything is killed.")] = 3,
    seed: int = 7,
) -> None:
    """Let parts fail, compare; end with 1 if a command ended or an answer differs."""
    os.environ[binaries.WANTED] = "1"
    wanted = only or PARTS
    for name in wanted:
        if name not in PARTS:
            raise typer.BadParameter(f"no part {name!r}; there are {', '.join(PARTS)}")
    if (reason := binaries.missing() or missing()) is not None:
        raise typer.BadParameter(reason)
    begin = time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            typer.echo(f"== {name}")
            place = Path(folder) / name
            place.mkdir()
            if name == "feed":
                rows += asyncio.run(feed(place, 6 * events, FAULTS, typer.echo))
            elif name == "stream":
                rows += asyncio.run(stream(place, events, FAULTS, seed, typer.echo, rate=400))
            else:
                all_of_them = [EVERYTHING] * kills
                rows += asyncio.run(stream(place, events, all_of_them, seed + 1, typer.echo, rate=300))
    wrong = [row for row in rows if not row.good]
    typer.echo(f"{len(rows)} rows, {len(wrong)} wrong; {time.monotonic() - begin:.0f} s")
    if wrong:
        raise typer.Exit(1)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()

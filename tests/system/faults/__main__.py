"""``python -m tests.system.faults [--schedules N | --seed S]``: random faults, one after another."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.system.faults.everything import RIGS, play_all
from tests.system.faults.rig import HISTORY
from tests.system.faults.schedule import make_schedule


def main(
    schedules: Annotated[int, typer.Option(min=1, help="How many schedules.")] = 100,
    seed: Annotated[int | None, typer.Option(help="Only this one, described.")] = None,
    first: Annotated[int, typer.Option(help="The first seed of several.")] = 0,
    rigs: Annotated[int, typer.Option(min=1, help="Servers, each with a worker, at the same time.")] = RIGS,
    history: Annotated[int, typer.Option(help="Events of a run before it continues as new.")] = HISTORY,
) -> None:
    """Play schedules; end with 1 if one of them ended wrong."""
    seeds = range(first, first + schedules) if seed is None else range(seed, seed + 1)
    if seed is not None:
        typer.echo(make_schedule(seed).describe())
    with tempfile.TemporaryDirectory() as folder:
        total, failures = asyncio.run(play_all(seeds, Path(folder), rigs, history, typer.echo))
    typer.echo(f"{len(seeds) - len(failures)} schedules: {total}")
    if failures:
        typer.echo(f"{len(failures)} failed: {', '.join(str(f.schedule.seed) for f in failures)}")
        raise typer.Exit(1)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()

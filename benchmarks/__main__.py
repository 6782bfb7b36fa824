"""``python -m benchmarks [--quick] [--only NAME...] [--json FILE]``: every figure with its ratio."""

from __future__ import annotations

import dataclasses
import os
import platform
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import answers, carried, durable, growth, local, page, production, startup, streaming, wire
from benchmarks.measure import Figure, say
from benchmarks.rivals import run as rivals

PARTS = {
    "startup": startup.run,
    "local": local.run,
    "wire": wire.run,
    "carried": carried.run,
    "durable": durable.run,
    "answers": answers.run,
    "growth": growth.run,
    "page": page.run,
    "streaming": streaming.run,
    "production": production.run,
    "rivals": rivals.run,
}


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Smaller inputs; under two minutes.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PARTS)}.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the figures here.")] = None,
) -> None:
    """Measure, and print what was reached against what was to be reached."""
    for name in only or []:
        if name not in PARTS:
            raise typer.BadParameter(f"no benchmark {name!r}; there are {', '.join(PARTS)}")
    figures: list[Figure] = []
    for name, run in PARTS.items():
        if not only or name in only:
            for figure in run(quick):
                figures.append(figure)
                value = f"{figure.value:,.4g} {figure.unit}"
                say(f"  {figure.name}: {value}, {figure.ratio:.2f} of {figure.against}")
    out = Console(width=200 if not Console().is_terminal else None)
    out.print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    table = Table("what", "value", "ratio", "against", "mark", "met", "detail", box=None)
    for figure in figures:
        value = (
            f"{figure.value:,.3f} {figure.unit}"
            if figure.value < 100
            else f"{figure.value:,.0f} {figure.unit}"
        )
        met = "yes" if figure.met else "NO"
        table.add_row(
            figure.name, value, f"{figure.ratio:.2f}", figure.against, figure.mark, met, figure.detail
        )
    out.print(table)
    if json is not None:
        json.write_bytes(orjson.dumps([dataclasses.asdict(f) for f in figures], option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()

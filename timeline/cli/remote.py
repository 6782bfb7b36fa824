"""Commands that talk to Temporal: register, feed, query and their kin."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from timeline.cli.options import (
    AtOption,
    EveryOption,
    FromOption,
    JsonOption,
    ToOption,
    UsageError,
    between,
    step,
    times,
    utf8,
)

if TYPE_CHECKING:
    from feeder.dry_run import Comparison
    from feeder.feed import Progress, Report
    from timeline.spec import Spec
    from workflows.client import Timelines

T = TypeVar("T")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The timeline.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key.")]
NodeOption = Annotated[
    str | None,
    typer.Option(metavar="NODE", help="A node: its DSL text or its hash, as `explain` shows them."),
]


def _connected(work: Callable[[Timelines], Awaitable[T]]) -> T:
    from workflows.client import Timelines

    async def main() -> T:
        return await work(await Timelines.connect())

    return asyncio.run(main())


def register(
    specs: Annotated[list[Path], typer.Argument(metavar="SPEC...", help="Specs (.toml).")],
    json: JsonOption = False,
) -> None:
    """Register timelines: start the workflows of their nodes. Doing it again changes nothing."""
    from timeline.cli.render import print_json
    from timeline.spec import load_spec

    loaded = [load_spec(path) for path in specs]

    async def work(timelines: Timelines) -> None:
        for spec in loaded:
            await timelines.register(spec)

    _connected(work)
    for spec in loaded:
        workers = _workers(spec)
        if json:
            print_json({"timeline": spec.name, **workers})
        else:
            _print_workers(spec, workers)


def _workers(spec: Spec) -> dict[str, Any]:
    """The leaf workflows, and the result workflow (several where there are several streams)."""
    from workflows.names import node_id

    streams = range(spec.limits.shards)
    results = [node_id(spec, spec.plan.result, stream) for stream in streams]
    return {
        "event-processor-workers": [
            node_id(spec, node, stream) for stream in streams for node in spec.plan.leaves
        ],
        "result-worker": results[0] if len(results) == 1 else results,
    }


def _print_workers(spec: Spec, workers: dict[str, Any]) -> None:
    streams = spec.limits.shards
    typer.echo(
        f"registered {spec.name}: {len(spec.plan.nodes)} nodes on {streams} "
        f"stream{'s' if streams != 1 else ''}"
    )
    for title, ids in workers.items():
        typer.echo(f"{title}:")
        for workflow_id in [ids] if isinstance(ids, str) else ids:
            typer.echo(f"  {workflow_id}")


def feed(
    name: NameArgument,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of events.")],
    json: JsonOption = False,
) -> None:
    """Feed files of events to a timeline, and wait until its result has them.

    What was fed before is not fed again; a feed that was interrupted goes on where it stopped.
    """
    from feeder.feed import feed_files
    from timeline.cli.local import complain
    from timeline.cli.render import print_json

    async def work(timelines: Timelines) -> Report:
        spec = await timelines.spec(name)
        with _progress_bar(json) as show:
            return await feed_files(timelines, spec, files, show)

    report = _connected(work)
    complain(report.rejected)
    if json:
        counts = {"sent": report.events, "accepted": report.accepted, "refused": report.refused}
        print_json({"timeline": name, **counts, "rejected": len(report.rejected)})
    else:
        _print_report(name, report)


def _print_report(name: str, report: Report) -> None:
    if not report.events and not report.rejected:
        typer.echo(f"{name}: nothing new in these files")
        return
    refused = f", {report.refused} refused as too late" if report.refused else ""
    bad = f", {len(report.rejected)} lines skipped" if report.rejected else ""
    typer.echo(f"{name}: {report.accepted} events accepted{refused}{bad}")


@contextmanager
def _progress_bar(quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A progress bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    errors = Console(stderr=True)
    if quiet or not errors.is_terminal:
        yield lambda _: None
        return
    columns = (
        TextColumn("feeding"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("lines, {task.fields[sent]} events sent"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=errors, transient=True) as bars:
        task = bars.add_task("feeding", total=None, sent=0)

        def show(progress: Progress) -> None:
            bars.update(
                task,
                total=progress.of_lines,
                completed=progress.lines,
                sent=progress.events,
            )

        yield show


def query(
    name: NameArgument,
    key: KeyArgument,
    at: AtOption = None,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Ask the result workflow of a timeline, or any node, for the value of a key.

    Without --at: at the key's newest event. "final" says that no acceptable event can change it.
    """
    from timeline.cli.render import print_json, printable, value_text
    from timeline.errors import RetentionError

    ats: list[int | None] = [None] if at is None else [*(times(at) or [])]

    async def work(timelines: Timelines) -> None:
        spec = await timelines.spec(name)
        asked = spec.plan.result if node is None else spec.plan.find(node)
        for answer in await timelines.values(spec, asked, [(utf8(key, "KEY"), tick) for tick in ats]):
            if answer.error is not None:
                raise RetentionError(answer.error)
            if json:
                print_json(
                    {
                        "timeline": name,
                        "key": key,
                        "at": answer.at,
                        "value": answer.value,
                        "position": answer.position,
                        "final": answer.final,
                    }
                )
            else:
                state = "final" if answer.final else "not final"
                place = ".".join(map(str, answer.position or ()))
                value = printable(value_text(answer.value))
                typer.echo(f"{value}  ({printable(key)} at {answer.at} ms, position {place}, {state})")

    _connected(work)


def show(
    name: NameArgument,
    key: KeyArgument,
    from_: FromOption = None,
    to: ToOption = None,
    json: JsonOption = False,
) -> None:
    """Draw every node's timeline of a key, as the workflows have it."""
    from timeline.cli.lanes import draw, plan_lanes
    from timeline.cli.render import console, print_json

    start, end = between(from_, to)

    async def work(timelines: Timelines) -> None:
        spec = await timelines.spec(name)
        await timelines.values(spec, spec.plan.result, [(utf8(key, "KEY"), None)])
        found = [await timelines.timelines(spec, n, [key]) for n in spec.plan.nodes]
        if json:
            for planned, timeline in zip(spec.plan.nodes, found, strict=True):
                print_json({"node": planned.text, "rows": timeline[key].rows})
            return
        rows = {n.index: f[key].rows for n, f in zip(spec.plan.nodes, found, strict=True)}
        whole = found[-1][key]
        draw(console(), key, plan_lanes(spec.plan, rows), whole.origin, whole.newest, start, end)

    _connected(work)


def list_timelines(json: JsonOption = False) -> None:
    """List the registered timelines."""
    from timeline.cli.render import console, print_json

    async def work(timelines: Timelines) -> None:
        from rich.table import Table
        from rich.text import Text

        specs = await timelines.specs()
        if json:
            for spec in specs.values():
                print_json(spec.to_wire())
            return
        if not specs:
            typer.echo("no timelines are registered; see `timeline register`")
            return
        table = Table("timeline", "source", "streams", "expression", box=None, pad_edge=False)
        for spec in specs.values():
            streams = str(spec.limits.shards)
            table.add_row(spec.name, spec.source_id, streams, Text(spec.plan.result.text))
        console().print(table)

    _connected(work)


def describe(name: NameArgument, json: JsonOption = False) -> None:
    """Describe a timeline: its spec, and position, counters and sizes of every node."""
    from timeline.cli.render import console, print_json, short_text
    from workflows.names import node_id

    async def work(timelines: Timelines) -> None:
        from rich.table import Table
        from rich.text import Text

        spec = await timelines.spec(name)
        places = [(n, s) for s in range(spec.limits.shards) for n in spec.plan.nodes]
        ids = [node_id(spec, n, s) for n, s in places]
        states = await asyncio.gather(*map(timelines.status, ids))
        if json:
            nodes = [{"workflow": i, **state} for i, state in zip(ids, states, strict=True)]
            print_json({"spec": spec.to_wire(), "nodes": nodes})
            return
        out = console()
        out.print(f"{spec.name}  {spec.description}".rstrip())
        out.print(Text(spec.expression.strip()))
        limits = spec.to_wire()["limits"]
        out.print(f"source {spec.source_id}  " + "  ".join(f"{k} {v}" for k, v in limits.items()))
        table = Table(
            *("node", "workflow", "position", "keys", "rows", "accepted", "refused"),
            box=None,
            pad_edge=False,
        )
        for (node, _), workflow_id, state in zip(places, ids, states, strict=True):
            position = ".".join(map(str, state["position"] or ("-",)))
            counts = [str(state[c]) for c in ("keys", "rows")]
            taken = [str(state[c]) if node.leaf else "" for c in ("accepted", "refused")]
            table.add_row(Text(short_text(node, spec.plan)), workflow_id, position, *counts, *taken)
        out.print(table)
        for state in states:
            if state["full"]:
                out.print(Text(f"stopped: {state['full']}", style="red"))

    _connected(work)


def remove(name: NameArgument, json: JsonOption = False) -> None:
    """Remove a timeline, and stop the nodes that no other timeline uses."""
    from timeline.cli.render import print_json

    stopped = _connected(lambda timelines: timelines.remove(name))
    if json:
        print_json({"timeline": name, "stopped": stopped})
    else:
        typer.echo(f"removed {name}; {len(stopped)} nodes stopped")


def dry_run(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A spec (.toml).")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="Files of events [default: the spec's own]."),
    ] = None,
    at: AtOption = None,
    every: EveryOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    lanes: Annotated[bool, typer.Option("--lanes", help="Draw every node of a few keys.")] = False,
    json: JsonOption = False,
) -> None:
    """Register a timeline, feed files, and compare every node of every key with local evaluation.

    Prints both values of the result for each key. Ends with 1 if anything differs.
    """
    from feeder.dry_run import compare
    from feeder.feed import feed_files
    from timeline.cli.local import complain
    from timeline.evaluate import Row
    from timeline.spec import load_spec

    loaded = load_spec(spec)
    paths = list(files or map(Path, loaded.source.files))
    if not paths:
        raise UsageError("give at least one file of events (.jsonl, .csv or .parquet)")
    ats, interval = times(at), step(every)
    start, end = between(from_, to, lanes or interval is not None, "--every or --lanes")
    if json and lanes:
        raise UsageError("give --json or --lanes, not both")

    async def work(timelines: Timelines) -> bool:
        await timelines.register(loaded)
        if not json:
            _print_workers(loaded, _workers(loaded))
        with _progress_bar(json) as show_progress:
            report = await feed_files(timelines, loaded, paths, show_progress)
        if not json:
            _print_report(loaded.name, report)
        comparison = await compare(timelines, loaded)
        complain(comparison.rejected)
        local: list[Row] = list(comparison.evaluation.values(ats, every=interval, start=start, end=end))
        answers = await timelines.values(loaded, loaded.plan.result, [(row.key, row.at) for row in local])
        values = [(row, answer.value, answer.error) for row, answer in zip(local, answers, strict=True)]
        _print_comparison(comparison, values, json)
        if lanes:
            from timeline.cli.lanes import print_evaluation

            print_evaluation(comparison.evaluation, None, start, end)
        return not comparison.differences and all(r.value == v for r, v, e in values if e is None)

    if not _connected(work):
        raise typer.Exit(1)


def _print_comparison(comparison: Comparison, values: list[tuple[Any, Any, str | None]], json: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from timeline.cli.render import console, print_json, printable, value_text

    if json:
        for row, value, error in values:
            print_json(
                {"key": row.key, "at": row.at, "workflows": value, "local": row.value}
                | ({"error": error} if error else {"equal": row.value == value})
            )
    else:
        table = Table("key", "at (ms)", "workflows", "local", "", box=None, pad_edge=False)
        for row, value, error in values:
            verdict = "not kept" if error else "equal" if row.value == value else "DIFFERENT"
            theirs = "" if error else value_text(value)
            mine = Text(printable(value_text(row.value)))
            table.add_row(Text(printable(row.key)), str(row.at), Text(printable(theirs)), mine, verdict)
        console().print(table)
    for difference in comparison.differences[:10]:
        typer.echo(
            f"{difference.key}, {difference.node.text}:\n  workflows {difference.workflows}\n"
            f"  local     {difference.local}",
            err=True,
        )
    keys = len(comparison.evaluation.codes)
    nodes = len(comparison.evaluation.plan.nodes)
    if not json:
        wrong = len(comparison.differences)
        verdict = f"{wrong} differ" if wrong else "all equal to local evaluation"
        of_keys = f"{keys} key{'s' if keys != 1 else ''}"
        typer.echo(f"{comparison.timelines} timelines ({of_keys}, {nodes} nodes): {verdict}")

"""Commands that bring timelines and events to Temporal: ``register``, ``feed``, ``dry-run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timeline.cli.connecting import NameArgument, connected
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
)
from timeline.cli.progress import progress
from timeline.cli.saying import printable, say
from timeline.cli.telling import StrictOption, mistakes_of, refuse, tell

if TYPE_CHECKING:
    from feeder.checks.comparison import Comparison
    from feeder.files.feed import Report
    from timeline.language.mistakes import Mistake
    from workflows.client import Client


def feed(
    name: NameArgument,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE...",
            help="Files of events, folders and patterns of them [default: the spec's own].",
            show_default=False,
        ),
    ] = None,
    pulsar: Annotated[
        bool,
        typer.Option("--pulsar", help="Feed its topic until Ctrl-C (`timeline feeder` feeds all timelines)."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Feed the whole files, even what was fed before.")
    ] = False,
    strict: StrictOption = False,
    json: JsonOption = False,
) -> None:
    """Feed files of events to a timeline, and wait until its result has them.

    What was fed before is not fed again, even if the file has another name now or is packed. A feed that
    was interrupted goes on where it stopped. Warns on standard error of likely mistakes of the timeline,
    as far as the files show them.
    """
    if pulsar and files:
        raise UsageError("give files of events, or --pulsar to feed the topic of the timeline, not both")
    if "-" in (files or []):
        raise UsageError(
            "standard input cannot be fed: timelines that come later read files again; write it to a file"
        )
    if pulsar and strict:
        raise UsageError("--strict is for files; for a topic the feeder warns of what it sees")
    if pulsar:
        _feed_topic(name)
        return
    _feed_files(name, files or [], again, strict, json)


def _feed_topic(name: str) -> None:
    from timeline.cli.commands.streaming import run_feeder
    from timeline.cli.connecting import run_until_signalled

    spec = connected(lambda timelines: timelines.registry.spec(name))
    if spec.source.topic is None:
        raise UsageError(f"timeline {name!r} has no source.topic; give files of events")
    run_until_signalled(run_feeder(name))


def _feed_files(name: str, given: list[str], again: bool, strict: bool, json: bool) -> None:
    from feeder.files.feed import feed_files
    from timeline.cli.render import complain, print_json
    from timeline.reading.finding import files_of

    async def work(timelines: Client) -> tuple[Report, list[Mistake]]:
        spec = await timelines.registry.spec(name)
        if not given and not spec.source.files:
            topic = " or --pulsar to feed the topic of the timeline" if spec.source.topic else ""
            raise UsageError(f"give files of events{topic}: the spec of {name} names none")
        files = files_of(given or spec.source.files)
        mistakes = mistakes_of(spec, files)
        tell(mistakes)
        refuse(len(mistakes), strict, "nothing was fed")
        with progress(json) as show:
            report = await feed_files(timelines, spec, files, show, again=again)
        await timelines.registry.note_warnings(spec, mistakes)
        return report, mistakes

    try:
        report, mistakes = connected(work)
    except KeyboardInterrupt:
        say(f"stopped; the same command goes on from here: timeline feed {name} ...", err=True)
        raise
    for known in report.known:
        say(printable(str(known)), err=True)
    ahead = report.ahead
    complain(report.rejected, len(report.rejected), ahead)
    if json:
        counts = {"sent": report.events, "accepted": report.accepted, "refused": report.refused}
        skipped = {"rejected": len(report.rejected) - ahead, "ahead": ahead}
        same = [{"file": k.path, "like": k.like, "lines": k.lines} for k in report.known]
        warnings = [mistake.to_json() for mistake in mistakes]
        print_json({"timeline": name, **counts, **skipped, "known": same, "warnings": warnings})
    else:
        _print_report(name, report)
    if report.rejected and not report.events:
        raise typer.Exit(1)


def _print_report(name: str, report: Report) -> None:
    if not report.events and not report.rejected:
        say(f"{name}: nothing new in these files")
        return
    # Too late, or of a closed key: which, the leaves know of each.
    refused = f", {report.refused} refused (timeline refused {name})" if report.refused else ""
    ahead = f", {report.ahead} ahead of the clock" if report.ahead else ""
    skipped = len(report.rejected) - report.ahead
    bad = f", {skipped} lines skipped" if skipped else ""
    say(f"{name}: {report.accepted} events accepted{refused}{ahead}{bad}")


def dry_run(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A spec (.toml).")],
    files: Annotated[
        list[str] | None,
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
    from feeder.checks.dry_run import compare
    from feeder.files.feed import feed_files
    from timeline.cli.render import complain, print_workers, workers_of
    from timeline.local.evaluation import Row
    from timeline.reading.finding import files_of
    from timeline.spec.loading import load_spec

    loaded = load_spec(spec)
    paths = files_of(files or loaded.source.files)
    if not paths:
        raise UsageError("give at least one file of events (.jsonl, .csv or .parquet)")
    ats, interval = times(at), step(every)
    start, end = between(from_, to, lanes or interval is not None, "--every or --lanes")
    if json and lanes:
        raise UsageError("give --json or --lanes, not both")
    tell(mistakes_of(loaded, paths))

    async def work(timelines: Client) -> bool:
        nonlocal loaded
        known = (await timelines.registry.specs()).get(loaded.name)
        if loaded.sinks and (known is None or known.to_wire() != loaded.to_wire()):
            loaded = loaded.model_copy(update={"sinks": ()})
            say(
                f"its [sink] is left out; before it is registered with it: timeline remove {loaded.name}",
                err=True,
            )
        await timelines.registry.register(loaded)
        if not json:
            print_workers(loaded, workers_of(loaded))
        with progress(json) as show_progress:
            report = await feed_files(timelines, loaded, paths, show_progress)
        if not json:
            _print_report(loaded.name, report)
        comparison = await compare(timelines, loaded)
        complain(comparison.rejected, len(comparison.rejected), sum(r.ahead for r in comparison.rejected))
        local: list[Row] = list(comparison.evaluation.values(ats, every=interval, start=start, end=end))
        answers = await timelines.questions.values(
            loaded, loaded.plan.result, [(row.key, row.at) for row in local]
        )
        values = [(row, answer.value, answer.error) for row, answer in zip(local, answers, strict=True)]
        _print_comparison(comparison, values, json)
        if lanes:
            from timeline.cli.options import Drawn
            from timeline.cli.pictures import panels_of, print_picture

            print_picture(*panels_of([comparison.evaluation], None, start, end), Drawn.LANES)
        return not comparison.differences and all(r.value == v for r, v, e in values if e is None)

    if not connected(work):
        raise typer.Exit(1)


def _print_comparison(comparison: Comparison, values: list[tuple[Any, Any, str | None]], json: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from timeline.cli.render import console, print_json
    from timeline.pictures.texts import value_text

    if json:
        for row, value, error in values:
            print_json(
                {"key": row.key, "time": row.at, "workflows": value, "local": row.value}
                | ({"error": error} if error else {"equal": row.value == value})
            )
    else:
        table = Table("key", "time (ms)", "workflows", "local", "", box=None, pad_edge=False)
        for row, value, error in values:
            verdict = "not kept" if error else "equal" if row.value == value else "DIFFERENT"
            theirs = "" if error else value_text(value)
            mine = Text(printable(value_text(row.value)))
            table.add_row(Text(printable(row.key)), str(row.at), Text(printable(theirs)), mine, verdict)
        console().print(table)
    for difference in comparison.differences[:10]:
        say(
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
        say(f"{comparison.timelines} timelines ({of_keys}, {nodes} nodes): {verdict}")

"""The command ``eval``, which needs no server."""

from __future__ import annotations

import sys
import time as clock
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from timeline.cli.given import given
from timeline.cli.options import (
    EveryOption,
    ExpressionOption,
    Format,
    FromOption,
    RawOption,
    Shown,
    ToOption,
    UsageError,
    between,
    step,
)
from timeline.cli.overall import (
    AggOption,
    ByOption,
    GroupByOption,
    LivesOption,
    PerOption,
    TopOption,
    WhereOption,
    check_times,
    question_words,
)
from timeline.cli.piped import InputFormatOption, with_stdin
from timeline.cli.saying import say
from timeline.cli.telling import StrictOption, refuse, tell
from timeline.cli.times import AtOrEndOption, TimesOption, as_they_came, times_or_end, with_end

if TYPE_CHECKING:
    from timeline.local.spilling import Spill
    from timeline.reading import Rejected
    from timeline.reading.looking import Looking
    from timeline.spec.spec import Spec


#: More rows are told of before they come.
MANY = 1_000_000
#: Files are read in blocks of this size: small enough that all cores have some.
BLOCK_BYTES = 1 << 23


def evaluate_files(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SPEC_OR_FILE] FILE...",
            help="A spec (.toml) or a file with an expression, unless -e gives it; then the "
            "events: .jsonl, .csv, .tsv (also .gz, .zst) or .parquet, folders and patterns of them, or - for "
            "standard input. A spec with source.files needs no more.",
            show_default=False,
        ),
    ] = None,
    expression: ExpressionOption = None,
    key_column: Annotated[
        str | None, typer.Option(metavar="C", help="Column of the key [default: key].")
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(metavar="C", help="Column of the time [default: time].")
    ] = None,
    time_unit: Annotated[
        str | None, typer.Option(metavar="UNIT", help="Unit of numeric times: ms, s, us or ns.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Zone of times that have none, such as Europe/Berlin."),
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(metavar="K", help="Only this key. May be repeated.")
    ] = None,
    at: AtOrEndOption = None,
    every: EveryOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    agg: AggOption = None,
    group_by: GroupByOption = None,
    where: WhereOption = None,
    top: TopOption = None,
    by: ByOption = None,
    per: PerOption = None,
    lives: LivesOption = False,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="List from when to when a State or a Bool has each value.")
    ] = False,
    node: Annotated[
        str | None,
        typer.Option(metavar="NODE", help="With --intervals: an output, or a node as `explain` shows it."),
    ] = None,
    format: Annotated[
        Shown,
        typer.Option(
            help="Print rows (send arrow and parquet to a file: > FILE), draw lanes, or write a picture "
            "(svg, html or png: > FILE)."
        ),
    ] = Shown.TABLE,
    times: TimesOption = None,
    input_format: InputFormatOption = None,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="How many cores to use [default: all]."),
    ] = None,
    strict: StrictOption = False,
    raw: RawOption = False,
) -> None:
    """Evaluate an expression over files of events, here and now.

    Without --at or --every you get one row for each key, at the key's newest event. Warns on
    standard error of likely mistakes, such as a column that no event has. With --agg, --group-by, --where,
    --top, --per or --lives it asks over all keys, as `query --all` does; so does an expression that says it
    itself: EXPR | aggregate(group_by(COLUMN), count, avg).
    """
    from timeline.jobs import cores
    from timeline.local.spilling import Spill
    from timeline.reading.finding import files_of
    from timeline.reading.looking import Looking
    from timeline.values.zones import zone_named

    jobs = jobs or cores()
    spec, plan, paths, question = given(expression, files or [])
    source = spec.source if spec else None
    unit: Literal["ms", "s", "us", "ns"] = source.numeric_unit if source else "ms"
    if time_unit is not None:
        if time_unit not in ("ms", "s", "us", "ns"):
            raise UsageError(f"--time-unit is ms, s, us or ns, got {time_unit!r}")
        unit = time_unit  # type: ignore[assignment]
    if timezone is not None:
        zone_named(timezone)
    key_name = key_column or (source.key if source else "key")
    time_name = time_column or (source.time if source else "time")
    ats, interval = times_or_end(at), step(every)
    drawn, rows_format = format.drawn, format.rows or Format.TABLE
    binary = rows_format in (Format.ARROW, Format.PARQUET)
    if intervals and (drawn or ats or interval):
        raise UsageError("--intervals goes with --from and --to, not with --at, --every or a picture")
    words = question_words(agg, group_by, where, top, by, per, lives)
    overall = question is not None or any(words.values())
    if overall and (drawn or intervals):
        raise UsageError(
            "pictures and --intervals are for single keys: leave out `| aggregate(...)`, --agg and what "
            "else asks over all keys"
        )
    if overall:
        check_times(at, from_ or to, every, per)
        words |= {} if question is None else question.unless(words)
    if node is not None and not intervals:
        raise UsageError("--node needs --intervals: values and lanes always show all outputs")
    ranged = drawn is not None or intervals or interval is not None or overall
    start, end = between(from_, to, ranged, "--every, --intervals or --format lanes (svg, html, png)")
    asked = plan.result if node is None else plan.find(node)
    wanted = list(dict.fromkeys(key)) if key else None
    with (
        with_stdin(paths, input_format) as there,
        Spill(plan, spec.node_limits if spec else None, only=wanted, jobs=jobs) as spill,
    ):
        option = 'unit = "{}"' if spec and time_unit is None else "--time-unit {}"
        zone = timezone or (source.timezone if source else None)
        looking = Looking(plan.result.expression, plan.columns, time_name, unit, option, zone)
        paths = files_of(there)
        _read(paths, key_name, looking, spill, jobs, strict, _latest(spec))
        if spill.refused:
            events_were = "event" if spill.refused == 1 else "events"
            closed = spec is not None and spec.limits.key_ttl is not None
            why = "later than allowed_lateness permits" + (", or of a closed key" if closed else "")
            say(f"{spill.refused} {events_were} refused: {why}", err=True)
        if rows_format is not Format.TABLE:
            times = times or as_they_came(paths, time_name, spill.stream_time)
        if drawn:
            from timeline.cli.pictures import panels_of, print_picture

            print_picture(*panels_of(spill.evaluations(), wanted, start, end), drawn)
            return
        if intervals:
            from timeline.cli.rows import print_columns
            from timeline.tables.intervals import COLUMNS

            parts = (part.intervals(asked, start=start, end=end) for part in spill.evaluations())
            if binary:
                from timeline.cli.tables import write_tables

                write_tables((part.to_arrow() for part in parts), rows_format, ("from", "to"), times)
                return
            rows = (one.row() for part in parts for one in part)
            print_columns(COLUMNS, rows, rows_format, raw, ("from", "to"), times)
            return
        ticks = None if ats is None else with_end(ats, spill.stream_time)
        if overall:
            from timeline.cli.answering import print_answer

            words |= {"at": ticks, "every": interval, "start": start, "end": end}
            print_answer(spill, words, rows_format, raw, times)
            return
        from timeline.cli.rows import print_rows

        if binary:
            from timeline.cli.tables import write_tables
            from timeline.language.output_names import name_of_time

            asked_of = (
                part.to_arrow(ticks, every=interval, start=start, end=end) for part in spill.evaluations()
            )
            write_tables(asked_of, rows_format, (name_of_time(plan.outputs),), times)
            return
        values = spill.values(ticks, every=interval, start=start, end=end, tell=_tell_many)
        print_rows(values, list(plan.outputs), rows_format, raw, times)


def _tell_many(rows: int) -> None:
    """Warns of more rows than a person wants."""
    if rows > MANY:
        say(f"note: {rows:,} rows follow; --key, --from, --to or a longer --every make it fewer", err=True)


def _latest(spec: Spec | None) -> int | None:
    """The latest time (ms) that an event may have, by the clock of this machine."""
    if spec is None or spec.limits.max_ahead is None:
        return None
    return int(clock.time() * 1_000) + spec.limits.max_ahead


def _read(
    paths: Sequence[str],
    key: str,
    looking: Looking,
    spill: Spill,
    jobs: int,
    strict: bool,
    latest: int | None,
) -> None:
    """Adds all events of the files in their order, says which lines are none, and what seems wrong."""
    from timeline.cli.render import MAX_SHOWN, complain
    from timeline.reading import read_events
    from timeline.reading.looking import heads_of

    if not paths:
        raise UsageError("give at least one file of events (.jsonl, .csv or .parquet)")
    first: list[Rejected] = []
    rejected = ahead = total = 0
    with _counter() as show:
        for path in paths:
            for block in read_events(
                path,
                key=key,
                time=looking.time,
                columns=looking.columns,
                unit=looking.unit,
                zone=looking.zone,
                block_bytes=BLOCK_BYTES,
                jobs=jobs,
                latest=latest,
            ):
                first += block.rejected[: MAX_SHOWN - len(first)]
                rejected += len(block.rejected)
                ahead += sum(one.ahead for one in block.rejected)
                total += len(block.events)
                looking.add(block.events)
                spill.add(block.events)
                show(len(block.events))
    complain(first, rejected, ahead)
    mistakes = looking.mistakes(lambda: heads_of(paths, looking.time))
    tell(mistakes)
    refuse(len(mistakes), strict, "nothing was evaluated")
    if not total:
        raise UsageError(f"no events in {', '.join(paths)}")


@contextmanager
def _counter() -> Iterator[Callable[[int], None]]:
    """Shows on standard error, where that is a terminal, how many events were read."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    total = 0
    with Console(stderr=True).status("reading") as status:

        def show(more: int) -> None:
            nonlocal total
            total += more
            status.update(f"{total:,} events read")

        yield show

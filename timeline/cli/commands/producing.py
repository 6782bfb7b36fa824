"""``timeline produce``: events to a Pulsar topic, generated or from files."""

from __future__ import annotations

import signal
import threading
import time as clock
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from timeline.cli.options import JsonOption, UsageError
from timeline.cli.saying import say

if TYPE_CHECKING:
    from producer.messages import Chunk
    from producer.send import Report

GENERATED = ("playback", "cards")
Unit = Literal["ms", "s", "us", "ns"]


def produce(
    to: Annotated[str, typer.Option("--to", metavar="TOPIC", help="The topic to send to.")],
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="playback|cards|FILE...", help="What to send [default: playback]."),
    ] = None,
    rate: Annotated[float | None, typer.Option(metavar="N", help="Messages a second.")] = None,
    speed: Annotated[
        str | None, typer.Option(metavar="FACTOR", help="10x: ten times as fast as the events happened.")
    ] = None,
    flat_out: Annotated[bool, typer.Option("--flat-out", help="As fast as the broker takes them.")] = False,
    sessions: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Sessions (or cards) at the same time.")
    ] = 100,
    events: Annotated[int | None, typer.Option(min=1, help="Stop after so many events.")] = None,
    for_: Annotated[str | None, typer.Option("--for", metavar="D", help="Stop after this long.")] = None,
    late: Annotated[str, typer.Option(metavar="SHARE", help="In addition, late events, such as 2%.")] = "0%",
    late_by: Annotated[str, typer.Option(metavar="D", help="How late these are.")] = "2m",
    repeated: Annotated[str, typer.Option(metavar="SHARE", help="Events that are sent twice.")] = "0%",
    broken: Annotated[
        str, typer.Option(metavar="SHARE", help="In addition, messages that are no events.")
    ] = "0%",
    seed: Annotated[int, typer.Option(min=0, help="The seed of generated events.")] = 7,
    start: Annotated[
        str | None, typer.Option(metavar="T", help="Time of the first generated event [default: now].")
    ] = None,
    key_column: Annotated[str, typer.Option(help="In files: the column of the key.")] = "session",
    time_column: Annotated[str, typer.Option(help="In files: the column of the time.")] = "time",
    unit: Annotated[Unit, typer.Option(help="In files: the unit of times that are numbers.")] = "ms",
    json: JsonOption = False,
) -> None:
    """Send events to a Pulsar topic: generated ones at real speed until Ctrl-C, or those of files.

    The message key is the session, so each session stays in one partition. Late, repeated and broken
    messages are sent in addition, and counted apart.
    """
    from producer.messages import Faults, limited, with_faults
    from producer.pulsar.connection import connect
    from producer.pulsar.topics import full_name, partitions
    from producer.send import Pace, send
    from timeline.cli.render import print_json
    from timeline.values.ticks import parse_duration, parse_time

    if sum((rate is not None, speed is not None, flat_out)) > 1:
        raise UsageError("give one of --rate, --speed and --flat-out")
    if rate is not None and rate <= 0:
        raise UsageError(f"--rate must be above 0, got {rate:g}")
    pace = Pace(None if flat_out or rate else _factor(speed or "1x"), rate)
    faults = Faults(
        _share("--late", late),
        _share("--repeated", repeated),
        _share("--broken", broken),
        parse_duration(late_by),
        time_column,
    )
    until = None if for_ is None else clock.monotonic() + parse_duration(for_) / 1_000
    begin = int(clock.time() * 1_000) if start is None else parse_time(start)
    chunks = _chunks(what or ["playback"], sessions, seed, begin, key_column, time_column, unit)
    if events is not None:
        chunks = limited(chunks, events)
    if faults:
        chunks = with_faults(chunks, faults, seed)
    client = connect()
    try:
        count = partitions(client, to)
        if not json:
            where = f"{count} partitions" if count else "one partition"
            say(f"sending to {full_name(to)} ({where}); stop with Ctrl-C", err=True)
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        show = _shown(json, until, stop)
        report = send(client, to, chunks, pace, stop=stop, on_progress=show)
    finally:
        client.close()
    if json:
        print_json({"topic": full_name(to), "sent": report.sent, "seconds": round(report.seconds, 3)})
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.sent.items() if count)
    speed_was = f"{report.total / max(report.seconds, 1e-9):.0f} a second"
    say(f"sent {report.total} messages in {report.seconds:.1f} s ({speed_was}): {kinds or 'nothing'}")


def _chunks(
    what: list[str], sessions: int, seed: int, begin: int, key: str, time: str, unit: Unit
) -> Iterator[Chunk]:
    from producer.generated import cards, playback
    from producer.replay import replay

    if len(what) > 1 and any(name in GENERATED for name in what):
        raise UsageError("give playback, cards or files")
    if what[0] in GENERATED:
        make = playback if what[0] == "playback" else cards
        return make(sessions, seed=seed, start=begin)
    for name in what:
        if not Path(name).exists():
            raise UsageError(f"{name} is neither playback, cards nor a file; check the name")
    return chain.from_iterable(replay(name, key=key, time=time, unit=unit) for name in what)


def _shown(quiet: bool, until: float | None, stop: threading.Event) -> Callable[[Report], None]:
    from rich.console import Console

    errors = Console(stderr=True)
    last = 0.0

    def show(report: Report) -> None:
        nonlocal last
        now = clock.monotonic()
        if until is not None and now >= until:
            stop.set()
        if not quiet and errors.is_terminal and now - last > 0.2:
            last = now
            rate = report.total / max(report.seconds, 1e-9)
            errors.print(f"  {report.total} messages, {rate:.0f} a second", end="\r", highlight=False)

    return show


def _share(option: str, text: str) -> float:
    number = text.strip().removesuffix("%")
    try:
        share = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise UsageError(f"{option} must be a share such as 2% or 0.02, got {text!r}") from None
    if not 0 <= share <= 1:
        raise UsageError(f"{option} must be between 0% and 100%, got {text}")
    return share


def _factor(text: str) -> float:
    try:
        factor = float(text.strip().removesuffix("x"))
    except ValueError:
        factor = 0.0
    if not 0 < factor < 1e9:
        raise UsageError(f"--speed must be a factor such as 10x, got {text!r}")
    return factor

"""How far a feed is, or what was registered: on a terminal all the time, else as a line now and then; both on
standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from timeline.cli.saying import say

if TYPE_CHECKING:
    from feeder.files.feed import Progress

#: Seconds between two lines.
EVERY = 5.0


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """What is to be told how far it is."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    errors = Console(stderr=True)
    if quiet:
        yield lambda _: None
        return
    if not errors.is_terminal:
        yield Lines(time.monotonic, lambda line: say(line, err=True))
        return
    columns = (
        TextColumn("feeding"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[sent]:,} events sent,"),
        TimeRemainingColumn(),
        TextColumn("left (Ctrl-C stops; the same command goes on)"),
    )
    with Bars(*columns, console=errors, transient=True) as bars:
        task = bars.add_task("feeding", total=None, sent=0)

        def show(far: Progress) -> None:
            bars.update(task, total=far.of_lines, completed=far.lines, sent=far.events)

        yield show


class Lines:
    """Says a line every few seconds (of ``clock``), from a few seconds after the begin."""

    def __init__(self, clock: Callable[[], float], tell: Callable[[str], None]) -> None:
        self._clock, self._tell = clock, tell
        self._begun = self._last = clock()

    def __call__(self, far: Progress) -> None:
        now = self._clock()
        if now - self._last < EVERY or not far.of_lines:
            return
        self._last = now
        share = far.lines / far.of_lines
        left = f", about {(now - self._begun) * (1 - share) / share:.0f} s left" if share else ""
        self._tell(f"feeding: {far.events:,} events sent, {share:.0%} of {far.of_lines:,} lines read{left}")


@contextmanager
def catching_up(quiet: bool) -> Iterator[Callable[[int], None]]:
    """What is to be told how many streams do not yet stand where others do."""
    from rich.console import Console

    errors = Console(stderr=True)
    if quiet:
        yield lambda _: None
    elif not errors.is_terminal:
        yield Waiting(time.monotonic, lambda line: say(line, err=True))
    else:
        with errors.status("registered; catching up") as status:
            yield lambda behind: status.update(f"{_behind(behind)} (Ctrl-C leaves it)")


class Waiting:
    """Says a line every few seconds (of ``clock``) while streams are behind."""

    def __init__(self, clock: Callable[[], float], tell: Callable[[str], None]) -> None:
        self._clock, self._tell = clock, tell
        self._last = clock()

    def __call__(self, behind: int) -> None:
        now = self._clock()
        if behind and now - self._last >= EVERY:
            self._last = now
            self._tell(_behind(behind))


def _behind(streams: int) -> str:
    return f"registered; catching up: {streams} stream{'' if streams == 1 else 's'} behind"

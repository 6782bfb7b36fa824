"""Options that several commands have, and how what people type becomes values."""

from __future__ import annotations

import time as clock
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timeline.errors import DurationError, TimelineError
from timeline.values.ticks import parse_duration, parse_time

if TYPE_CHECKING:
    from timeline.fragments import Policy

#: Of a time or a duration that somebody types.
MAX_LENGTH = 100


class UsageError(TimelineError):
    """A command that was called with arguments that do not go together."""


class Format(StrEnum):
    """How values are printed."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


class Drawn(StrEnum):
    """How timelines are drawn."""

    LANES = "lanes"
    SVG = "svg"
    PNG = "png"
    HTML = "html"


class Shown(StrEnum):
    """Both: what `eval` can do."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"
    LANES = "lanes"
    SVG = "svg"
    PNG = "png"
    HTML = "html"

    @property
    def rows(self) -> Format | None:
        return Format(self.value) if self.value in list(Format) else None

    @property
    def drawn(self) -> Drawn | None:
        return Drawn(self.value) if self.value in list(Drawn) else None


PICTURES = 'Draw lanes here, or write a picture to standard output: svg, html, or png (extra "pictures").'


class Fragments(StrEnum):
    """Which nodes share a workflow; see `timeline.fragments`."""

    OPERATOR = "operator"
    NODE = "node"
    STREAM = "stream"

    @property
    def policy(self) -> Policy:
        return self.value


AtOption = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="T", help="At this time: ms, 8s, a date, RFC 3339, now. May be repeated."),
]
EveryOption = Annotated[
    str | None,
    typer.Option(metavar="D", help="At every multiple of this duration (500ms, 5s, 1m)."),
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="T", help="Begin at this time [default: the origin, the first event]."),
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="T", help="End at this time [default: the newest event].")
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="TIMELINE_STORE",
        help="Where large states are stored: file:PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX.",
    ),
]
SinkRootOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--sink-root",
        metavar="DIR",
        envvar="TIMELINE_SINK_ROOT",
        help="Sinks may write files in this folder and below. May be repeated [default: the working folder].",
    ),
]
RawOption = Annotated[
    bool,
    typer.Option("--raw", help="CSV: put no ' before text that a spreadsheet would take for a formula."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
FragmentsOption = Annotated[
    Fragments | None,
    typer.Option(
        help="Which nodes share a workflow [default: what the spec says]. operator: each operator has one; "
        "!, && and || join it. node: each node has one. stream: all nodes of a stream share one."
    ),
]
ExpressionOption = Annotated[
    str | None, typer.Option("-e", "--expression", metavar="EXPR", help="The expression itself.")
]


def utf8(text: str, what: str) -> str:
    """An argument as it is, if it is text: the shell may hand over any bytes.

    Raises:
        UsageError: it is not UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} is not UTF-8 text, got {text!r}") from None
    return text


def times(texts: list[str] | None) -> list[int] | None:
    """Ticks of ``--at``; ``None`` if there is none."""
    return [_time(text) for text in texts] if texts else None


def between(
    from_: str | None, to: str | None, used: bool = True, needs: str = ""
) -> tuple[int | None, int | None]:
    """The ticks of ``--from`` and ``--to``; ``used`` says whether the other options heed them.

    Raises:
        DurationError: not a time.
        UsageError: the end is before the beginning, or nobody heeds them.
    """
    start = None if from_ is None else _time(from_)
    end = None if to is None else _time(to)
    if start is not None and end is not None and end < start:
        raise UsageError(f"--to {to} is before --from {from_}")
    if not used and (start is not None or end is not None):
        raise UsageError(f"--from and --to need {needs}")
    return start, end


def _time(text: str) -> int:
    if len(text) > MAX_LENGTH:
        raise DurationError(f"a time has at most {MAX_LENGTH} characters, got {len(text)}")
    if text.strip() == "now":
        return int(clock.time() * 1_000)
    return parse_time(text)


def step(text: str | None, option: str = "--every") -> int | None:
    """Milliseconds of ``--every``, or of another option.

    Raises:
        DurationError: not a duration, or zero.
    """
    if text is None:
        return None
    if len(text) > MAX_LENGTH:
        raise DurationError(f"a duration has at most {MAX_LENGTH} characters, got {len(text)}")
    ms = parse_duration(text)
    if ms == 0:
        raise DurationError(f"{option} needs a duration of at least 1ms, got 0")
    return ms


def expression_file(path: Path) -> str:
    """The text of a file that holds an expression.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(
            f"cannot read {path}: {reason}; give a spec (.toml), a file with an expression, "
            "or the expression itself with -e"
        ) from None

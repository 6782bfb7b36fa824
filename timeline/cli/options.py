"""Options that several commands have, and how what people type becomes values."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from timeline.errors import DurationError, TimelineError
from timeline.ticks import parse_duration, parse_time


class UsageError(TimelineError):
    """A command that was called with arguments that do not go together."""


class Format(StrEnum):
    """How values are printed."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"
    LANES = "lanes"


AtOption = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="T", help="At this time: ms, 8s, or RFC 3339. May be repeated."),
]
EveryOption = Annotated[
    str | None,
    typer.Option(metavar="D", help="At every multiple of this duration (500ms, 5s, 1m)."),
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="T", help="Begin here instead of at the origin.")
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="T", help="End here instead of at the newest event.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ExpressionOption = Annotated[
    str | None, typer.Option("-e", "--expression", metavar="EXPR", help="The expression itself.")
]


def times(texts: list[str] | None) -> list[int] | None:
    """Ticks of ``--at``; ``None`` if there is none."""
    return [parse_time(text) for text in texts] if texts else None


def time_or_none(text: str | None) -> int | None:
    """The tick of an option that may be absent."""
    return None if text is None else parse_time(text)


def step(text: str | None) -> int | None:
    """Milliseconds of ``--every``.

    Raises:
        DurationError: not a duration, or zero.
    """
    if text is None:
        return None
    ms = parse_duration(text)
    if ms == 0:
        raise DurationError("--every needs a duration of at least 1ms, got 0")
    return ms


def expression_file(path: Path) -> str:
    """The text of a file that holds an expression.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(
            f"cannot read {path}: {reason}; give a spec (.toml), a file with an expression, "
            "or the expression itself with -e"
        ) from None

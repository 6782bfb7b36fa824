"""Times as people read and say them: of days if they are such, and the newest event by a word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from timeline.cli.options import Format, times

#: What ``--at end`` is until it is known which time that is.
END = -1


class Times(StrEnum):
    """How times are printed."""

    MS = "ms"
    ISO = "iso"
    LOCAL = "local"


TimesOption = Annotated[
    Times | None,
    typer.Option(
        help="How to print times: ms, iso (UTC), or local (this machine's zone) "
        "[default: iso in tables if they are later than 1990, and where the input had dates; else ms].",
        show_default=False,
    ),
]
AtOrEndOption = Annotated[
    list[str] | None,
    typer.Option(
        "--at",
        metavar="T",
        help="At this time: ms, 8s, a date, RFC 3339, now, or end (the newest event). May be repeated.",
    ),
]


def times_or_end(texts: list[str] | None) -> list[int] | None:
    """`timeline.cli.options.times`, and `END` for ``end``."""
    if not texts:
        return None
    return [END if text.strip() == "end" else (times([text]) or [END])[0] for text in texts]


def with_end(ats: Sequence[int], newest: int) -> list[int]:
    """The ticks of ``--at``, once the newest event (ms) is known; as late as that, if there is none.

    >>> with_end([5, END], 9)
    [5, 9]
    """
    return [max(newest, 0) if at == END else at for at in ats]


def chosen(wanted: Times | None, tick: int | None, format: Format = Format.TABLE) -> Times:
    """How to print times, the first of which is this one: unless it is said, for a person as dates if it is
    since 1990, and as ms for programs.

    >>> chosen(None, 1_356_998_400_000).value, chosen(None, 8_000).value
    ('iso', 'ms')
    >>> chosen(None, 1_356_998_400_000, Format.CSV).value
    'ms'
    """
    from timeline.reading.heads import EARLIEST  # numpy is not for --help

    if wanted is not None:
        return wanted
    dated = tick is not None and tick >= EARLIEST * 1_000
    return Times.ISO if dated and format is Format.TABLE else Times.MS


def as_they_came(paths: Sequence[str], column: str, newest: int) -> Times | None:
    """ISO if the times of files came as dates, of our days, and not as numbers."""
    from timeline.reading.heads import EARLIEST
    from timeline.reading.looking import heads_of

    if newest < EARLIEST * 1_000 or heads_of(paths, column).times:
        return None
    return Times.ISO


def shown(tick: int | None, how: Times) -> int | str | None:
    """A time to be printed.

    >>> shown(1_356_998_400_250, Times.ISO), shown(8_000, Times.ISO), shown(8_000, Times.MS)
    ('2013-01-01T00:00:00.250Z', '1970-01-01T00:00:08Z', 8000)
    """
    if tick is None or how is Times.MS:
        return tick
    moment = datetime.fromtimestamp(tick // 1_000, UTC).replace(microsecond=tick % 1_000 * 1_000)
    text = (moment if how is Times.ISO else moment.astimezone()).isoformat(
        timespec="milliseconds" if tick % 1_000 else "seconds"
    )
    return text.removesuffix("+00:00") + "Z" if how is Times.ISO else text


def said(tick: int | None, how: Times) -> str:
    """The same within a sentence.

    >>> said(8_000, Times.MS), said(8_000, Times.ISO)
    ('8000 ms', '1970-01-01T00:00:08Z')
    """
    return f"{tick} ms" if how is Times.MS else str(shown(tick, how))

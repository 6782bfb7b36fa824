"""What a question over all keys says on the command line, durably (``query --all``) and here (``eval``)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from timeline.cli.options import UsageError, step, utf8

AGGREGATES = (
    "count, sum(X), avg, min, max, p50, p99, histogram, distinct of outputs X; over time duration, "
    "duration(X), duration_by(X), rises, change"
)

WhereOption = Annotated[
    str | None,
    typer.Option(metavar="CONDITION", help="Only keys for which this is true, such as 'x > 5'."),
]
GroupByOption = Annotated[
    list[str] | None,
    typer.Option(metavar="OUTPUT,...", help="A row for each combination of their values."),
]
AggOption = Annotated[str | None, typer.Option(metavar="LIST", help=f"Columns: {AGGREGATES}.")]
TopOption = Annotated[int | None, typer.Option(metavar="N", help="The N rows with the largest --by.")]
ByOption = Annotated[str | None, typer.Option(metavar="COLUMN", help="An output, or a column of groups.")]
PerOption = Annotated[
    str | None,
    typer.Option(metavar="D", help="Over intervals of this length (5m, 1h), from --from to --to."),
]
LivesOption = Annotated[
    bool, typer.Option("--lives", help="All lives of each key. --group-by key puts them together.")
]


def question_words(
    agg: str | None,
    group_by: list[str] | None,
    where: str | None,
    top: int | None,
    by: str | None,
    per: str | None,
    lives: bool,
) -> dict[str, Any]:
    """Those options in the words of `timeline.aggregate.Request.parse`.

    Raises:
        UsageError: they do not go together.
    """
    if (top is None) != (by is None):
        raise UsageError("--top N and --by COLUMN go together: the N rows with the largest COLUMN")
    return {
        "agg": None if agg is None else utf8(agg, "--agg"),
        "group_by": [w.strip() for text in group_by or [] for w in utf8(text, "--group-by").split(",")],
        "where": None if where is None else utf8(where, "--where"),
        "top": top,
        "by": None if by is None else utf8(by, "--by"),
        "per": step(per, "--per"),
        "lives": lives,
    }


def check_times(at: object, between: object, every: object, per: object) -> None:
    """Refuses times of a question that do not go together.

    Raises:
        UsageError: they do not.
    """
    if at and (between or every or per):
        raise UsageError("give --at, or a series with --every or --per (and --from, --to), not both")
    if every and per:
        raise UsageError("give --every (at times) or --per (over the time between them), not both")

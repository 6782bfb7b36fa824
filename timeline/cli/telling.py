"""Telling people of what is likely to be meant otherwise; looking for it in the files of a spec."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timeline.cli.options import UsageError
from timeline.cli.saying import printable, say
from timeline.errors import EventError

if TYPE_CHECKING:
    from timeline.language.mistakes import Mistake
    from timeline.spec.spec import Spec

StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="If something is likely to be a mistake, do nothing and end with 2."),
]


def tell(mistakes: Sequence[Mistake], about: str = "") -> None:
    """Warns of mistakes on standard error."""

    where = f"{about}: " if about else ""
    for mistake in mistakes:
        say(f"warning: {where}{printable(str(mistake))}", err=True)


def refuse(count: int, strict: bool, undone: str) -> None:
    """Ends a command that is to be strict, if there were mistakes.

    Raises:
        UsageError: there were.
    """
    if strict and count:
        raise UsageError(f"{count} warning{'s' if count != 1 else ''}, and --strict was given; {undone}")


def mistakes_of(spec: Spec, files: Sequence[str | Path] | None = None) -> list[Mistake]:
    """The mistakes that the beginnings of files show; by default of those of the spec that are there.

    Raises:
        EventError: a file that was given cannot be read.
    """
    from timeline.reading.finding import files_of
    from timeline.reading.looking import Looking, look_at_files

    source, plan = spec.source, spec.plan

    def look(paths: Sequence[str]) -> list[Mistake]:
        looking = Looking(
            plan.result.expression, plan.columns, source.time, source.numeric_unit, zone=source.timezone
        )
        return look_at_files(looking, paths, source.key)

    if files is not None:
        return look(list(map(str, files)))
    with suppress(EventError):  # whoever feeds them will hear of it
        return look([file for file in files_of(source.files) if Path(file).is_file()])
    return look([])

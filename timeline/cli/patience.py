"""``--patience``: how long a command waits for a server. Apart from the connection, which commands without a
server need not load."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any

import typer

from timeline.cli.options import MAX_LENGTH
from timeline.values.ticks import parse_duration

#: How long commands wait unless they are told otherwise.
DEFAULT = "5m"
#: How long (ms) the command that runs waits for a server or a worker that does not answer: `patient` says.
CHOSEN: ContextVar[int] = ContextVar("patience", default=0)

PatienceOption = Annotated[
    str,
    typer.Option(
        metavar="D",
        envvar="TIMELINE_PATIENCE",
        help="How long to wait for a server or a worker that does not answer; 0: do not wait.",
    ),
]


def patient(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes ``--patience`` too, to which its connection keeps."""

    @functools.wraps(command)
    def run(*, patience: str, **options: Any) -> None:
        CHOSEN.set(parse_duration(patience[:MAX_LENGTH]))
        command(**options)

    signature = inspect.signature(command, eval_str=True)
    parameter = inspect.Parameter(
        "patience", inspect.Parameter.KEYWORD_ONLY, default=DEFAULT, annotation=PatienceOption
    )
    changed = signature.replace(parameters=[*signature.parameters.values(), parameter])
    run.__signature__ = changed  # type: ignore[attr-defined]
    return run

"""The command ``namespace``: what a namespace of Temporal may be given for timelines."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from timeline.cli.connecting import connect_temporal, run_until_signalled
from timeline.cli.saying import say


class Work(StrEnum):
    """What is done to a namespace."""

    PREPARE = "prepare"


def namespace(
    work: Annotated[Work, typer.Argument(metavar="prepare", help="Add missing search attributes.")],
) -> None:
    """Prepare Temporal's namespace, so that its UI can filter by timeline, operator, stream and key column.

    Workflows that are started later have the search attributes TimelineName, TimelineOperator,
    TimelineStream and TimelineKeyColumn. Nothing needs them. Doing it again changes nothing.
    """
    run_until_signalled(_prepare())


async def _prepare() -> None:
    from workflows.attributes import prepare

    client = await connect_temporal()
    added = await prepare(client)
    if added:
        say(f"namespace {client.namespace!r} was given {', '.join(added)}")
    else:
        say(f"namespace {client.namespace!r} has all search attributes")

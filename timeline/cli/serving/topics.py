"""Routes of a timeline's topic: dead letters, the messages that no timeline took; and who feeds it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Query

from feeder.sources.base import DeadLetter, Source
from feeder.sources.opening import connect
from feeder.topics.source import feeding
from timeline.cli.serving import topic_models as models
from timeline.cli.serving.common import Of
from timeline.cli.serving.problems import responses
from timeline.spec.spec import Spec

T = TypeVar("T")

router = APIRouter(prefix="/timelines/{name}", tags=["topics"])
Kind = Literal["broken", "ahead", "late", "closed"]


async def of_topic(spec: Spec, work: Callable[[Source], T]) -> T:
    """What is done with a timeline's topic, in a thread."""

    def connected() -> T:
        connector = connect()
        try:
            return work(connector.source(spec))
        finally:
            connector.close()

    return await asyncio.to_thread(connected)


@router.get("/dead-letters", responses=responses(404))
async def dead_letters(
    spec: Of,
    kind: Annotated[Kind | None, Query(description="Only these.")] = None,
    first: Annotated[int, Query(ge=0, le=1 << 31, description="Leave out so many.")] = 0,
    most: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> models.DeadLetters:
    """Dead letters, oldest first, with reason and place."""

    def work(source: Source) -> list[DeadLetter]:
        wanted = (letter for letter in source.letters() if kind in (None, letter.kind))
        return list(islice(wanted, first, first + most + 1))

    found = await of_topic(spec, work)
    return models.DeadLetters(
        letters=[
            models.DeadLetter(
                kind=letter.kind,
                reason=letter.reason,
                partition=letter.partition,
                position=list(letter.position),
                key=letter.key,
                published=letter.published,
                message=letter.payload.decode("utf-8", "backslashreplace"),
            )
            for letter in found[:most]
        ],
        more=len(found) > most,
    )


@router.post("/dead-letters/send-again", responses=responses(404))
async def send_again(spec: Of, kind: Annotated[Kind, Query(description="Which.")]) -> models.SentAgain:
    """Send the dead letters of a kind to the topic again, each but once."""
    return models.SentAgain(kind=kind, sent=await of_topic(spec, lambda source: source.send_again(kind)))


@router.get("/feeders", responses=responses(404))
async def feeders(spec: Of) -> models.Feeders:
    """Who feeds each partition of the topic, and who waits to take over: for this the service asks Pulsar's
    admin API, at `PULSAR_ADMIN_URL`."""
    found = await of_topic(spec, partial(feeding, spec))
    return models.Feeders(
        partitions=[
            models.Fed(
                partition=number,
                feeders=[models.Feeder(**asdict(one)) for one in known.readers],
                acknowledged=None if known.acknowledged is None else list(known.acknowledged),
            )
            for number, known in enumerate(found)
            if known is not None
        ],
        unknown=[number for number, known in enumerate(found) if known is None],
    )

"""Routes that ask what a timeline knows: of keys, of all keys, of what it refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import StringConstraints

from timeline.cli.options import MAX_LENGTH
from timeline.cli.serving import models
from timeline.cli.serving.common import (
    ALSO_ARROW,
    MAX_KEY,
    MAX_TEXT,
    At,
    Every,
    Key,
    Node,
    Of,
    Timelines,
    as_arrow,
    step,
    tick,
    wants_arrow,
)
from timeline.cli.serving.pieces import pieces
from timeline.cli.serving.problems import responses
from timeline.errors import NotFoundError, TimelineError
from timeline.plan import PlanNode
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from workflows.client import Look as Seen
from workflows.client import Values

router = APIRouter(prefix="/timelines/{name}", tags=["questions"])
#: Keys and times of one request.
MOST = 100
Text = Annotated[str | None, Query(max_length=MAX_TEXT)]
OneKey = Annotated[str, StringConstraints(min_length=1, max_length=MAX_KEY)]
Moment = Annotated[str, StringConstraints(max_length=MAX_LENGTH)]


def _node(spec: Spec, text: str | None) -> PlanNode:
    return spec.plan.result if text is None else spec.plan.find(text)


def _position(position: Position | None) -> list[int] | None:
    return None if position is None else list(position)


@router.get(
    "/values",
    response_model=models.Values,
    responses={**responses(404, 409), **ALSO_ARROW},  # type: ignore[dict-item]
)
async def values(
    request: Request,
    spec: Of,
    timelines: Timelines,
    key: Annotated[list[OneKey], Query(min_length=1, max_length=MOST, description="The keys.")],
    at: Annotated[
        list[str] | None,
        Query(max_length=MOST, description="Times.", examples=[["8s"]]),
    ] = None,
    node: Node = None,
) -> models.Values | Response:
    """The values of some keys, at each of some times; without a time at each key's newest event."""
    times = [None] if at is None else [tick(text) for text in at]
    asked = _node(spec, node)
    answers = await timelines.questions.values(spec, asked, [(k, time) for k in key for time in times])
    named = spec.plan.outputs.items() if asked is spec.plan.result else [("value", asked)]
    kinds = {name: one.kind for name, one in named}
    if wants_arrow(request):
        return as_arrow(Values(tuple(answers), kinds).to_arrow())
    return models.Values(
        timeline=spec.name,
        node=asked.text,
        kinds={name: kind.value for name, kind in kinds.items()},
        values=[
            models.Value(
                key=answer.key,
                time=answer.at,
                value=answer.value,
                position=_position(answer.position),
                final=answer.final,
                error=answer.error,
                exact_from=answer.exact_from,
                counted_from=answer.counted_from,
            )
            for answer in answers
        ],
    )


@router.get("/keys", responses=responses(404))
async def keys(
    spec: Of,
    timelines: Timelines,
    after: Annotated[str | None, Query(max_length=1_000, description="Behind this key.")] = None,
    most: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> models.Keys:
    """The keys that the timeline has heard of, by name."""
    every = await timelines.questions.keys(spec)
    behind = [key for key in every if after is None or key > after]
    page = behind[:most]
    return models.Keys(keys=page, count=len(every), next=page[-1] if len(behind) > most else None)


@router.get("/lanes", responses=responses(404, 409))
async def lanes(spec: Of, timelines: Timelines, key: Key, node: Node = None) -> models.Lanes:
    """Every node's whole timeline of a key, or one node's: why the result is what it is."""
    [answer] = await timelines.questions.values(spec, spec.plan.result, [(key, None)])
    nodes = spec.plan.nodes if node is None else (_node(spec, node),)
    found = []
    for one in nodes:
        known = (await timelines.questions.timelines(spec, one, [key])).get(key)
        if known is None:
            raise NotFoundError(f"node {one.text!r} has not heard of key {key!r} yet; ask again later")
        found.append(
            models.Lane(
                node=one.text,
                operator=one.operator.name,
                kind=one.kind.value,
                origin=known.origin,
                newest=known.newest,
                pieces=pieces(known.rows),
                error=known.error,
            )
        )
    return models.Lanes(timeline=spec.name, key=key, position=_position(answer.position), lanes=found)


@router.get("/lives", responses=responses(404, 409))
async def lives(spec: Of, timelines: Timelines, key: Key, node: Node = None) -> models.Lives:
    """A node's timelines of all lives of a key; without limits.key_ttl it has one."""
    asked = _node(spec, node)
    await timelines.questions.values(spec, spec.plan.result, [(key, None)])
    found = (await timelines.questions.lives(spec, asked, [key])).get(key, [])
    return models.Lives(
        timeline=spec.name,
        key=key,
        node=asked.text,
        lives=[
            models.Life(
                origin=life.origin,
                newest=life.newest,
                closed=life.closed,
                value=life.value,
                pieces=pieces(life.rows),
                error=life.error,
            )
            for life in found
        ],
    )


@router.get(
    "/intervals",
    response_model=models.Intervals,
    responses={**responses(404, 409), **ALSO_ARROW},  # type: ignore[dict-item]
)
async def intervals(
    request: Request,
    spec: Of,
    timelines: Timelines,
    key: Annotated[list[OneKey], Query(min_length=1, max_length=MOST, description="The keys.")],
    node: Node = None,
    start: At = None,
    end: At = None,
) -> models.Intervals | Response:
    """From when to when a State or a Bool has each of its values."""
    asked = _node(spec, node)
    found = await timelines.questions.intervals(spec, asked, key, tick(start), tick(end))
    if wants_arrow(request):
        return as_arrow(found.to_arrow())
    return models.Intervals(
        timeline=spec.name,
        node=asked.text,
        kind=found.kind.value,
        intervals=[models.Interval(**one.row()) for one in found],
        left_out=[models.LeftOut(key=key, reason=why) for key, why in found.left_out.items()],
    )


@router.get(
    "/aggregate",
    response_model=models.Aggregate,
    responses={**responses(404, 409), **ALSO_ARROW},  # type: ignore[dict-item]
)
async def aggregate(
    request: Request,
    spec: Of,
    timelines: Timelines,
    agg: Annotated[Text, Query(description="Columns.", examples=["count, avg"])] = None,
    group_by: Annotated[
        list[str] | None, Query(max_length=20, description="A row for each combination of these outputs.")
    ] = None,
    where: Annotated[Text, Query(description="Only keys of which this is true.")] = None,
    at: Annotated[list[Moment] | None, Query(max_length=MOST, description="Times.")] = None,
    start: At = None,
    end: At = None,
    every: Every = None,
    per: Annotated[
        str | None,
        Query(max_length=MAX_LENGTH, description="Over intervals of this length.", examples=["5m"]),
    ] = None,
    top: Annotated[int | None, Query(ge=1, le=10_000, description="So many rows.")] = None,
    by: Annotated[str | None, Query(max_length=200, description="Those with the largest of this.")] = None,
    lives: Annotated[bool, Query(description="All lives of each key.")] = False,
    exact: Annotated[bool, Query(description="Without keys counted from later than they begin.")] = False,
) -> models.Aggregate | Response:
    """A question over all keys: `docs/aggregates.md` says what can be asked. Of an expression that is piped
    into `aggregate(...)` its question, where `agg` and `group_by` say no other."""
    words: dict[str, Any] = {"agg": agg, "group_by": group_by or [], "where": where, "top": top, "by": by}
    words |= {} if spec.question is None else spec.question.unless(words)
    asked = await timelines.questions.request(
        spec,
        **words,
        at=None if at is None else [tick(text) for text in at],
        start=tick(start),
        end=tick(end),
        every=None if every is None else step(every),
        per=None if per is None else step(per, "per"),
        lives=lives,
        exact=exact,
    )
    result = await timelines.questions.aggregate(spec, asked)
    if wants_arrow(request):
        return as_arrow(result.to_arrow())
    return models.Aggregate(
        timeline=spec.name,
        columns=list(result.columns),
        rows=result.rows,
        positions={str(n): _position(position) for n, position in enumerate(result.positions)},
        keys=result.keys,
        excluded=[models.Excluded(**one.to_json()) for one in result.excluded],
        errors=result.errors,
        forgotten_before=result.forgotten_before,
        counted={"keys": result.counted, "from": result.counted_from} if result.counted else None,
    )


@router.get("/refused", responses=responses(404))
async def refused(
    spec: Of,
    timelines: Timelines,
    stream: Annotated[int, Query(ge=0, le=1 << 31)] = 0,
    after: Annotated[
        str | None,
        Query(pattern=r"^\d{1,18}(\.\d{1,18}){0,5}$", description="Behind this position, such as 1.3."),
    ] = None,
    most: Annotated[int, Query(ge=1, le=5_000)] = 1_000,
) -> models.RefusedPage:
    """Refused events of a stream, in order: too late, or of a closed key. The last 5000 are kept."""
    streams = await timelines.registry.streams(spec)
    if stream not in streams:
        raise NotFoundError(f"timeline {spec.name!r} has streams 0 to {len(streams) - 1}, got {stream}")
    place = None if after is None else tuple(map(int, after.split(".")))
    found: list[models.Refused] = []
    async with aclosing(timelines.leaves.refused(spec, stream, place)) as events:  # type: ignore[type-var]
        async for event in events:
            if len(found) == most:
                last = ".".join(map(str, found[-1].position))
                return models.RefusedPage(events=found, next=last)
            found.append(models.Refused(stream=stream, **event))
    return models.RefusedPage(events=found, next=None)


@router.get("/changes", response_class=EventSourceResponse, responses=responses(404))
async def changes(
    spec: Of,
    timelines: Timelines,
    every: Annotated[str, Query(max_length=MAX_LENGTH, description="How often to look.")] = "1s",
    most: Annotated[int, Query(ge=1, le=1_000, description="So many keys.")] = 15,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: `look` with the timeline as it is, now and whenever events have changed something;
    `problem` is the last if it cannot go on."""
    from timeline.cli.serving.problems import of_error

    try:
        ms = max(100, step(every))
        async for seen in timelines.watch(spec.name, every=ms, most=most):
            yield ServerSentEvent(event="look", data=_look(seen))
    except TimelineError as error:
        yield ServerSentEvent(event="problem", data=of_error(error))


def _look(seen: Seen) -> models.Look:
    return models.Look(
        keys=[models.Recent(**recent.to_json()) for recent in seen.keys],
        count=seen.count,
        accepted=seen.accepted,
        refused=seen.refused,
        positions=[_position(position) for position in seen.positions],
    )

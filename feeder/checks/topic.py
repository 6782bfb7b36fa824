"""Checking a topic: what the workflows hold of it against local evaluation of the same messages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from feeder.checks.comparison import CHUNK, Comparison, Difference, compare_keys
from feeder.shards import by_shard
from feeder.sources.base import Connector, Log, Piece
from feeder.topics.source import Input, MessageLog
from timeline.errors import NotFoundError, ServiceError
from timeline.local.evaluate import evaluate
from timeline.spec.spec import Spec
from timeline.tables.events import Events, concat, no_events
from timeline.tables.marks import place_of
from workflows.client import Client
from workflows.names import node_id


@dataclass(slots=True)
class Check:
    """What a check found: keys and timelines compared, what differs; messages by what they were."""

    keys: int = 0
    timelines: int = 0
    messages: int = 0
    broken: int = 0
    ahead: int = 0
    accepted: int = 0
    refused: int = 0
    differences: list[Difference] = field(default_factory=list)


async def check_topic(connector: Connector, timelines: Client, spec: Spec) -> Check:
    """Compares every node of every key with local evaluation of the topic up to each stream's position.

    Accepted and refused are what the leaves counted; a count that is not that of the local evaluation is
    a difference too.

    Raises:
        NotFoundError: no feeder has taken the topic yet.
        ServiceError: the topic has fewer partitions than it had, or the broker does not answer.
    """
    opened = (await timelines.registry.topics()).get(spec.source_id)
    if opened is None or spec.source.topic is None:
        raise NotFoundError(f"the topic of timeline {spec.name!r} was not fed yet; start `timeline feeder`")
    shards = spec.limits.shards
    partitions = await asyncio.to_thread(connector.source(spec).partitions)
    if len(partitions) < opened["partitions"]:
        raise ServiceError(
            f"{spec.source.topic} has {len(partitions)} partitions, and had {opened['partitions']} when it "
            "was first fed; is it another topic of that name?"
        )
    check = Check()
    for number, begin in enumerate(opened["starts"]):
        streams = range(number * shards, (number + 1) * shards)
        reached = [await timelines.nodes.position(node_id(spec, spec.plan.result, s)) for s in streams]
        last = max((p for p in reached if p is not None), default=None)
        if last is None:
            continue
        entry = Input(partitions[number], number, None if begin is None else tuple(begin), spec)
        pieces = await asyncio.to_thread(_read, MessageLog(entry, last), spec.plan.columns)
        check.messages += sum(piece.read for piece in pieces)
        rejected = [rejected.ahead for piece in pieces for rejected in piece.rejected]
        check.ahead += sum(rejected)
        check.broken += len(rejected) - sum(rejected)
        nothing = no_events(spec.plan.columns, len(place_of(last)))
        events = concat([nothing, *(piece.events for piece in pieces)])
        for stream, part in zip(streams, by_shard(events, shards), strict=True):
            await _compare(check, timelines, spec, stream, part.compact())
    return check


def _read(log: Log, columns: Sequence[str]) -> list[Piece]:
    return list(log.pieces(None, columns))


async def _compare(check: Check, timelines: Client, spec: Spec, stream: int, events: Events) -> None:
    marks = await timelines.leaves.marks(node_id(spec, spec.plan.leaves[0], stream))
    evaluation = await asyncio.to_thread(evaluate, spec.plan, events, spec.node_limits, marks=marks)
    comparison = Comparison(evaluation)
    names = sorted({*evaluation.names(), *await timelines.questions.keys_on(spec, stream)})
    for first in range(0, len(names), CHUNK):
        part = names[first : first + CHUNK]
        for node in spec.plan.nodes:
            compare_keys(
                comparison,
                evaluation,
                node,
                part,
                await timelines.questions.lives_on(spec, node, stream, part),
            )
    status = await timelines.leaves.status(spec, stream)
    check.accepted += status["accepted"]
    check.refused += status["refused"]
    mine, theirs = evaluation.accepted, status["accepted"]
    if mine != theirs:
        leaf = spec.plan.leaves[0]
        comparison.differences.append(Difference("(events accepted)", leaf, [[theirs]], [[mine]]))
    check.keys += len(names)
    check.timelines += comparison.timelines
    check.differences += comparison.differences

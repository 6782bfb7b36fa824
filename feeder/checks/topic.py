"""Checking a topic: what the workflows hold of it against local evaluation of the same messages."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pulsar

from feeder.checks.comparison import CHUNK, Comparison, Difference, compare_keys
from feeder.topics.positions import positions_of
from producer.pulsar.topics import partition_name, partitions
from timeline.errors import NotFoundError
from timeline.local.evaluate import evaluate
from timeline.reading.messages import MessageReader
from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position, concat
from workflows.client import Client
from workflows.names import node_id, shards_of

#: How long (ms) the next message of a topic that has more is waited for.
PATIENCE_MS = 10_000
#: Messages that are decoded at once.
BATCH = 20_000


@dataclass(slots=True)
class Check:
    """What a check found: keys and timelines compared, what differs; messages by what they were."""

    keys: int = 0
    timelines: int = 0
    messages: int = 0
    broken: int = 0
    accepted: int = 0
    refused: int = 0
    differences: list[Difference] = field(default_factory=list)


async def check_topic(client: pulsar.Client, timelines: Client, spec: Spec) -> Check:
    """Compares every node of every key with local evaluation of the topic up to each stream's position.

    Accepted and refused are what the leaves counted; a count that is not that of the local evaluation is
    a difference too.

    Raises:
        NotFoundError: no feeder has taken the topic yet.
    """
    opened = (await timelines.registry.topics()).get(spec.source_id)
    if opened is None or spec.source.topic is None:
        raise NotFoundError(f"the topic of timeline {spec.name!r} was not fed yet; start `timeline feeder`")
    topic, shards = spec.source.topic, spec.limits.shards
    count = await asyncio.to_thread(partitions, client, topic)
    check = Check()
    for partition in range(opened["partitions"]):
        begin = opened["starts"][partition]
        after = None if begin is None else tuple(begin)
        streams = range(partition * shards, (partition + 1) * shards)
        reached = [await timelines.nodes.position(node_id(spec, spec.plan.result, s)) for s in streams]
        last = max((p for p in reached if p is not None), default=None)
        if last is None:
            continue
        name = partition_name(topic, partition, count)
        events, messages, broken = await asyncio.to_thread(_read, client, spec, name, after, last)
        check.messages += messages
        check.broken += broken
        for shard, stream in enumerate(streams):
            rows = np.flatnonzero(shards_of(events.keys, shards)[events.key] == shard)
            await _compare(check, timelines, spec, stream, events.take(rows).compact())
    return check


async def _compare(check: Check, timelines: Client, spec: Spec, stream: int, events: Events) -> None:
    evaluation = await asyncio.to_thread(evaluate, spec.plan, events, spec.node_limits)
    comparison = Comparison(evaluation)
    names = sorted({*evaluation.names(), *await timelines.questions.keys_on(spec, stream)})
    for first in range(0, len(names), CHUNK):
        part = names[first : first + CHUNK]
        for node in spec.plan.nodes:
            compare_keys(
                comparison, node, part, await timelines.questions.timelines_on(spec, node, stream, part)
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


def _read(
    client: pulsar.Client, spec: Spec, topic: str, after: Position | None, last: Position
) -> tuple[Events, int, int]:
    """The events of a partition up to a position, how many messages there were, and how many were none."""
    source = spec.source
    reader = MessageReader(
        topic, key=source.key, time=source.time, columns=spec.plan.columns, unit=source.numeric_unit
    )
    handle = client.create_reader(topic, pulsar.MessageId.earliest, receiver_queue_size=5_000)
    if after is None and source.start not in ("earliest", "latest"):
        from timeline.values.ticks import parse_time

        handle.seek(parse_time(source.start))
    parts: list[Events] = []
    messages = broken = 0
    batch: list[Any] = []
    at_end = False
    try:
        while not at_end:
            message = handle.read_next(timeout_millis=PATIENCE_MS)
            batch.append(message)
            place = tuple(positions_of([message])[0].tolist())
            at_end = place >= last
            if not at_end and len(batch) < BATCH:
                continue
            position = positions_of(batch)
            events, rejected = reader.read([m.data() for m in batch])
            places = position[events.position[:, 0]]
            placed = Events(events.keys, events.key, events.tick, events.columns, places)
            if after is not None:
                placed = placed.after(after)
            parts.append(placed)
            messages += len(batch)
            broken += len(rejected)
            batch = []
    finally:
        handle.close()
    return concat(parts), messages, broken

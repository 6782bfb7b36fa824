"""Places in a topic: what a message stands at, and where each partition ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pulsar

from producer.pulsar.topics import partition_name, partitions
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.values.vocabulary import I64


def place_of(message_id: Any) -> Position:
    """What an id of Pulsar's says: ledger, entry, batch index."""
    return message_id.ledger_id(), message_id.entry_id(), max(0, message_id.batch_index())


def position_of(message: Any) -> Position:
    """A message's place in its partition."""
    return place_of(message.message_id())


def positions_of(messages: Sequence[Any]) -> I64:
    """The places of messages, (n, 3)."""
    return np.array([position_of(message) for message in messages], np.int64).reshape(-1, 3)


def ends_of(client: pulsar.Client, spec: Spec) -> list[Position | None]:
    """The position of the last message of each partition of a timeline's topic; ``None``: empty. Blocks."""
    topic = spec.source.topic
    assert topic is not None
    count = partitions(client, topic)
    ends: list[Position | None] = []
    for number in range(max(1, count)):
        name = partition_name(topic, number, count)
        consumer = client.subscribe(name, "timeline-end", initial_position=pulsar.InitialPosition.Latest)
        place = place_of(consumer.get_last_message_id())
        ends.append(place if place[1] >= 0 else None)
        consumer.unsubscribe()
    return ends

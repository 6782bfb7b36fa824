"""Which events of a source go to which of its streams."""

from __future__ import annotations

import numpy as np

from timeline.tables.events import Events
from workflows.names import shards_of


def by_shard(events: Events, shards: int) -> list[Events]:
    """The events of each shard, in their order."""
    if shards == 1:
        return [events]
    shard = shards_of(events.keys, shards)[events.key]
    return [events.take(np.flatnonzero(shard == number)) for number in range(shards)]


def of_shard(events: Events, number: int, shards: int) -> Events:
    """The events of one shard, in their order."""
    if shards == 1:
        return events
    return events.take(np.flatnonzero(shards_of(events.keys, shards)[events.key] == number))

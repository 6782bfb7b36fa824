"""Batches of messages: what was read of them, and whether one follows another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from feeder.stream import Stream
from feeder.topics.positions import positions_of
from timeline.reading import Rejected
from timeline.reading.messages import MessageReader
from timeline.tables.events import Events, Position


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """A batch on its way: its messages are kept until it is settled."""

    messages: Sequence[Any]
    position: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    rejected: list[Rejected]
    #: Whether an event may be too late: a leaf need not be asked where none can be.
    doubtful: bool = True

    @property
    def last(self) -> Position:
        return tuple(self.position[-1].tolist())


def columns_of(streams: Iterable[Stream]) -> frozenset[str]:
    """What the leaves of some streams read."""
    return frozenset().union(*(columns for stream in streams for columns in stream.leaves.values()))


async def read_batch(reader: MessageReader, messages: Sequence[Any]) -> tuple[MessageBatch, Events]:
    """The events of messages, with their places in the partition."""
    position = positions_of(messages)
    payloads = [message.data() for message in messages]
    events, rejected = await asyncio.to_thread(reader.read, payloads)
    placed = Events(events.keys, events.key, events.tick, events.columns, position[events.position[:, 0]])
    return MessageBatch(messages, position, rejected), placed


def no_events(reader: MessageReader) -> Events:
    events, _ = reader.read([])
    return Events([], events.key, events.tick, events.columns, np.empty((0, 3), np.int64))


def follows(before: Position | None, first: Position) -> bool:
    """Whether a message is sure to be the next one; where a ledger ends the answer is no, too."""
    if before is None or first[0] != before[0]:
        return False
    return first <= before or first in ((*before[:2], before[2] + 1), (before[0], before[1] + 1, 0))

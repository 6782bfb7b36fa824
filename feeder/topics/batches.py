"""Batches of messages, and what was read of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feeder.sources.base import Message, Messages
from timeline.reading import Rejected
from timeline.reading.messages import MessageReader
from timeline.tables.events import Events, Position
from timeline.values.vocabulary import I64


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """A batch on its way: its messages are kept until it is settled. ``position`` (n, w) are their places."""

    messages: Sequence[Message]
    position: I64
    rejected: list[Rejected]
    #: Whether an event may be too late: a leaf need not be asked where none can be.
    doubtful: bool = True
    #: Whether it was sent in a turn (`feeder.topics.turns`), which is to be given back.
    in_turn: bool = False

    @property
    def last(self) -> Position:
        return tuple(self.position[-1].tolist())


def decode(reader: MessageReader, messages: Messages) -> tuple[MessageBatch, Events]:
    """The events of at least one message, with their places in the partition. Blocks."""
    position = messages.position
    events, rejected = reader.read(messages.payload)
    placed = Events(events.keys, events.key, events.tick, events.columns, position[events.position[:, 0]])
    return MessageBatch(messages.each, position, rejected), placed


async def read_batch(reader: MessageReader, messages: Messages) -> tuple[MessageBatch, Events]:
    """`decode`, in a thread."""
    return await asyncio.to_thread(decode, reader, messages)


def no_events(reader: MessageReader, width: int) -> Events:
    """A batch without events, with places of so many integers."""
    events, _ = reader.read([])
    return Events([], events.key, events.tick, events.columns, np.empty((0, width), np.int64))

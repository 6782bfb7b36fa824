"""Batches of messages, and what was read of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
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
    #: The newest event: its time, and when its message was published (ms); ``None``: there is none.
    newest: tuple[int, int] | None = None
    #: When its first message was published (ms); 0: the source does not know.
    published: int = 0

    @property
    def last(self) -> Position:
        return tuple(self.position[-1].tolist())


class Decoder:
    """Makes events of messages. None may be further ahead than ``max_ahead`` (ms; ``None``: any may).

    Ahead of when its message was published, so that it does not depend on when and by which feeder it is
    read; or of now by ``clock`` (s), if the clock of the producer is ahead itself.
    """

    def __init__(
        self, reader: MessageReader, max_ahead: int | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.reader = reader
        self._max_ahead = max_ahead
        self._clock = clock

    def read(self, messages: Messages) -> tuple[Events, list[Rejected]]:
        """The events of messages, and those that are none."""
        return self.reader.read(messages.payload, self._latest(messages.published))

    def _latest(self, published: I64) -> I64 | None:
        if self._max_ahead is None:
            return None
        now = int(self._clock() * 1_000)
        # A source that does not know when a message was published says 0.
        return np.where(published > 0, np.minimum(published, now), now) + self._max_ahead


def decode(reader: Decoder, messages: Messages) -> tuple[MessageBatch, Events]:
    """The events of at least one message, with their places in the partition. Blocks."""
    position = messages.position
    events, rejected = reader.read(messages)
    placed = Events(events.keys, events.key, events.tick, events.columns, position[events.position[:, 0]])
    newest = None
    if len(events):
        row = int(events.tick.argmax())
        newest = int(events.tick[row]), int(messages.published[events.position[row, 0]])
    return MessageBatch(
        messages.each, position, rejected, newest=newest, published=int(messages.published[0])
    ), placed


async def read_batch(reader: Decoder, messages: Messages) -> tuple[MessageBatch, Events]:
    """`decode`, in a thread."""
    return await asyncio.to_thread(decode, reader, messages)

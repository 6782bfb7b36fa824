"""What a source is: the boundary between the feeder and whatever keeps events.

A `Log` is read from a place on up to its end, as events in columns: that is all that files are. A broker
offers more: a `Connector` opens the `Source` of a timeline, whose `Partition`s are read message by message,
by a `Cursor` (a place of the reader's own) or a `Subscription` (a place that the source remembers), and
which has a place for dead letters. Only positions are compared: a source chooses what its integers mean, as
long as they grow. All methods block; what goes wrong with the source is a `ServiceError`.

A further broker is a folder beside this file: see `feeder.sources.opening`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from timeline.reading import Rejected
from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position
from timeline.values.vocabulary import I64


@dataclass(frozen=True, slots=True)
class Piece:
    """Events of a log, in order, up to and including ``last``; lines or messages that are none."""

    events: Events
    rejected: list[Rejected]
    last: Position
    #: How many lines or messages were read for it.
    read: int


class Log(Protocol):
    """Events in the order of their positions."""

    def end(self) -> Position | None:
        """The position of the last line or message; ``None``: there is none."""
        ...

    def pieces(self, after: Position | None, columns: Sequence[str]) -> Iterator[Piece]:
        """The events behind a position (``None``: all) with some columns, up to the end."""
        ...


class Message(Protocol):
    """What a source keeps of an event: its payload as it was sent, its place, its key ("" if it has none)."""

    @property
    def position(self) -> Position: ...

    @property
    def payload(self) -> bytes: ...

    @property
    def key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Messages:
    """``n`` messages in a row, as columns: ``position`` (n, w) and ``payload`` (n) are theirs; ``each`` (n)
    are the source's own, for what is asked of single ones; ``published`` (n) is when they were (ms)."""

    each: Sequence[Message]
    payload: Sequence[bytes]
    position: I64
    published: I64

    def __len__(self) -> int:
        return len(self.each)

    @property
    def last(self) -> Position:
        """Where the last of at least one message is."""
        return tuple(self.position[-1].tolist())

    def up_to(self, position: Position) -> int:
        """How many of the messages are at or before a position."""
        return bisect_right(range(len(self)), position, key=lambda i: tuple(self.position[i].tolist()))

    def runs(self) -> list[Messages]:
        """The same in pieces within which positions grow: what a source sends again begins another."""
        if not len(self):
            return []
        # The first column that differs decides.
        weights = 1 << np.arange(self.position.shape[1])[::-1]
        behind = np.sign(np.diff(self.position, axis=0)) @ weights > 0
        runs, rest = [], self
        for end in (np.flatnonzero(~behind)[::-1] + 1).tolist():
            rest, run = rest.split(end)
            runs.append(run)
        return [rest, *runs[::-1]]

    def split(self, count: int) -> tuple[Messages, Messages]:
        """The first so many messages, and the others."""
        first, rest = slice(0, count), slice(count, None)
        return self._part(first), self._part(rest)

    def _part(self, rows: slice) -> Messages:
        return Messages(self.each[rows], self.payload[rows], self.position[rows], self.published[rows])


#: No messages; of no use where their positions' width matters.
NONE = Messages((), (), np.empty((0, 0), np.int64), np.empty(0, np.int64))


def in_a_row(parts: Sequence[Messages]) -> Messages:
    """Messages that follow each other, as one."""
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else NONE
    return Messages(
        [message for part in parts for message in part.each],
        [payload for part in parts for payload in part.payload],
        np.concatenate([part.position for part in parts]),
        np.concatenate([part.published for part in parts]),
    )


class Cursor(Protocol):
    """Reads a partition in order."""

    def receive(self, patience_ms: int, most: int = 1) -> Messages:
        """What comes next: what is there already, about ``most`` messages or less; none if there are none
        within so many ms."""
        ...

    def more(self) -> bool:
        """Whether there is anything behind what was received last: ``False`` at the end of the log."""
        ...

    def seek(self, after: Position | None) -> None:
        """Goes on behind a position, or at the first message. What lies at or a little before the position
        may come too."""
        ...

    def seek_time(self, time: int) -> None:
        """Goes on at the first message that was published at ``time`` (ms since the epoch) or later."""
        ...

    def close(self) -> None: ...


class Subscription(Cursor, Protocol):
    """Reads from the place up to which messages were acknowledged under a name. Where several processes
    subscribe under one name, one of them at a time gets messages, and another goes on when it is gone."""

    def acknowledge(self, message: Message) -> None:
        """All up to and including a message that this subscription received is done with. It may come
        again all the same."""
        ...

    def end(self) -> Position | None:
        """The position of the newest message of the partition; ``None``: there is none."""
        ...

    def acknowledged(self) -> Position | None:
        """Up to where messages were acknowledged, or a little before; ``None``: this is not known."""
        ...

    def give_up(self) -> None:
        """Forgets the place, and closes: nobody will go on under this name."""
        ...


class LetterBox(Protocol):
    """Where messages of a partition are put that are no events, or were refused."""

    def put(self, message: Message, kind: str, reason: str) -> None:
        """Takes a message: it is safe once `flush` has returned."""
        ...

    def flush(self) -> None:
        """Waits until all that was put is safe.

        Raises:
            ServiceError: it is not.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reader:
    """Who takes part in a subscription, and since when (ms); of several one ``reads``, and the others wait to
    take over."""

    name: str
    since: int
    reads: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source knows of a subscription: its readers, and up to where all was acknowledged."""

    readers: tuple[Reader, ...]
    acknowledged: Position | None


class Partition(Protocol):
    """One of the ordered logs that a source consists of. A key's events are in one of them."""

    @property
    def name(self) -> str:
        """What a person calls it; no other partition is called so."""
        ...

    def end(self) -> Position | None:
        """The position of the newest message; ``None``: there is none."""
        ...

    def follows(self, before: Position | None, first: Position) -> bool:
        """Whether no message can lie between two positions; ``False`` if that is not known."""
        ...

    def read(self, after: Position | None) -> Cursor:
        """A reader that begins as `Cursor.seek` says."""
        ...

    def subscribe(self, name: str, reader: str | None = None) -> Subscription:
        """Takes part in a subscription; one that is new begins with the first message. ``reader`` is what
        others call who does."""
        ...

    def reading(self, name: str) -> Reading | None:
        """Who takes part in a subscription; ``None`` if the source does not say."""
        ...

    def letter_box(self) -> LetterBox:
        """A way to the source's dead letters, for messages of this partition."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that no timeline took: ``kind`` is ``broken``, ``ahead``, ``late`` or ``closed``;
    ``position`` its place in ``partition`` of the source, ``published`` when it was sent first (ms)."""

    kind: str
    reason: str
    topic: str
    partition: int
    position: Position
    key: str
    published: int
    payload: bytes


class Source(Protocol):
    """What a broker keeps for the timelines with one ``source_id``: a topic, and its dead letters."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    def partitions(self) -> Sequence[Partition]:
        """Its partitions, at least one, always in the same order."""
        ...

    def letters(self) -> Iterator[DeadLetter]:
        """All dead letters, each once however often it was put."""
        ...

    def send_again(self, kind: str) -> int:
        """Sends the dead letters of a kind to the source again, each but once ever; how many those were.

        Those that come in meanwhile (what is sent again may well be refused again) wait for the next time.
        """
        ...


class Connector(Protocol):
    """The way to a broker."""

    @property
    def where(self) -> str:
        """Where the broker is, for a person."""
        ...

    def source(self, spec: Spec) -> Source:
        """What a timeline on a topic reads.

        Raises:
            NotFoundError: the timeline has no topic.
        """
        ...

    def close(self) -> None: ...


def ends_of(source: Source) -> list[Position | None]:
    """The position of the last message of each partition; ``None``: it is empty. Blocks."""
    return [partition.end() for partition in source.partitions()]

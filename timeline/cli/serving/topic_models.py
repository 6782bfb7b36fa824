"""The shapes of answers about a timeline's topic."""

from __future__ import annotations

from typing import Literal

from timeline.cli.serving.models import Part


class DeadLetter(Part):
    """A message that no timeline took, and why; ``message`` is its text."""

    kind: str
    reason: str
    partition: int
    position: list[int]
    key: str
    published: int
    message: str


class DeadLetters(Part):
    """Dead letters of a topic, oldest first; ``more``: there are others behind them."""

    letters: list[DeadLetter]
    more: bool


class SentAgain(Part):
    """So many messages were sent to the topic again."""

    kind: Literal["broken", "ahead", "late", "closed"]
    sent: int


class Feeder(Part):
    """Who takes part in feeding a partition, since when (ms); of several one ``reads``, and the others wait
    to take over."""

    name: str
    since: int
    reads: bool


class Fed(Part):
    """A partition, who feeds it, first who reads, and up to which message all was acknowledged."""

    partition: int
    feeders: list[Feeder]
    acknowledged: list[int] | None


class Feeders(Part):
    """Who feeds a topic; ``unknown`` are the partitions of which Pulsar's admin API does not say it."""

    partitions: list[Fed]
    unknown: list[int]

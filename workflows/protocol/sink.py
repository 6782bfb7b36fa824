"""The protocol of a sink's workflow. It is told `PATCH` and `STOP`, and asked `POSITION`, as nodes are."""

from __future__ import annotations

from datetime import timedelta
from typing import NotRequired, TypedDict

from timeline.tables.wire import Wire
from workflows.protocol.calls import Query
from workflows.protocol.node import PATCH, POSITION, STOP, IsOdd, Place

__all__ = ["HEARTBEAT", "PATCH", "POSITION", "STATUS", "STOP", "Place", "Progress", "SinkSpec", "SinkStatus"]

#: A worker that was killed holds a batch of a sink up no longer than this.
HEARTBEAT = timedelta(seconds=5)


class SinkSpec(TypedDict):
    """What a sink is started with, and keeps; ``sink`` is which of the spec's it is, if that has a name."""

    spec: Wire
    stream: int
    sink: NotRequired[str]
    max_state: NotRequired[int]


class Progress(TypedDict):
    """How far a sink is: rows and batches that are written, and where its file ends (bytes)."""

    rows: int
    batches: int
    offset: int
    exactly_once: bool | None


class SinkStatus(Progress, IsOdd):
    """Where rows go, how many are written, whether a repeat changes nothing, and what is wrong."""

    stream: int
    #: Its name, if it has one.
    sink: str | None
    kind: str
    place: str
    name: str
    position: Place
    waiting: int
    state_bytes: int
    #: Why no more is written.
    full: str | None


STATUS = Query[[], SinkStatus]("status")

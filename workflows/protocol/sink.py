"""The protocol of a sink's workflow. It is told `PATCH` and `STOP`, and asked `POSITION`, as nodes are."""

from __future__ import annotations

from datetime import timedelta
from typing import NotRequired, TypedDict

from timeline.tables.wire import Wire
from workflows.protocol.calls import Query, Signal
from workflows.protocol.node import PATCH, POSITION, STOP, IsMissing, IsOdd, Place

__all__ = [
    "HAND_OVER",
    "HEARTBEAT",
    "PATCH",
    "POSITION",
    "ROOM",
    "STATUS",
    "STOP",
    "MergedSpec",
    "Place",
    "Progress",
    "SinkSpec",
    "SinkStatus",
]

#: A worker that was killed holds a batch of a sink up no longer than this.
HEARTBEAT = timedelta(seconds=5)


class SinkSpec(TypedDict):
    """What a sink is started with, and keeps; ``sink`` is which of the spec's it is, if that has a name."""

    spec: Wire
    stream: int
    sink: NotRequired[str]
    max_state: NotRequired[int]


class MergedSpec(TypedDict):
    """What is started to merge the groups of so many ``streams``, and keeps."""

    spec: Wire
    streams: int
    sink: NotRequired[str]
    max_state: NotRequired[int]


class Progress(TypedDict):
    """How far a sink is: rows and batches that are written, and where its file ends (bytes)."""

    rows: int
    batches: int
    offset: int
    exactly_once: bool | None


class SinkStatus(Progress, IsOdd, IsMissing):
    """Where rows go, how many are written, whether a repeat changes nothing, and what is wrong."""

    #: ``None``: it merges those of all streams.
    stream: int | None
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
    #: Of one that hands its groups over: the workflow that merges them. Of that: below which time (ms) all
    #: is written, for which streams it waits, and why others have to wait meanwhile, if they have.
    merged: NotRequired[str]
    until: NotRequired[int]
    waits_for: NotRequired[list[int]]
    held: NotRequired[str]


#: Groups of a stream at times (`timeline.sinks.groups.Handed`), with the stream's number.
HAND_OVER = Signal[[Wire]]("hand_over")
#: All below this time (ms) has been taken, and there is room for more.
ROOM = Signal[[int]]("room")
STATUS = Query[[], SinkStatus]("status")

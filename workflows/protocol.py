"""What workflows are started with, told and asked: every shape that both ends share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NotRequired, TypedDict

from workflows import life

#: A worker that was killed holds a batch of a sink up no longer than this.
HEARTBEAT = timedelta(seconds=5)


class Segment(TypedDict):
    """Lines ``after + 1 .. last`` of a file; its place in the log is the first part of positions."""

    path: str
    fingerprint: str
    after: int
    last: int


class Topic(TypedDict):
    """A topic as it was when a feeder first took it: how many partitions, and where each begins.

    A start is a position (ledger, entry, batch index) behind which events are read, or null.
    """

    partitions: int
    starts: list[list[int] | None]


class RegistryState(TypedDict):
    """What the registry carries: specs by name, users by node id, file logs and topics by source; the store
    in which workers keep large states, if they do, and how many bytes a node's may have there."""

    timelines: dict[str, dict[str, Any]]
    users: dict[str, list[str]]
    logs: dict[str, list[Segment]]
    store: NotRequired[str]
    max_state: NotRequired[int]
    topics: NotRequired[dict[str, Topic]]
    lives: NotRequired[dict[str, life.Life]]


#: The most keys that one answer of ``rows`` or ``keys`` speaks of.
MAX_ANSWER = 2_000


class Subscriber(TypedDict):
    """A parent: its workflow id, and which of its inputs this node is."""

    workflow: str
    inputs: list[int]


class NodeSpec(TypedDict):
    """What a node is started with, and keeps."""

    expression: str
    stream: int
    allowed_lateness: int | None
    retention: int | None
    key_ttl: NotRequired[int | None]
    subscribers: list[Subscriber]
    max_state: NotRequired[int]


class SinkSpec(TypedDict):
    """What a sink is started with, and keeps."""

    spec: dict[str, Any]
    stream: int
    max_state: NotRequired[int]


class Progress(TypedDict):
    """How far a sink is: rows and batches that are written, and where its file ends (bytes)."""

    rows: int
    batches: int
    offset: int
    exactly_once: bool | None

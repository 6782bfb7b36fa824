"""What workflows are started with, told and asked: every name and shape that both ends share, once.

A module a workflow (`node`, `registry`, `sink`); its signals, queries and updates are constants that the
workflow's handlers are bound to and its callers send by. `calls` says what those are.
"""

from __future__ import annotations

from workflows.protocol.node import MAX_ANSWER, NodeSpec, Subscriber
from workflows.protocol.registry import Gap, RegistryState, Segment, Topic
from workflows.protocol.sink import HEARTBEAT, Progress, SinkSpec

__all__ = [
    "HEARTBEAT",
    "MAX_ANSWER",
    "Gap",
    "NodeSpec",
    "Progress",
    "RegistryState",
    "Segment",
    "SinkSpec",
    "Subscriber",
    "Topic",
]

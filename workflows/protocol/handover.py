"""The protocol of the activity that hands states over from nodes of one policy to nodes of another."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from timeline.tables.wire import Wire

NAME = "hand_over"
#: A worker that was killed holds a handover up no longer than this.
HEARTBEAT = timedelta(seconds=5)
#: The error types of a handover that cannot be: for a reason that may pass, and for the size of a state.
CONFLICT, LIMIT = "Conflict", "Limit"


class Handover(TypedDict):
    """Timelines on one source as they are and as they are to be, the number of the stream, and how many
    bytes a state may have. ``token`` is the same in every attempt, and in nothing else."""

    before: list[Wire]
    after: list[Wire]
    stream: int
    max_state: int
    token: str

"""What lives are, by their definition, event by event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Event = tuple[str, int, Any]


@dataclass(frozen=True)
class Told:
    """Of each event why it is refused, or nothing; of each key its lives, each with its events by time; and
    the stream's time."""

    refused: list[str | None]
    lives: dict[str, list[list[tuple[int, Any]]]]
    time: int


def lives_of(
    events: Sequence[Event], lateness: int, ttl: int, marks: Mapping[int, int], by_stream: bool
) -> Told:
    """A life is a run of a key's accepted events whose gaps are shorter than ``ttl``. It is closed when the
    stream is ``ttl + lateness`` ahead of its newest event; an event that it covers then is refused, as is one
    that could only be of a life that would be closed at once. An event is late if its key's newest life
    is not closed, and has an event that is more than ``lateness`` newer; or ``by_stream`` if the stream's
    time is so much newer. That is the newest event's, or that of one of the ``marks``, which are by the
    number of events before them."""
    taken: dict[str, list[tuple[int, Any]]] = {}
    refused: list[str | None] = []
    stream = -1
    for number, (key, tick, values) in enumerate(events):
        stream = max(stream, marks.get(number, -1))
        over = stream - ttl - lateness
        lives = _runs(taken.get(key, []), ttl)
        newest = lives[-1][-1][0] if lives else -1
        reason = None
        if tick < stream - lateness if by_stream else lives and newest > over and tick < newest - lateness:
            reason = "late"
        elif tick <= over or any(life[-1][0] <= over and tick < life[-1][0] + ttl for life in lives):
            reason = "closed"
        else:
            taken.setdefault(key, []).append((tick, values))
        refused.append(reason)
        stream = max(stream, tick)
    stream = max(stream, marks.get(len(events), -1))
    return Told(refused, {key: _runs(mine, ttl) for key, mine in taken.items()}, stream)


def _runs(events: list[tuple[int, Any]], ttl: int) -> list[list[tuple[int, Any]]]:
    runs: list[list[tuple[int, Any]]] = []
    for event in sorted(events, key=lambda e: e[0]):  # stable: of one tick in the order of the stream
        if runs and event[0] - runs[-1][-1][0] < ttl:
            runs[-1].append(event)
        else:
            runs.append([event])
    return runs

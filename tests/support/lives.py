"""What lives are, by their definition, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Event = tuple[str, int, Any]


@dataclass(frozen=True)
class Told:
    """Of each event why it is refused, or nothing; of each key its lives, each with its events by time; and
    the newest event of all."""

    refused: list[str | None]
    lives: dict[str, list[list[tuple[int, Any]]]]
    newest: int


def lives_of(events: Sequence[Event], lateness: int, ttl: int) -> Told:
    """A life is a run of a key's accepted events whose gaps are shorter than ``ttl``. It is closed when the
    stream is ``ttl + lateness`` ahead of its newest event; an event that it covers then is refused, as is one
    that could only be of a life that would be closed at once. An event is late if its key's newest life
    is not closed, and has an event that is more than ``lateness`` newer."""
    taken: dict[str, list[tuple[int, Any]]] = {}
    refused: list[str | None] = []
    stream = -1
    for key, tick, values in events:
        over = stream - ttl - lateness
        lives = _runs(taken.get(key, []), ttl)
        newest = lives[-1][-1][0] if lives else -1
        reason = None
        if lives and newest > over and tick < newest - lateness:
            reason = "late"
        elif tick <= over or any(life[-1][0] <= over and tick < life[-1][0] + ttl for life in lives):
            reason = "closed"
        else:
            taken.setdefault(key, []).append((tick, values))
        refused.append(reason)
        stream = max(stream, tick)
    return Told(refused, {key: _runs(mine, ttl) for key, mine in taken.items()}, stream)


def _runs(events: list[tuple[int, Any]], ttl: int) -> list[list[tuple[int, Any]]]:
    runs: list[list[tuple[int, Any]]] = []
    for event in sorted(events, key=lambda e: e[0]):  # stable: of one tick in the order of the stream
        if runs and event[0] - runs[-1][-1][0] < ttl:
            runs[-1].append(event)
        else:
            runs.append([event])
    return runs

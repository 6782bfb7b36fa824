"""Generated playback sessions: what video players would say, by the million, from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STATES = ("play", "buffer", "seek", "pause")
#: How likely each state is next; players mostly play, and buffer more often than they are sought in.
WEIGHTS = (0.45, 0.3, 0.1, 0.15)


@dataclass(frozen=True, slots=True)
class Sessions:
    """``n`` events in order of time: ``key`` (n) numbers of sessions, ``tick`` (n) ms, ``state`` (n) indices
    into `STATES`."""

    key: NDArray[np.int64]
    tick: NDArray[np.int64]
    state: NDArray[np.int64]

    def names(self) -> NDArray[np.str_]:
        """The session names, ``session-0`` and on, one a number."""
        count = int(self.key.max()) + 1 if len(self.key) else 0
        return np.char.add("session-", np.arange(count).astype(str))


def generate(events: int, keys: int, *, seed: int = 7, span_ms: int = 3_600_000) -> Sessions:
    """Events of sessions that all run through the same ``span_ms``; the same seed gives the same events.

    >>> sessions = generate(1000, 10)
    >>> len(sessions.tick), bool((np.diff(sessions.tick) >= 0).all())
    (1000, True)
    """
    random = np.random.default_rng(seed)
    if events <= span_ms:
        # No two at one tick, so that their order can be told from their times alone.
        tick = np.sort(random.choice(span_ms, events, replace=False))
    else:
        tick = np.sort(random.integers(0, span_ms, events))
    key = random.integers(0, keys, events)
    state = random.choice(len(STATES), events, p=WEIGHTS)
    return Sessions(key, tick, state)

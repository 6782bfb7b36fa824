"""Generated events that look like life: playback sessions and card payments, without end, from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from producer.messages import Chunk

I64 = NDArray[np.int64]

STATES = ("buffer", "play", "seek", "pause", "ended")
CDNS = ("C1", "C2", "C3")
BITRATES = (800, 1_500, 3_000, 6_000)
#: What happens in a session, each a sequence of (state or None, seconds until the next on average).
_BEGIN = ((0, 1.0), (1, 25.0))
_EPISODES = (
    ((0, 2.0), (1, 30.0)),  # the connection is too slow
    ((2, 0.3), (0, 1.0), (1, 30.0)),  # the viewer seeks
    ((3, 10.0), (1, 30.0)),  # the viewer pauses
    ((None, 20.0),),  # another bitrate
    ((None, 20.0),),  # another CDN
)
_WEIGHTS = (0.3, 0.25, 0.15, 0.2, 0.1)
_PER_ROUND = 12
PLACES = ("52.52,13.40", "48.14,11.58", "51.51,-0.13", "40.71,-74.01", "35.68,139.69")


@dataclass(frozen=True, slots=True)
class _Round:
    """Events of one session a slot: ``slot`` and ``tick`` (n), and what each says."""

    slot: I64
    tick: I64
    says: list[dict[str, Any]]
    ends: I64


def playback(sessions: int, *, seed: int = 7, start: int = 0) -> Iterator[Chunk]:
    """Playback sessions in order of time: so many at once, each followed by another when it ends.

    ``start`` is ms since the epoch. The same arguments give the same bytes.

    >>> chunk = next(playback(10))
    >>> bool((np.diff(chunk.tick) >= 0).all()), orjson.loads(chunk.payload[0])["playerStateChange"]
    (True, 'buffer')
    """
    random = np.random.default_rng(seed)
    return _in_order("session", seed, lambda begin: _play(random, begin), _staggered(random, sessions, start))


def cards(count: int, *, seed: int = 7, start: int = 0) -> Iterator[Chunk]:
    """Payments by cards, some of them at two places within seconds.

    >>> chunk = next(cards(10))
    >>> sorted(orjson.loads(chunk.payload[0]))
    ['amount', 'card', 'lat_long', 'time']
    """
    random = np.random.default_rng(seed)
    home = random.integers(0, len(PLACES), count)
    return _in_order("card", None, lambda begin: _pay(random, begin, home), _staggered(random, count, start))


def _staggered(random: np.random.Generator, count: int, start: int) -> I64:
    """When each slot begins: not all at once."""
    return start + np.sort(random.integers(0, 30_000, count))


def _in_order(name: str, seed: int | None, make: Any, begin: I64) -> Iterator[Chunk]:
    """Rounds of slots as one sequence in order of time: what is later than the earliest next begin waits."""
    held_slot, held_tick = np.empty(0, np.int64), np.empty(0, np.int64)
    held: list[tuple[str, bytes]] = []
    number = 0
    while True:
        part: _Round = make(begin)
        # A card goes on; a session that has ended is followed by another.
        suffix = "" if seed is None else f"-{seed}-{number}"
        names = [f"{name}-{slot}{suffix}" for slot in range(len(begin))]
        ticks, slots = part.tick.tolist(), part.slot.tolist()
        held += [
            (names[slot], orjson.dumps({name: names[slot], "time": tick} | says))
            for slot, tick, says in zip(slots, ticks, part.says, strict=True)
        ]
        held_tick = np.concatenate((held_tick, part.tick))
        held_slot = np.concatenate((held_slot, part.slot))
        order = np.lexsort((held_slot, held_tick))
        due = int(np.searchsorted(held_tick[order], part.ends.min()))
        ready = order[:due].tolist()
        if ready:
            yield Chunk([held[i][0] for i in ready], held_tick[order[:due]], [held[i][1] for i in ready])
        rest = order[due:]
        held = [held[i] for i in rest.tolist()]
        held_tick, held_slot = held_tick[rest], held_slot[rest]
        begin = part.ends
        number += 1


def _play(random: np.random.Generator, begin: I64) -> _Round:
    """One session a slot."""
    slots = len(begin)
    kind = random.choice(len(_EPISODES), (slots, _PER_ROUND), p=_WEIGHTS)
    every = [_BEGIN, *_EPISODES, ((4, 5.0),)]
    sequence = np.column_stack((np.zeros(slots, np.int64), kind + 1, np.full(slots, len(every) - 1)))
    length = np.array([len(episode) for episode in every])[sequence]
    width = max(map(len, every))
    state = np.array([[-1 if s is None else s for s, _ in e] + [-1] * (width - len(e)) for e in every])
    mean = np.array([[m for _, m in e] + [0.0] * (width - len(e)) for e in every])
    episode = np.repeat(sequence.ravel(), length.ravel())
    first = np.repeat(np.cumsum(length.ravel()) - length.ravel(), length.ravel())
    step = np.arange(len(episode)) - first
    lasts = (random.exponential(mean[episode, step]) * 1_000 + 40).astype(np.int64)
    per_slot = length.sum(axis=1)
    slot = np.repeat(np.arange(slots), per_slot)
    offset = np.cumsum(lasts) - lasts
    offset -= np.repeat(offset[np.cumsum(per_slot) - per_slot], per_slot)
    tick = begin[slot] + offset
    ends = tick[np.cumsum(per_slot) - 1] + 5_000
    cdn = random.integers(0, len(CDNS), len(slot)).tolist()
    rate = random.integers(0, len(BITRATES), len(slot)).tolist()
    says: list[dict[str, Any]] = []
    for e, i, s, c, r in zip(
        episode.tolist(), step.tolist(), state[episode, step].tolist(), cdn, rate, strict=True
    ):
        said: dict[str, Any] = {} if s < 0 else {"playerStateChange": STATES[s]}
        if e == 0 and i == 0:
            said |= {"cdn": CDNS[c], "bitrate": BITRATES[r]}
        elif s < 0:
            said = {"bitrate": BITRATES[r]} if e == 4 else {"cdn": CDNS[c]}
        says.append(said)
    return _Round(slot, tick, says, ends)


def _pay(random: np.random.Generator, begin: I64, home: I64) -> _Round:
    """A few payments a card; one in fifty is at another place, seconds after the one before."""
    slots, each = len(begin), 8
    gap = random.exponential(20_000, (slots, each)).astype(np.int64) + 1_000
    away = random.random((slots, each)) < 0.02
    gap = np.where(away, random.integers(1_000, 9_000, gap.shape), gap)
    tick = begin[:, None] + np.cumsum(gap, axis=1)
    place = np.where(away, (home[:, None] + 1) % len(PLACES), home[:, None])
    amount = np.round(random.exponential(30, (slots, each)) + 1, 2)
    says = [
        {"lat_long": PLACES[p], "amount": a}
        for p, a in zip(place.ravel().tolist(), amount.ravel().tolist(), strict=True)
    ]
    return _Round(np.repeat(np.arange(slots), each), tick.ravel(), says, tick[:, -1])

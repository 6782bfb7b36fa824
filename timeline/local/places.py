"""Which lives of which keys say the values of a local evaluation, at which ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from timeline.errors import NotFoundError
from timeline.limits import Limits
from timeline.tables.lateness import now
from timeline.tables.packing import pack
from timeline.values.vocabulary import I64

#: About how many rows are made at a time.
CHUNK = 16_384


@dataclass(frozen=True)
class Places:
    """Lives, or keys that have one: where they begin and their newest events (ms), and which of them each key
    has, in order of time."""

    origin: I64
    newest: I64
    limits: Limits
    stream_time: int
    ranges: Sequence[range]

    def asked(
        self,
        wanted: Sequence[range],
        at: Sequence[int] | None,
        every: int | None,
        start: int | None,
        end: int | None,
    ) -> Iterator[tuple[I64, I64]]:
        """Which codes, by their places, and ticks are to be asked for, at most about `CHUNK` at a time."""
        fixed = np.array(sorted(set(at or ())), np.int64)
        if every is None:
            size = max(1, CHUNK // max(1, len(fixed)))
            for first in range(0, len(wanted), size):
                part = wanted[first : first + size]
                if at is None:
                    index = np.array([lives[-1] for lives in part], np.int64)
                    yield index, now(self.limits, self.newest[index], self.stream_time)
                else:
                    yield self._covering(part, np.tile(fixed, len(part)), len(fixed))
            return
        for lives in wanted:
            begin = int(self.origin[lives[0]]) if start is None else start
            last = int(self.newest[lives[-1]]) if end is None else end
            rest = fixed
            for low in range(-(-begin // every) * every, last + 1, every * CHUNK):
                ticks = np.arange(low, min(low + every * CHUNK, last + 1), every)
                among = rest <= ticks[-1]
                ticks, rest = np.union1d(ticks, rest[among]), rest[~among]
                yield self._covering([lives], ticks, len(ticks))
            if len(rest):
                yield self._covering([lives], rest, len(rest))

    def most(self, at: int, every: int | None, start: int | None, end: int | None) -> int:
        """How many rows all keys have at most, at so many times and every so often."""
        if every is None:
            return len(self.ranges) * max(at, 1)
        begin = self.origin[[lives[0] for lives in self.ranges]] if start is None else np.int64(start)
        last = self.newest[[lives[-1] for lives in self.ranges]] if end is None else np.int64(end)
        each = np.maximum(last // every - -(-begin // every) + 1, 0) + at
        return int(each.sum()) if each.ndim else int(each) * len(self.ranges)

    def _covering(self, keys: Sequence[range], tick: I64, each: int) -> tuple[I64, I64]:
        """For keys and ``each`` of their ticks the life that covers them. The first of a key covers what is
        before it too, the last what is behind it; what lies between lives is left out."""
        first = np.repeat(np.array([lives[0] for lives in keys], np.int64), each)
        last = np.repeat(np.array([lives[-1] for lives in keys], np.int64), each)
        ttl = self.limits.key_ttl
        if ttl is None:
            return first, tick
        rank, origins = self._in_order
        index = np.searchsorted(origins, pack(rank[first], tick), side="right") - 1
        index = np.maximum(index, first)
        covered = (index == last) | (tick < self.newest[index] + ttl)
        after = self.limits.forgotten_after
        if after is not None:
            # What is before the first may have been of a life that is forgotten.
            forgotten = tick < self.stream_time - after + ttl
            covered &= ~(forgotten & (tick < self.origin[index]))
        return index[covered], tick[covered]

    @cached_property
    def _in_order(self) -> tuple[I64, I64]:
        """By code the number of its key, and where it begins packed with that."""
        rank = np.empty(len(self.origin), np.int64)
        for number, lives in enumerate(self.ranges):
            rank[lives.start : lives.stop] = number
        return rank, pack(rank, self.origin)


def no_such_key(key: str, names: Sequence[str]) -> NotFoundError:
    """What to say of a key without events, where there are those of ``names``."""
    some = ", ".join(repr(name) for name in names[:5])
    more = ", ..." if len(names) > 5 else ""
    return NotFoundError(f"no events of key {key!r}; there are {some or 'none'}{more}")

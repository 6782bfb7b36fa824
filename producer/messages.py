"""Messages to be sent, in chunks, and what may go wrong with them on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
from numpy.typing import NDArray

from timeline.reading.model import MAX_VALUE_CHARS

KINDS = ("good", "late", "repeated", "broken")


@dataclass(frozen=True, slots=True)
class Chunk:
    """``n`` messages in the order in which they are sent: the message key, the time (ms) and the bytes of
    each; ``kind`` (n) are indices into `KINDS`, all good if it is not given."""

    key: Sequence[str]
    tick: NDArray[np.int64]
    payload: Sequence[bytes]
    kind: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.payload)

    @property
    def kinds(self) -> NDArray[np.int64]:
        return self.kind if len(self.kind) else np.zeros(len(self), np.int64)

    def take(self, rows: Sequence[int]) -> Chunk:
        """Some of the messages."""
        return Chunk(
            [self.key[i] for i in rows],
            self.tick[rows],
            [self.payload[i] for i in rows],
            self.kinds[rows],
        )


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of messages that are sent besides: events ``late`` by ``late_by`` ms, events ``repeated``
    byte by byte, and messages that are ``broken`` in all the ways there are."""

    late: float = 0.0
    repeated: float = 0.0
    broken: float = 0.0
    late_by: int = 120_000
    time: str = "time"

    def __bool__(self) -> bool:
        return bool(self.late or self.repeated or self.broken)


def limited(chunks: Iterator[Chunk], count: int) -> Iterator[Chunk]:
    """The first ``count`` messages."""
    for chunk in chunks:
        if len(chunk) >= count:
            yield chunk.take(range(count))
            return
        count -= len(chunk)
        yield chunk


def with_faults(chunks: Iterator[Chunk], faults: Faults, seed: int) -> Iterator[Chunk]:
    """The same messages with others among them, each directly behind the event that it is made of.

    >>> one = Chunk(["a"] * 100, np.arange(100) + 1_000_000, [b'{"time": 1000000}'] * 100)
    >>> [chunk] = with_faults(iter([one]), Faults(late=0.1, broken=0.05), seed=1)
    >>> np.bincount(chunk.kinds, minlength=4).tolist()
    [100, 10, 0, 5]
    """
    random = np.random.default_rng(seed)
    breaks = 0
    shares = np.array([faults.late, faults.repeated, faults.broken])
    total, made = 0, np.zeros(3, np.int64)
    for chunk in chunks:
        # Whole numbers of each, so that the shares are met exactly however long the chunks are.
        total += len(chunk)
        counts = np.round(shares * total).astype(np.int64) - made
        made += counts
        extra = [random.choice(len(chunk), min(n, len(chunk)), replace=False) for n in counts.tolist()]
        late = [_late(chunk.payload[i], faults) for i in extra[0]]
        again = [chunk.payload[i] for i in extra[1]]
        broken = [_broken(chunk.payload[i], faults, breaks + n) for n, i in enumerate(extra[2])]
        breaks += len(broken)
        source = np.concatenate((np.arange(len(chunk)), *extra))
        kind = np.repeat(np.arange(4), [len(chunk), *map(len, extra)])
        order = np.argsort(source, kind="stable")
        tick = chunk.tick[source] - np.where(kind == 1, faults.late_by, 0)
        payload = [*chunk.payload, *late, *again, *broken]
        yield Chunk(
            [chunk.key[i] for i in source[order].tolist()],
            tick[order],
            [payload[i] for i in order.tolist()],
            kind[order],
        )


def _late(payload: bytes, faults: Faults) -> bytes:
    event = orjson.loads(payload)
    event[faults.time] = max(0, event[faults.time] - faults.late_by)
    return orjson.dumps(event)


def _broken(payload: bytes, faults: Faults, number: int) -> bytes:
    """One of the ways in which a message is no event, in turn."""
    event = orjson.loads(payload)
    key = next(iter(event), "key")
    ways = (
        lambda: payload[:-1],
        lambda: b"[1, 2]",
        lambda: b"{}",
        lambda: orjson.dumps({k: v for k, v in event.items() if k != faults.time}),
        lambda: orjson.dumps(event | {faults.time: -5}),
        lambda: orjson.dumps(event | {faults.time: "soon"}),
        lambda: orjson.dumps(event | {key: {"nested": 1}}),
        lambda: orjson.dumps(event | {key: "x" * (MAX_VALUE_CHARS + 1)}),
    )
    return ways[number % len(ways)]()

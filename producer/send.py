"""Sending messages to a topic: at the pace of their times, at a rate, or as fast as the broker takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np
import pulsar

from producer.messages import KINDS, Chunk
from timeline.errors import ServiceError

#: What is sent between two looks at the clock.
SLICE = 500


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast: ``speed`` times as fast as the events' times say, or ``rate`` messages a second; neither:
    flat out."""

    speed: float | None = None
    rate: float | None = None


@dataclass(slots=True)
class Report:
    """How many messages were sent, by kind; in how many seconds."""

    sent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.sent.values())


def send(
    client: pulsar.Client,
    topic: str,
    chunks: Iterable[Chunk],
    pace: Pace,
    *,
    stop: Event | None = None,
    on_progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Sends chunks in order, keyed, with their times as event times; returns when the broker has all.

    Blocks. ``stop`` ends it early.

    Raises:
        ServiceError: the broker is not there, or refuses a message.
    """
    report, failed = Report(), []
    stop = stop or Event()

    def sent(result: Any, _: Any) -> None:
        if result != pulsar.Result.Ok:
            failed.append(str(result))

    try:
        producer = client.create_producer(
            topic,
            batching_enabled=True,
            batching_max_messages=5_000,
            batching_max_allowed_size_in_bytes=512 << 10,
            # Waiting for more only helps when more is coming at once.
            batching_max_publish_delay_ms=10 if pace == Pace() else 1,
            max_pending_messages=50_000,
            block_if_queue_full=True,
        )
    except pulsar.PulsarException as error:
        raise ServiceError(f"cannot send to {topic}: {error}") from None
    begun = time.monotonic()
    clock = _Clock(pace, begun)
    try:
        for chunk in chunks:
            ticks, kinds = chunk.tick, chunk.kinds
            first = 0
            while first < len(chunk) and not stop.is_set():
                last = clock.due(ticks, first, report.total, stop)
                for key, tick, payload in zip(
                    chunk.key[first:last], ticks[first:last].tolist(), chunk.payload[first:last], strict=True
                ):
                    producer.send_async(payload, sent, partition_key=key, event_timestamp=max(0, tick))
                for kind, count in enumerate(np.bincount(kinds[first:last], minlength=len(KINDS)).tolist()):
                    report.sent[KINDS[kind]] += count
                first = last
                report.seconds = time.monotonic() - begun
                on_progress(report)
                if failed:
                    break
            if failed or stop.is_set():
                break
        producer.flush()
    except pulsar.PulsarException as error:
        failed.append(str(error))
    finally:
        producer.close()
    report.seconds = time.monotonic() - begun
    if failed:
        raise ServiceError(f"{len(failed)} messages to {topic} were not taken: {failed[0]}")
    return report


class _Clock:
    """Says up to which message it is time to send."""

    def __init__(self, pace: Pace, begun: float) -> None:
        self.pace = pace
        self.begun = begun
        self.first_tick: int | None = None

    def due(self, ticks: Any, first: int, sent: int, stop: Event) -> int:
        """Waits until at least one message is due; the index behind the last that is."""
        end = min(len(ticks), first + SLICE)
        if self.pace.rate is not None:
            stop.wait(max(0.0, self.begun + sent / self.pace.rate - time.monotonic()))
            allowed = int((time.monotonic() - self.begun) * self.pace.rate) - sent
            return min(end, first + max(1, allowed))
        if self.pace.speed is not None:
            if self.first_tick is None:
                self.first_tick = int(ticks[0])
            due = self.begun + (int(ticks[first]) - self.first_tick) / 1_000 / self.pace.speed
            stop.wait(max(0.0, due - time.monotonic()))
            now = self.first_tick + (time.monotonic() - self.begun) * 1_000 * self.pace.speed
            later = np.flatnonzero(ticks[first:end] > now)
            return max(first + 1, first + int(later[0]) if len(later) else end)
        return end

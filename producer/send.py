"""Sending messages to a topic: at the pace of their times, at a rate, or as fast as the broker takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np
import pulsar
import stamina

from producer.messages import KINDS, Chunk
from timeline.errors import ServiceError

#: What is sent between two looks at the clock, and how many of these say each for itself what became of it.
#: A word of the client's about a message costs three times what it takes to send it, so not all do.
SLICE, WITNESSES = 500, 16
#: A message that the broker has not had after so long (ms) is given up.
TIMEOUT_MS = 30_000
#: How long (s) a producer may take to be connected again.
PATIENCE = 30.0
#: All that was sent is waited for after so many messages, or s: long before any of it could be given up.
UNSURE, UNSURE_S = 50_000, 2.0
#: A larger message (bytes) may be refused on its own, and always says what became of it.
LARGE = 64 << 10


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

    Blocks. ``stop`` ends it early. See `_Confirming` for how it knows.

    Raises:
        ServiceError: the broker is not there, or refuses a message.
    """
    report = Report()
    stop = stop or Event()
    try:
        producer = client.create_producer(
            topic,
            send_timeout_millis=TIMEOUT_MS,
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
    confirming = _Confirming(producer)
    failed = confirming.failed
    try:
        for chunk in chunks:
            ticks, kinds = chunk.tick, chunk.kinds
            first = 0
            while first < len(chunk) and not stop.is_set():
                wait = clock.wait(ticks, first, report.total)
                if wait > UNSURE_S:
                    confirming.confirm()
                stop.wait(wait)
                last = clock.due(ticks, first, report.total)
                confirming.send(chunk.key[first:last], ticks[first:last].tolist(), chunk.payload[first:last])
                for kind, count in enumerate(np.bincount(kinds[first:last], minlength=len(KINDS)).tolist()):
                    report.sent[KINDS[kind]] += count
                first = last
                report.seconds = time.monotonic() - begun
                on_progress(report)
                if failed:
                    break
            if failed or stop.is_set():
                break
        confirming.confirm()
        confirming.finish()
    except pulsar.PulsarException as error:
        failed.append(str(error))
    finally:
        producer.close()
    report.seconds = time.monotonic() - begun
    if failed:
        raise ServiceError(f"messages to {topic} were not taken: {failed[0]}; send them again")
    return report


class _Confirming:
    """Sends, and knows whether the broker has all without being told of each message.

    What can go wrong with messages goes wrong with all that are under way to a partition. A time-out takes
    `TIMEOUT_MS`: as long as all that was sent is known to have been dealt with before that, there was none. A
    producer that was shut out stays so, which shows in the end. A quota is noticed if one of the `WITNESSES`
    of a slice is under way just then. There is a gap: a quota that refuses messages while the producer
    reconnects, or one batch refused for its checksum, goes unseen where no witness is among them.
    """

    def __init__(self, producer: pulsar.Producer) -> None:
        self.failed: list[str] = []
        self._producer = producer
        self._unsure = 0
        #: When the first message was sent that may be under way.
        self._since = 0.0

    def send(self, keys: Sequence[str], ticks: Sequence[int], payloads: Sequence[bytes]) -> None:
        """Sends a slice."""
        send = self._producer.send_async
        step = max(1, len(keys) // WITNESSES)
        if not self._unsure:
            self._since = time.monotonic()
        for number, (key, tick, payload) in enumerate(zip(keys, ticks, payloads, strict=True)):
            told = None if number % step and len(payload) < LARGE else self._sent
            send(payload, told, partition_key=key, event_timestamp=max(0, tick))
        self._unsure += len(keys)
        if self._unsure >= UNSURE or time.monotonic() - self._since >= UNSURE_S:
            self.confirm()

    def confirm(self) -> None:
        """Waits until nothing is under way any more."""
        self._producer.flush()
        if self._unsure and time.monotonic() - self._since >= TIMEOUT_MS / 1_000:
            self.failed.append("Timeout")
        self._unsure = 0

    def finish(self) -> None:
        """Waits until the producer is connected to all partitions, as one that was shut out never is."""
        try:
            _be_connected(self._producer)
        except _NotConnectedError:
            self.failed.append("NotConnected")

    def _sent(self, result: Any, _: Any) -> None:
        if result != pulsar.Result.Ok:
            self.failed.append(str(result))


class _NotConnectedError(Exception):
    """It may be again in a moment, as after a restart of the broker."""


@stamina.retry(
    on=_NotConnectedError, attempts=None, timeout=PATIENCE, wait_initial=0.05, wait_max=0.5, wait_jitter=0.0
)
def _be_connected(producer: pulsar.Producer) -> None:
    if not producer.is_connected():
        raise _NotConnectedError


class _Clock:
    """Says up to which message it is time to send."""

    def __init__(self, pace: Pace, begun: float) -> None:
        self.pace = pace
        self.begun = begun
        self.first_tick: int | None = None

    def wait(self, ticks: Any, first: int, sent: int) -> float:
        """How long (s) it is until a message is due."""
        if self.pace.rate is not None:
            return max(0.0, self.begun + sent / self.pace.rate - time.monotonic())
        if self.pace.speed is None:
            return 0.0
        if self.first_tick is None:
            self.first_tick = int(ticks[0])
        due = self.begun + (int(ticks[first]) - self.first_tick) / 1_000 / self.pace.speed
        return max(0.0, due - time.monotonic())

    def due(self, ticks: Any, first: int, sent: int) -> int:
        """The index behind the last message that is due, of which there is at least one."""
        end = min(len(ticks), first + SLICE)
        if self.pace.rate is not None:
            allowed = int((time.monotonic() - self.begun) * self.pace.rate) - sent
            return min(end, first + max(1, allowed))
        if self.pace.speed is not None and self.first_tick is not None:
            now = self.first_tick + (time.monotonic() - self.begun) * 1_000 * self.pace.speed
            later = np.flatnonzero(ticks[first:end] > now)
            return max(first + 1, first + int(later[0]) if len(later) else end)
        return end

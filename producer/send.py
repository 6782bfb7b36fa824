"""Sending messages to a topic: at the pace of their times, at a rate, or as fast as the broker takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np
import pulsar

from producer.messages import KINDS, Chunk
from producer.pulsar.positions import batch_size
from timeline.errors import ServiceError

#: What is sent between two looks at the clock; at most so many bytes at once.
SLICE, SLICE_BYTES = 500, 256 << 10
#: What the client puts together for a partition, at most: more than a slice, see `_Confirming`.
BATCH, BATCH_BYTES = 1_000, 512 << 10
#: The client is not to send what it has put together because of the time (ms): see `_Confirming`.
NEVER_MS = 24 * 3_600_000
#: A message that the broker has not had after so long (ms) is given up.
TIMEOUT_MS = 30_000
#: All that was sent is waited for after so many messages, or s.
UNSURE, UNSURE_S = 50_000, 2.0
#: Of so many keys it is remembered in which partition they are.
KEYS = 500_000


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
    timeout_ms: int = TIMEOUT_MS,
) -> Report:
    """Sends chunks in order, keyed, with their times as event times; returns when the broker has all.

    Blocks. ``stop`` ends it early; a message that the broker has not had after ``timeout_ms`` does too. See
    `_Confirming` for how it knows.

    Raises:
        ServiceError: the broker is not there, or refuses a message.
    """
    report = Report()
    stop = stop or Event()
    try:
        producer = client.create_producer(
            topic,
            send_timeout_millis=timeout_ms,
            batching_enabled=True,
            batching_max_messages=BATCH,
            batching_max_allowed_size_in_bytes=BATCH_BYTES,
            batching_max_publish_delay_ms=NEVER_MS,
            # For each partition: if fewer than a batch might be pending, none would ever be full.
            max_pending_messages=UNSURE,
            max_pending_messages_across_partitions=2**31 - 1,
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
                if wait > 0.0:
                    # Nothing else sends what is not yet a full batch.
                    confirming.confirm()
                    wait = clock.wait(ticks, first, report.total)
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
    except pulsar.PulsarException as error:
        failed.append(str(error))
    finally:
        # Nothing is under way any more, or it is an error already.
        with suppress(pulsar.PulsarException):
            producer.close()
    report.seconds = time.monotonic() - begun
    if failed:
        raise ServiceError(f"messages to {topic} were not taken: {failed[0]}; send them again")
    return report


class _Confirming:
    """Sends, and knows whether the broker has all without being told of each message.

    A word of the client's about a message costs several times what it takes to send it. But it says how many
    messages were in the batch, and what was one batch has one fate. So a few messages are witnesses, and all
    that was sent is there if the batches of those that arrived add up to it. Should a batch have no witness,
    they do not, whatever became of it: an error where none need be, but never the reverse.

    So that each batch has one, the last message of each partition in a slice is a witness: a batch is sent
    when it is full, which is more than a slice, or when all is flushed, and never because of the time. In
    which partition a key is its first witnesses say; until then each key is as good as a partition. Only when
    messages are refused a batch can end anywhere: one that lies between two witnesses is one without.
    """

    def __init__(self, producer: pulsar.Producer) -> None:
        self.failed: list[str] = []
        self._producer = producer
        self._unsure = 0
        #: When the first message was sent that may be under way.
        self._since = 0.0
        #: The keys of witnesses under way; each has a dict that will have the result with the message's id.
        self._asked: list[tuple[str, dict[Any, Any]]] = []
        #: When so many are, some will have been told.
        self._enough = SLICE
        #: The batches that arrived since all was confirmed last, by entry, and how many messages each has.
        self._arrived: dict[tuple[int, int, int], int] = {}
        #: The partition of a key, as a tuple, which is no key.
        self._places: dict[str, tuple[int]] = {}

    def send(self, keys: Sequence[str], ticks: Sequence[int], payloads: Sequence[bytes]) -> None:
        """Sends a slice."""
        if sum(map(len, payloads)) > SLICE_BYTES and len(keys) > 1:
            half = len(keys) // 2
            self.send(keys[:half], ticks[:half], payloads[:half])
            self.send(keys[half:], ticks[half:], payloads[half:])
            return
        if not self._unsure:
            self._since = time.monotonic()
        if len(self._asked) >= self._enough:
            self._listen()
        places = self._places
        # A message without a key may go anywhere.
        last: dict[object, int] = {places.get(k, k or i): i for i, k in enumerate(keys)}
        told: dict[int, Callable[[Any, Any], Any]] = {}
        for i in last.values():
            said: dict[Any, Any] = {}
            self._asked.append((keys[i], said))
            # As good as a function of ours that keeps both, at half the price, and sure not to raise.
            told[i] = said.setdefault
        send = self._producer.send_async
        for i, (key, tick, payload) in enumerate(zip(keys, ticks, payloads, strict=True)):
            # No callback is none to the client too: it asks each time whether there is one. (Its C++ part,
            # `ProducerImpl::sendAsync` and `PartitionedProducerImpl::sendAsync`; read in 3.7 to 4.2.)
            send(payload, told.get(i), partition_key=key, event_timestamp=max(0, tick))
        self._unsure += len(keys)
        if self._unsure >= UNSURE or time.monotonic() - self._since >= UNSURE_S:
            self.confirm()

    def confirm(self) -> None:
        """Waits until nothing is under way any more, and adds up."""
        if not self._unsure:
            return
        self._producer.flush()
        self._listen()
        count = sum(self._arrived.values())
        if count != self._unsure and not self.failed:
            self.failed.append(f"{self._unsure - count} of {self._unsure} were not confirmed")
        self._unsure = 0
        self._arrived = {}

    def _listen(self) -> None:
        """Takes down what witnesses have said."""
        silent = []
        for key, said in self._asked:
            if not said:
                silent.append((key, said))
                continue
            [(result, message_id)] = said.items()
            if result != pulsar.Result.Ok:
                self.failed.append(str(result))
                continue
            partition = message_id.partition()
            entry = partition, message_id.ledger_id(), message_id.entry_id()
            if entry not in self._arrived:
                self._arrived[entry] = batch_size(message_id)
            if key:
                self._places[key] = (partition,)
        self._asked, self._enough = silent, 2 * len(silent) + SLICE
        if len(self._places) > KEYS:
            self._places.clear()


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

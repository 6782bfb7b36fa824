"""How a producer knows that the broker has all, without a word about each message.

What the client does with a message (which is not its broker's part) is played here, so that any batch can be
refused at any place; `tests/system/test_produce.py` has the same with the client and a broker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from zlib import crc32

import numpy as np
import pulsar
import pytest

from producer import send as sending
from producer.messages import Chunk
from producer.send import BATCH, BATCH_BYTES, SLICE, SLICE_BYTES, TIMEOUT_MS, Pace, send
from timeline.errors import ServiceError

CHUNK = Chunk([f"k{i % 700}" for i in range(8_000)], np.arange(8_000) - 5, [b"{}"] * 8_000)


def message_id(partition: int, entry: int, index: int, size: int) -> pulsar.MessageId:
    def number(field: int, value: int) -> bytes:
        return bytes([field << 3, *(value >> shift & 0x7F | 0x80 for shift in (0, 7)), value >> 14])

    fields = enumerate((1, entry, partition, index), start=1)
    written = b"".join(number(field, value) for field, value in fields) + number(6, size)
    return pulsar.MessageId.deserialize(written)


class Sender:
    """A client and its producer. A batch is one by what is written of `BatchMessageContainer`; ``fate`` says
    of the numbers of its messages what becomes of them. With a message in ``breaks`` all is refused that is
    together for its partition then, as if the producer had been shut out and come back."""

    def __init__(
        self, fate: Callable[[list[int]], Any] = lambda _: pulsar.Result.Ok, breaks: tuple[int, ...] = ()
    ) -> None:
        self.sent: list[tuple[bytes, dict[str, Any]]] = []
        self.batches: list[list[int]] = []
        self.asked = 0
        self.flushed: list[int] = []
        self.now = 0.0
        self.closed = False
        self._fate = fate
        self._breaks = breaks
        self._together: dict[int, list[tuple[int, Callable[[Any, Any], Any] | None]]] = {}

    def create_producer(self, topic: str, **settings: Any) -> Sender:
        assert settings["send_timeout_millis"] == TIMEOUT_MS
        assert settings["batching_max_messages"] == BATCH > SLICE
        assert settings["batching_max_allowed_size_in_bytes"] == BATCH_BYTES > SLICE_BYTES
        return self

    def send_async(self, payload: bytes, told: Callable[[Any, Any], Any] | None, **about: Any) -> None:
        partition = crc32(about["partition_key"].encode()) % 3
        if not about["partition_key"]:
            partition = len(self.sent) % 3
        together = self._together.setdefault(partition, [])
        if sum(len(self.sent[n][0]) for n, _ in together) + len(payload) > BATCH_BYTES:
            self._cut(partition)
        self.asked += told is not None
        self._together[partition].append((len(self.sent), told))
        self.sent.append((payload, about))
        if len(self.sent) - 1 in self._breaks:
            self._cut(partition, pulsar.Result.ProducerBlockedQuotaExceededException)
        elif len(self._together[partition]) == BATCH:
            self._cut(partition)

    def _cut(self, partition: int, result: Any = None) -> None:
        together, self._together[partition] = self._together[partition], []
        if not together:
            return
        self.batches.append([n for n, _ in together])
        result = self._fate(self.batches[-1]) if result is None else result
        for index, (_, told) in enumerate(together):
            if told is not None:
                told(result, message_id(partition, len(self.batches), index, len(together)))

    def flush(self) -> None:
        for partition in self._together:
            self._cut(partition)
        self.flushed.append(len(self.sent))

    def close(self) -> None:
        self.closed = True
        raise pulsar.AlreadyClosed("it is")


def run(sender: Sender, *chunks: Chunk, pace: Pace | None = None) -> sending.Report:
    return send(cast(Any, sender), "t", chunks, pace or Pace())


def test_all_is_sent_in_order_and_few_are_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "UNSURE_S", 3_600.0)  # a slow machine takes long
    sender = Sender()
    report = run(sender, CHUNK, CHUNK)
    assert report.total == 16_000
    assert [about["partition_key"] for _, about in sender.sent] == [*CHUNK.key, *CHUNK.key]
    assert [about["event_timestamp"] for _, about in sender.sent] == [max(0, t) for t in CHUNK.tick] * 2
    assert sorted(n for batch in sender.batches for n in batch) == list(range(16_000))
    # Every key until a full batch has told where it is, and then one message a partition and slice.
    assert 700 + 3 * 8_000 // SLICE <= sender.asked < 16_000 // 4
    assert sender.flushed == [16_000]
    assert sender.closed


@pytest.mark.parametrize("number", range(9))
def test_a_batch_that_is_refused_is_noticed(number: int) -> None:
    """Whichever it is, as for its checksum."""

    def fate(batch: list[int]) -> Any:
        return pulsar.Result.ChecksumError if len(sender.batches) == number + 1 else pulsar.Result.Ok

    sender = Sender(fate)
    with pytest.raises(ServiceError, match=r"messages to t were not taken: Result\.ChecksumError; send them"):
        run(sender, CHUNK)
    assert len(sender.batches) > number


def test_messages_between_witnesses_are_missed() -> None:
    """A producer that is shut out twice within a slice: nobody speaks for what was together in between."""

    class Lucky(Sender):
        """What was together before that arrives."""

        def _cut(self, partition: int, result: Any = None) -> None:
            together = self._together[partition]
            before = bool(together) and together[0][0] <= 7_100
            super()._cut(partition, pulsar.Result.Ok if before else result)

    sender = Lucky(breaks=tuple(range(7_100, 7_110)))
    with pytest.raises(
        ServiceError, match=r"were not taken: (\d+) of 8000 were not confirmed; send them"
    ) as e:
        run(sender, CHUNK)
    assert 0 < int(str(e.value).split("taken: ")[1].split()[0]) <= 10


def test_messages_without_a_key_may_go_anywhere() -> None:
    sender = Sender()
    assert run(sender, Chunk(["", "a"] * 500, np.arange(1_000), [b"{}"] * 1_000)).total == 1_000
    assert 500 <= sender.asked < 600


def test_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """They cut batches short; each of those has its witness all the same."""
    sizes = np.random.default_rng(7).choice([1, 1_000, 5_000, 100_000, 300_000, 600_000], 1_000)
    large = Chunk(CHUNK.key[:1_000], CHUNK.tick[:1_000], [b"x" * n for n in sizes.tolist()])
    monkeypatch.setattr(sending, "KEYS", 50)
    sender = Sender()
    assert run(sender, large, large).total == 2_000
    assert len(sender.batches) > 100


def test_many_are_confirmed_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "UNSURE", 800)
    sender = Sender()
    run(sender, CHUNK.take(range(2_200)))
    assert sender.flushed == [1_000, 2_000, 2_200]


def test_what_waits_for_its_time_is_sent_before() -> None:
    sender = Sender()
    pauses = []

    class Stop:
        def wait(self, seconds: float) -> None:
            pauses.append(seconds)
            sender.now += seconds

        def is_set(self) -> bool:
            return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("producer.send.time.monotonic", lambda: sender.now)
        chunk = Chunk(["a", "a", "b"], np.array([0, 1_000, 61_000]), [b"{}"] * 3)
        send(cast(Any, sender), "t", [chunk], Pace(speed=1.0), stop=cast(Any, Stop()))
    assert pauses == [0.0, 1.0, 60.0]
    assert sender.flushed == [1, 2, 3]

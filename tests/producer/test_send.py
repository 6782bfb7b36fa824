"""How a producer knows that the broker has all, without a word about each message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pulsar
import pytest
import stamina

from producer import send as sending
from producer.messages import Chunk
from producer.send import LARGE, TIMEOUT_MS, WITNESSES, Pace, send
from timeline.errors import ServiceError

CHUNK = Chunk([f"k{i}" for i in range(2_000)], np.arange(2_000) - 5, [b"{}"] * 2_000)


class Sender:
    """A client and its producer, that answers nothing before it is flushed: then with ``results``, or that
    all is well. ``took`` is how long a flush takes."""

    def __init__(
        self, results: dict[int, Any] | None = None, took: float = 0.0, connected: bool = True
    ) -> None:
        self.sent: list[tuple[bytes, dict[str, Any]]] = []
        self.told: dict[int, Callable[[Any, Any], None]] = {}
        self.flushed: list[int] = []
        self.now = 0.0
        self.closed = False
        self._results = results or {}
        self._took = took
        self._connected = connected

    def create_producer(self, topic: str, **settings: Any) -> Sender:
        assert settings["send_timeout_millis"] == TIMEOUT_MS
        return self

    def send_async(self, payload: bytes, told: Callable[[Any, Any], None] | None, **about: Any) -> None:
        if told is not None:
            self.told[len(self.sent)] = told
        self.sent.append((payload, about))

    def flush(self) -> None:
        self.now += self._took
        self.flushed.append(len(self.sent))
        for number, told in self.told.items():
            told(self._results.get(number, pulsar.Result.Ok), None)
        self.told = {}

    def is_connected(self) -> bool:
        return self._connected

    def close(self) -> None:
        self.closed = True


def run(sender: Sender, *chunks: Chunk, pace: Pace | None = None) -> sending.Report:
    return send(cast(Any, sender), "t", chunks, pace or Pace())


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sender], None]:
    """Lets a sender's clock be that of what sends."""

    def use(sender: Sender) -> None:
        monkeypatch.setattr("producer.send.time.monotonic", lambda: sender.now)

    return use


def test_all_is_sent_in_order_and_few_are_asked_about(clock: Callable[[Sender], None]) -> None:
    class Counting(Sender):
        asked = 0

        def flush(self) -> None:
            self.asked += len(self.told)
            super().flush()

    sender = Counting()
    clock(sender)
    report = run(sender, CHUNK)
    assert report.total == 2_000
    assert [about["partition_key"] for _, about in sender.sent] == CHUNK.key
    assert [about["event_timestamp"] for _, about in sender.sent] == [max(0, t) for t in CHUNK.tick.tolist()]
    assert WITNESSES * 4 <= sender.asked <= 2 * WITNESSES * 4
    assert sender.flushed == [2_000]
    assert sender.closed


def test_of_few_each_is_asked_about(clock: Callable[[Sender], None]) -> None:
    sender = Sender({7: pulsar.Result.TopicTerminated})
    clock(sender)
    with pytest.raises(ServiceError, match=r"messages to t were not taken: Result\.TopicTerminated"):
        run(sender, CHUNK.take(range(10)))


def test_a_large_one_speaks_for_itself(clock: Callable[[Sender], None]) -> None:
    large = Chunk(CHUNK.key, CHUNK.tick, [*CHUNK.payload[:3], b"x" * LARGE, *CHUNK.payload[4:]])
    sender = Sender({3: pulsar.Result.MessageTooBig})
    clock(sender)
    with pytest.raises(ServiceError, match="MessageTooBig"):
        run(sender, large)


def test_what_took_as_long_as_a_time_out_may_be_lost(clock: Callable[[Sender], None]) -> None:
    sender = Sender(took=TIMEOUT_MS / 1_000)
    clock(sender)
    with pytest.raises(ServiceError, match="Timeout"):
        run(sender, CHUNK)
    sender = Sender(took=TIMEOUT_MS / 2_000)
    clock(sender)
    assert run(sender, CHUNK, CHUNK).total == 4_000


def test_many_are_confirmed_in_between(
    clock: Callable[[Sender], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "UNSURE", 800)
    sender = Sender()
    clock(sender)
    run(sender, CHUNK)
    assert sender.flushed == [1_000, 2_000, 2_000]


def test_a_producer_that_was_shut_out_has_lost_messages(clock: Callable[[Sender], None]) -> None:
    sender = Sender(connected=False)
    clock(sender)
    with stamina.set_testing(True, attempts=2), pytest.raises(ServiceError, match="NotConnected"):
        run(sender, CHUNK)


def test_what_waits_for_its_time_is_sent_surely_before() -> None:
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
    assert sender.flushed == [2, 3]

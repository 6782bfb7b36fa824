"""Messages of one partition of a topic: what they are, and the readers and consumers that bring them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pulsar

from feeder.sources.base import NONE, Message, Messages
from feeder.sources.pulsar.acknowledged import acknowledged
from producer.pulsar.positions import columns_of, id_at, place_of
from timeline.errors import ServiceError
from timeline.tables.events import Position

#: Messages that the client fetches ahead.
QUEUE = 5_000
#: What is taken at once ends with so many bytes.
BURST_BYTES = 4 << 20
#: After so many messages that came one by one there are likely to be many: then they are taken together.
#: That waits a little (ms) for more, which would delay what comes alone.
FEW, TOGETHER_MS = 8, 1


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """What the client raises inside becomes a `ServiceError`."""
    try:
        yield
    except pulsar.PulsarException as error:
        raise failed(error) from error


def failed(error: pulsar.PulsarException) -> ServiceError:
    """What the client raised, as an error of ours: for such a one a feeder tries again."""
    return ServiceError(f"{type(error).__name__}: {error}")


class PulsarMessage:
    """A message; nothing is asked of the client's object before it is wanted."""

    __slots__ = ("native",)

    def __init__(self, native: Any) -> None:
        self.native = native

    @property
    def position(self) -> Position:
        return place_of(self.native.message_id())

    @property
    def payload(self) -> bytes:
        payload: bytes = self.native.data()
        return payload

    @property
    def key(self) -> str:
        return self.native.partition_key() or ""


class PulsarCursor:
    """A handle of the client's, of which ``take`` (with a timeout in ms) is how it gives a message, and
    ``together``, if it can, many at once."""

    def __init__(
        self, handle: Any, take: Callable[..., Any], together: Callable[[], list[Any]] | None = None
    ) -> None:
        self._handle = handle
        self._take = take
        self._together = together

    @classmethod
    def open(cls, client: pulsar.Client, topic: str, after: Position | None) -> PulsarCursor:
        """A reader that begins at the entry of a position, or at the first message.

        It gives its messages one by one. A consumer would give many at once, for a sixth less of processor
        time; but its subscription stays if the process dies, and the broker keeps what nobody acknowledges.
        """
        with plainly():
            handle = client.create_reader(
                topic,
                pulsar.MessageId.earliest if after is None else id_at(after),
                receiver_queue_size=QUEUE,
                start_message_id_inclusive=True,
            )
        return cls(handle, handle.read_next)

    def receive(self, patience_ms: int, most: int = 1) -> Messages:
        natives: list[Any] = []
        payloads: list[bytes] = []
        size = 0
        try:
            while len(natives) < most and size < BURST_BYTES:
                if self._together is not None and len(natives) == FEW:
                    natives += self._together()
                    break
                natives.append(self._take(0 if natives else patience_ms))
                payloads.append(natives[-1].data())
                size += len(payloads[-1])
        except pulsar.Timeout:
            pass
        except pulsar.PulsarException as error:
            raise failed(error) from error
        payloads += [native.data() for native in natives[len(payloads) :]]
        return _in_columns(natives, payloads) if natives else NONE

    def more(self) -> bool:
        with plainly():
            more: bool = self._handle.has_message_available()
        return more

    def seek(self, after: Position | None) -> None:
        with plainly():
            self._handle.seek(pulsar.MessageId.earliest if after is None else id_at(after))

    def seek_time(self, time: int) -> None:
        with plainly():
            self._handle.seek(time)

    def close(self) -> None:
        with plainly():
            self._handle.close()


class PulsarSubscription(PulsarCursor):
    """A failover consumer: the broker remembers what was acknowledged, and gives the partition to one."""

    topic = name = ""

    @classmethod
    def subscribe(
        cls, client: pulsar.Client, topic: str, name: str, reader: str | None = None
    ) -> PulsarSubscription:
        with plainly():
            handle = client.subscribe(
                topic,
                name,
                consumer_type=pulsar.ConsumerType.Failover,
                consumer_name=reader,
                initial_position=pulsar.InitialPosition.Earliest,
                receiver_queue_size=QUEUE,
                batch_index_ack_enabled=True,
                batch_receive_policy=pulsar.ConsumerBatchReceivePolicy(QUEUE, BURST_BYTES, TOGETHER_MS),
            )
        made = cls(handle, handle.receive, handle.batch_receive)
        made.topic, made.name = topic, name
        return made

    def acknowledge(self, message: Message) -> None:
        assert isinstance(message, PulsarMessage), "a message of another source"
        with plainly():
            # By its own id: one that was made of a position would not name a message within a batch.
            self._handle.acknowledge_cumulative(message.native.message_id())

    def end(self) -> Position | None:
        with plainly():
            place = place_of(self._handle.get_last_message_id())
        return place if place[1] >= 0 else None

    def acknowledged(self) -> Position | None:
        return acknowledged(self.topic, self.name)

    def give_up(self) -> None:
        # The broker may refuse while another feeder still has it; then that one gives it up.
        with contextlib.suppress(pulsar.PulsarException):
            self._handle.unsubscribe()


def _in_columns(natives: Sequence[Any], payloads: Sequence[bytes]) -> Messages:
    """Messages of the client's, with each of their parts asked for in one go."""
    places = columns_of([native.message_id() for native in natives])
    published = np.fromiter((native.publish_timestamp() for native in natives), np.int64, len(natives))
    return Messages(list(map(PulsarMessage, natives)), payloads, places, published)

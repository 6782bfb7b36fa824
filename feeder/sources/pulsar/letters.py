"""The dead-letter topic of a source: what is no event, and what was refused, with reason and place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pulsar

from feeder.sources.base import DeadLetter, Message
from feeder.sources.pulsar.reading import PulsarCursor, PulsarMessage, plainly
from producer.pulsar.positions import place_of
from producer.pulsar.topics import full_name, partition_name, partitions
from timeline.errors import ServiceError
from timeline.tables.events import Position

#: The subscription that remembers which dead letters were sent again.
RESENT = "sent-again"
#: How long (ms) the end of a topic is waited for.
END_MS = 2_000


def topic_of(topic: str, source_id: str) -> str:
    """The name of the dead-letter topic of a source.

    >>> topic_of("plays", "plays.01234567")
    'persistent://public/default/plays.01234567.dead-letters'
    """
    folder, _, _ = full_name(topic).rpartition("/")
    return f"{folder}/{source_id}.dead-letters"


class PulsarLetterBox:
    """Writes dead letters of one partition to their topic."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._failed: list[str] = []

    @classmethod
    def open(cls, client: pulsar.Client, dead: str, topic: str) -> PulsarLetterBox:
        """A writer to the topic ``dead`` of what is in ``topic``."""
        with plainly():
            producer = client.create_producer(
                dead,
                batching_enabled=True,
                batching_max_publish_delay_ms=5,
                block_if_queue_full=True,
            )
        return cls(producer, topic)

    def put(self, message: Message, kind: str, reason: str) -> None:
        assert isinstance(message, PulsarMessage), "a message of another source"
        native = message.native
        with plainly():
            self._producer.send_async(
                message.payload,
                self._sent,
                properties={
                    "kind": kind,
                    "reason": reason,
                    "topic": self._topic,
                    "partition": str(max(0, native.message_id().partition())),
                    "position": ":".join(map(str, message.position)),
                    "published": str(native.publish_timestamp()),
                },
                partition_key=message.key or None,
                event_timestamp=native.event_timestamp() or None,
            )

    def _sent(self, result: Any, _: Any) -> None:
        if result != pulsar.Result.Ok:
            self._failed.append(str(result))

    def flush(self) -> None:
        with plainly():
            self._producer.flush()
        if self._failed:
            raise ServiceError(f"dead letters could not be written: {self._failed[0]}")

    def close(self) -> None:
        with plainly():
            self._producer.close()


def read(client: pulsar.Client, dead: str) -> Iterator[DeadLetter]:
    """All dead letters of a topic of them, each once however often it was written. Blocks."""
    seen: set[tuple[str, Position]] = set()
    count = partitions(client, dead)
    for number in range(max(1, count)):
        cursor = PulsarCursor.open(client, partition_name(dead, number, count), None)
        try:
            while cursor.more():
                messages = cursor.receive(END_MS)
                if not messages:
                    raise ServiceError(f"the dead letters of {dead} end before their end; try again")
                for message in messages.each:
                    assert isinstance(message, PulsarMessage), "a message of another source"
                    letter = _letter(message.native)
                    if (place := (letter.topic, letter.position)) not in seen:
                        seen.add(place)
                        yield letter
        finally:
            cursor.close()


def send_again(client: pulsar.Client, dead: str, topic: str, kind: str) -> int:
    """Sends the dead letters of a kind to a topic again; see `feeder.sources.base.Source.send_again`."""
    count = partitions(client, dead)
    seen: set[tuple[str, Position]] = set()
    with plainly():
        producer = client.create_producer(topic, block_if_queue_full=True)
        try:
            for number in range(max(1, count)):
                consumer = client.subscribe(
                    partition_name(dead, number, count),
                    f"{RESENT}-{kind}",
                    initial_position=pulsar.InitialPosition.Earliest,
                )
                try:
                    _send_up_to(consumer, consumer.get_last_message_id(), producer, kind, seen)
                finally:
                    consumer.close()
        finally:
            producer.close()
    return len(seen)


def _send_up_to(consumer: Any, last: Any, producer: Any, kind: str, seen: set[tuple[str, Position]]) -> None:
    while True:
        try:
            message = consumer.receive(timeout_millis=END_MS)
        except pulsar.Timeout:
            return
        if place_of(message.message_id()) > place_of(last):
            return
        letter = _letter(message)
        if letter.kind == kind and (place := (letter.topic, letter.position)) not in seen:
            producer.send(
                letter.payload,
                partition_key=letter.key or None,
                event_timestamp=message.event_timestamp() or None,
            )
            seen.add(place)
        consumer.acknowledge(message)


def _letter(message: Any) -> DeadLetter:
    about = message.properties()
    return DeadLetter(
        about["kind"],
        about["reason"],
        about["topic"],
        int(about["partition"]),
        tuple(map(int, about["position"].split(":"))),
        message.partition_key(),
        int(about["published"]),
        message.data(),
    )

"""The dead-letter topic of a source: what is no event, and what was refused, with reason and place."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulsar

from feeder.topics.positions import place_of
from producer.pulsar.topics import full_name, partition_name, partitions
from timeline.errors import NotFoundError, ServiceError
from timeline.reading import Rejected
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.values.vocabulary import I64

#: The subscription that remembers which dead letters were sent again.
RESENT = "sent-again"
#: How long (ms) the end of a topic is waited for.
END_MS = 2_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that no timeline took: ``kind`` is ``broken``, ``late`` or ``closed``; ``position`` its
    place in ``partition`` of the source's topic."""

    kind: str
    reason: str
    topic: str
    partition: int
    position: Position
    key: str
    published: int
    payload: bytes


def topic_of(spec: Spec) -> str:
    """The name of the dead-letter topic of a timeline's source.

    >>> source = {"topic": "plays"}
    >>> spec = Spec.from_wire({"name": "t", "expression": "has_existed(a == 1)", "source": source})
    >>> topic_of(spec).startswith("persistent://public/default/plays.")
    True
    """
    assert spec.source.topic is not None
    folder, _, _ = full_name(spec.source.topic).rpartition("/")
    return f"{folder}/{spec.source_id}.dead-letters"


class DeadLetters:
    """Writes dead letters; what was sent is safe once `flush` returned."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._failed: list[str] = []

    @classmethod
    def open(cls, client: pulsar.Client, spec: Spec, topic: str) -> DeadLetters:
        """A writer for one partition's dead letters. Blocks."""
        producer = client.create_producer(
            topic_of(spec),
            batching_enabled=True,
            batching_max_publish_delay_ms=5,
            block_if_queue_full=True,
        )
        return cls(producer, topic)

    def broken(self, messages: Sequence[Any], rejected: Sequence[Rejected]) -> int:
        """Sends messages that are no events; ``line`` is the index of each. How many there were."""
        for r in rejected:
            self._send(messages[r.line], "broken", r.reason)
        return len(rejected)

    def refused(
        self, messages: Sequence[Any], position: I64, refused: Sequence[Mapping[str, Any]], stream: int
    ) -> int:
        """Sends events that a leaf refused, found by their positions (n, 3). How many there were."""
        if not refused:
            return 0
        index = {tuple(place): i for i, place in enumerate(position.tolist())}
        found = [(index[p], r) for r in refused if (p := tuple(r["position"])) in index]
        for i, r in found:
            why = "older than allowed_lateness permits" if r["reason"] == "late" else "its key is closed"
            self._send(messages[i], r["reason"], why)
        return len(found)

    def _send(self, message: Any, kind: str, reason: str) -> None:
        place = message.message_id()
        self._producer.send_async(
            message.data(),
            self._sent,
            properties={
                "kind": kind,
                "reason": reason,
                "topic": self._topic,
                "partition": str(max(0, place.partition())),
                "position": ":".join(map(str, place_of(place))),
                "published": str(message.publish_timestamp()),
            },
            partition_key=message.partition_key() or None,
            event_timestamp=message.event_timestamp() or None,
        )

    def _sent(self, result: Any, _: Any) -> None:
        if result != pulsar.Result.Ok:
            self._failed.append(str(result))

    async def flush(self) -> None:
        """Waits until the broker has all that was sent.

        Raises:
            ServiceError: it has not.
        """
        await asyncio.to_thread(self._producer.flush)
        if self._failed:
            raise ServiceError(f"dead letters could not be written: {self._failed[0]}")

    def close(self) -> None:
        """Ends writing. Blocks."""
        self._producer.close()


def read(client: pulsar.Client, spec: Spec) -> Iterator[DeadLetter]:
    """All dead letters of a timeline's source, each once however often it was written. Blocks."""
    topic, seen = topic_of(spec), set()
    if spec.source.topic is None:
        raise NotFoundError(f"timeline {spec.name!r} has no topic, so there are no dead letters")
    count = partitions(client, topic)
    for number in range(max(1, count)):
        reader = client.create_reader(partition_name(topic, number, count), pulsar.MessageId.earliest)
        try:
            while reader.has_message_available():
                letter = _letter(reader.read_next(timeout_millis=END_MS))
                if (place := (letter.topic, letter.position)) not in seen:
                    seen.add(place)
                    yield letter
        finally:
            reader.close()


def count_by_kind(client: pulsar.Client, spec: Spec) -> Counter[str]:
    """How many dead letters of each kind there are. Blocks."""
    return Counter(letter.kind for letter in read(client, spec))


def send_again(client: pulsar.Client, spec: Spec, kind: str) -> int:
    """Sends the dead letters of a kind to the source's topic again, each but once ever. Blocks.

    Those that come in meanwhile (what is sent again may well be refused again) wait for the next time.
    Returns how many were sent.
    """
    assert spec.source.topic is not None
    topic = topic_of(spec)
    count = partitions(client, topic)
    producer = client.create_producer(spec.source.topic, block_if_queue_full=True)
    seen: set[tuple[str, Position]] = set()
    try:
        for number in range(max(1, count)):
            consumer = client.subscribe(
                partition_name(topic, number, count),
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

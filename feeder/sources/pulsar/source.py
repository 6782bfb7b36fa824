"""Topics of a Pulsar broker as sources: partitions, where they end, and dead letters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pulsar

from feeder.sources.base import DeadLetter, Reading
from feeder.sources.pulsar import letters
from feeder.sources.pulsar.acknowledged import reading
from feeder.sources.pulsar.reading import PulsarCursor, PulsarSubscription, plainly
from producer.pulsar import connection
from producer.pulsar.positions import follows, place_of
from producer.pulsar.topics import full_name, partition_name, partitions
from timeline.errors import NotFoundError
from timeline.spec.spec import Spec
from timeline.tables.events import Position


class PulsarPartition:
    """A partition of a topic, or a topic without partitions. ``dead`` is the topic of its dead letters."""

    def __init__(self, client: pulsar.Client, name: str, dead: str) -> None:
        self.name = name
        self._client = client
        self._dead = dead

    def end(self) -> Position | None:
        with plainly():
            consumer = self._client.subscribe(
                self.name, "timeline-end", initial_position=pulsar.InitialPosition.Latest
            )
            place = place_of(consumer.get_last_message_id())
            consumer.unsubscribe()
        return place if place[1] >= 0 else None

    def follows(self, before: Position | None, first: Position) -> bool:
        return follows(before, first)

    def read(self, after: Position | None) -> PulsarCursor:
        return PulsarCursor.open(self._client, self.name, after)

    def subscribe(self, name: str, reader: str | None = None) -> PulsarSubscription:
        return PulsarSubscription.subscribe(self._client, self.name, name, reader)

    def reading(self, name: str) -> Reading | None:
        return reading(self.name, name)

    def letter_box(self) -> letters.PulsarLetterBox:
        return letters.PulsarLetterBox.open(self._client, self._dead, self.name)


class PulsarSource:
    """A topic."""

    def __init__(self, client: pulsar.Client, topic: str, source_id: str) -> None:
        self.name = full_name(topic)
        self._client = client
        self._topic = topic
        self._dead = letters.topic_of(topic, source_id)

    def partitions(self) -> Sequence[PulsarPartition]:
        count = partitions(self._client, self._topic)
        names = [partition_name(self._topic, number, count) for number in range(max(1, count))]
        return [PulsarPartition(self._client, name, self._dead) for name in names]

    def letters(self) -> Iterator[DeadLetter]:
        return letters.read(self._client, self._dead)

    def send_again(self, kind: str) -> int:
        return letters.send_again(self._client, self._dead, self._topic, kind)


class PulsarConnector:
    """A client of Pulsar's as the way to its topics."""

    def __init__(self, client: pulsar.Client) -> None:
        self._client = client

    @property
    def where(self) -> str:
        return connection.service_url()

    def source(self, spec: Spec) -> PulsarSource:
        if spec.source.topic is None:
            raise NotFoundError(f"timeline {spec.name!r} has no topic; give source.topic in its spec")
        return PulsarSource(self._client, spec.source.topic, spec.source_id)

    def close(self) -> None:
        self._client.close()


def connect() -> PulsarConnector:
    """The broker that the environment names; see `producer.pulsar.connection`.

    Raises:
        ServiceError: the environment contradicts itself, or names a file that cannot be read.
    """
    return PulsarConnector(connection.connect())

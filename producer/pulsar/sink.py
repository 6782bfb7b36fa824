"""Rows of a sink on their way to a topic, so that a broker that deduplicates has each once.

A producer of a fixed name gives every row its number as the sequence id: what the broker has of it already,
it drops. Rows are not batched: of a batch that has other bounds when it is sent again, the broker would
drop also what it has not had.
"""

from __future__ import annotations

from typing import Any

import orjson
import pulsar

from producer.pulsar.connection import connect, failure
from producer.pulsar.deduplication import deduplicate
from timeline.errors import ServiceError
from timeline.language.output_names import name_of_time
from timeline.sinks.batches import Batch, Written


class TopicWriter:
    """A `timeline.sinks.batches.Writer`: sends to a topic as the producer of that name.

    Raises:
        ServiceError: the broker is not there, or does not let us in.
    """

    def __init__(self, topic: str, name: str) -> None:
        self._topic = topic
        self._client = connect()
        try:
            self._producer = self._client.create_producer(
                topic,
                producer_name=name,
                # Retried by the activity; a row that was given up must not be behind one that was not.
                send_timeout_millis=30_000,
                batching_enabled=False,
                block_if_queue_full=True,
            )
        except pulsar.PulsarException as error:
            self._client.close()
            raise self._failure(error) from None

    def write(self, batch: Batch) -> Written:
        """Sends a batch, and returns when the broker has all of it.

        Raises:
            ServiceError: the broker is not there, or refuses a row.
        """
        try:
            return self._send(batch)
        except pulsar.PulsarException as error:
            raise self._failure(error) from None

    def close(self) -> None:
        try:
            self._client.close()
        except pulsar.PulsarException as error:
            raise self._failure(error) from None

    def _send(self, batch: Batch) -> Written:
        failed: list[str] = []

        def sent(result: Any, _: Any) -> None:
            if result != pulsar.Result.Ok:
                failed.append(str(result))

        if batch["number"] == 0:
            deduplicate(self._client, self._topic)
        producer, time = self._producer, name_of_time(batch["types"])
        # What the broker remembers of this producer: nothing if it does not deduplicate.
        known = producer.last_sequence_id()
        # From 1 on: the client takes 0 for none, and would give a number of its own.
        for number, row in enumerate(batch["rows"], start=batch["first"] + 1):
            producer.send_async(
                orjson.dumps(row),
                sent,
                partition_key=row.get("key"),
                event_timestamp=row[time],
                sequence_id=number,
            )
            if number <= known:
                # Of many repeats at once, the client sometimes does not see the answers.
                producer.flush()
        producer.flush()
        if failed:
            raise ServiceError(f"{len(failed)} rows to {self._topic} were not taken: {failed[0]}")
        return Written(offset=0, exactly_once=known >= 0 if batch["first"] else None)

    def _failure(self, error: Exception) -> ServiceError:
        return failure(error, f"sending to {self._topic}")

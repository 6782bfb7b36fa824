"""Rows of a sink on their way to a topic, so that a broker that deduplicates has each once.

A producer of a fixed name gives every row its number as the sequence id: what the broker has of it already,
it drops. Rows are not batched: of a batch that has other bounds when it is sent again, the broker would
drop also what it has not had.
"""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import orjson
import pulsar

from producer.connection import connect, failure, full_name, partitions
from timeline.errors import ServiceError
from timeline.sink import Batch, Written

#: How long (s) a broker may take to do what it was told.
PATIENCE = 10.0
#: Without what the environment may say of a proxy.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def write(batch: Batch) -> Written:
    """Sends a batch, and returns when the broker has all of it. Blocks.

    Raises:
        ServiceError: the broker is not there, or refuses a row.
    """
    client = connect()
    try:
        return _send(client, batch)
    except pulsar.PulsarException as error:
        raise failure(error, f"sending to {batch['place']}") from None
    finally:
        client.close()


def _send(client: pulsar.Client, batch: Batch) -> Written:
    failed: list[str] = []

    def sent(result: Any, _: Any) -> None:
        if result != pulsar.Result.Ok:
            failed.append(str(result))

    producer = client.create_producer(
        batch["place"],
        producer_name=batch["name"],
        # Retried by the activity; a row that was given up must not be behind one that was not.
        send_timeout_millis=30_000,
        batching_enabled=False,
        block_if_queue_full=True,
    )
    if batch["number"] == 0:
        deduplicate(client, batch["place"])
    # What the broker remembers of this producer: nothing if it does not deduplicate.
    known = producer.last_sequence_id()
    # From 1 on: the client takes 0 for none, and would give a number of its own.
    for number, row in enumerate(batch["rows"], start=batch["first"] + 1):
        producer.send_async(
            orjson.dumps(row),
            sent,
            partition_key=row.get("key"),
            event_timestamp=row["at"],
            sequence_id=number,
        )
        if number <= known:
            # Of many repeats at once, the client sometimes does not see the answers.
            producer.flush()
    producer.flush()
    producer.close()
    if failed:
        raise ServiceError(f"{len(failed)} rows to {batch['place']} were not taken: {failed[0]}")
    return Written(offset=0, exactly_once=known >= 0 if batch["first"] else None)


def deduplicate(client: pulsar.Client, topic: str) -> None:
    """Switches deduplication of a topic that is there on, by the admin API at ``PULSAR_ADMIN_URL``, and waits
    until the broker does it; nothing without one.

    Raises:
        ServiceError: the API is not there or refuses, or the broker does not do it.
    """
    url = os.environ.get("PULSAR_ADMIN_URL")
    if not url:
        return
    path = f"{url.rstrip('/')}/admin/v2/{full_name(topic).replace('://', '/')}"
    _ask(f"{path}/deduplicationEnabled", b"true")
    count = partitions(client, topic)
    waiting = [f"{path}-partition-{number}" for number in range(count)] or [path]
    deadline = time.monotonic() + PATIENCE
    # The policy is there before it is followed, and what is sent in between would not be remembered.
    while waiting := [one for one in waiting if b'"deduplicationStatus":"Enabled"' not in _stats(one)]:
        if time.monotonic() > deadline:
            raise ServiceError(
                f"the broker was told to deduplicate {topic} and does not within {PATIENCE:g} s; are topic "
                "policies switched on there? If not, unset PULSAR_ADMIN_URL"
            )
        time.sleep(0.05)


def _stats(path: str) -> bytes:
    return _ask(f"{path}/stats").replace(b" ", b"")


def _ask(url: str, body: bytes | None = None) -> bytes:
    headers = {"Content-Type": "application/json"}
    token_file = os.environ.get("PULSAR_TOKEN_FILE")
    token = Path(token_file).read_text() if token_file else os.environ.get("PULSAR_TOKEN", "")
    if token:
        headers["Authorization"] = f"Bearer {token.strip()}"
    try:
        with _DIRECT.open(urllib.request.Request(url, body, headers), timeout=15) as answer:
            said: bytes = answer.read()
            return said
    except urllib.error.HTTPError as error:
        raise ServiceError(
            f"Pulsar's admin API does not switch deduplication on ({error.code} {error.reason}, {url}); do "
            "it by hand and unset PULSAR_ADMIN_URL"
        ) from None
    except (OSError, ValueError) as error:
        raise ServiceError(f"no Pulsar admin API answers at PULSAR_ADMIN_URL: {error}") from None

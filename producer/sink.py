"""Rows of a sink on their way to a topic, so that a broker that deduplicates has each once.

A producer of a fixed name gives every row its number as the sequence id: what the broker has of it already,
it drops. Rows are not batched: of a batch that has other bounds when it is sent again, the broker would
drop also what it has not had.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import orjson
import pulsar

from producer.connection import connect, failure, full_name
from timeline.errors import ServiceError
from timeline.sink import Batch, Written

#: Without what the environment may say of a proxy.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def write(batch: Batch) -> Written:
    """Sends a batch, and returns when the broker has all of it. Blocks.

    Raises:
        ServiceError: the broker is not there, or refuses a row.
    """
    if batch["number"] == 0:
        deduplicate(batch["place"])
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
    # What the broker remembers of this producer: nothing if it does not deduplicate.
    known = producer.last_sequence_id()
    for number, row in enumerate(batch["rows"], start=batch["first"]):
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


def deduplicate(topic: str) -> None:
    """Switches deduplication of a topic on, by the admin API at ``PULSAR_ADMIN_URL``; nothing without one.

    Raises:
        ServiceError: the API is not there or refuses.
    """
    url = os.environ.get("PULSAR_ADMIN_URL")
    if not url:
        return
    path = full_name(topic).replace("://", "/")
    headers = {"Content-Type": "application/json"}
    token_file = os.environ.get("PULSAR_TOKEN_FILE")
    token = Path(token_file).read_text().strip() if token_file else os.environ.get("PULSAR_TOKEN", "")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    for method, what, body, harmless in (
        # A topic that is there is answered with 409; only one that is there has policies.
        ("PUT", "", b"", (409,)),
        ("POST", "/deduplicationEnabled", b"true", ()),
    ):
        request = urllib.request.Request(f"{url}/admin/v2/{path}{what}", body, headers, method=method)
        try:
            _DIRECT.open(request, timeout=15).close()
        except urllib.error.HTTPError as error:
            if error.code not in harmless:
                raise ServiceError(
                    f"deduplication of {topic} cannot be switched on at PULSAR_ADMIN_URL ({error.code} "
                    f"{error.reason}); do it by hand and unset PULSAR_ADMIN_URL"
                ) from None
        except OSError as error:
            raise ServiceError(f"no Pulsar admin API answers at PULSAR_ADMIN_URL: {error}") from None

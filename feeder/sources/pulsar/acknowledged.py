"""What the client does not say of a subscription, and the admin API does: up to where it has acknowledged,
and who takes part."""

from __future__ import annotations

import json
import urllib.error
from typing import Any
from urllib.parse import quote, unquote

from feeder.sources.base import Reader, Reading
from producer.pulsar.admin import Admin
from timeline.errors import ServiceError
from timeline.tables.events import Position
from timeline.values.ticks import parse_time


def acknowledged(topic: str, subscription: str) -> Position | None:
    """The entry up to which a subscription of a topic has acknowledged all, by the admin API at
    ``PULSAR_ADMIN_URL``; ``None`` without one, and where it knows nothing of them. Blocks.

    Raises:
        ServiceError: the API does not answer.
    """
    admin = Admin.from_environment()
    answer = None if admin is None else _ask(admin, topic, "internalStats")
    return None if answer is None else place_in(answer, subscription)


def reading(topic: str, subscription: str) -> Reading | None:
    """Who takes part in a subscription of a topic, by the admin API at ``PULSAR_ADMIN_URL``; ``None`` without
    one, and where it may not be asked. Blocks.

    Raises:
        ServiceError: the API does not answer.
    """
    admin = Admin.from_environment()
    if admin is None or (answer := _ask(admin, topic, "stats")) is None:
        return None
    places = _ask(admin, topic, "internalStats")
    place = None if places is None else place_in(places, subscription)
    # Before the first message there is an entry -1.
    return Reading(tuple(readers_in(answer, subscription)), place if place and place[1] >= 0 else None)


def _ask(admin: Admin, topic: str, what: str) -> bytes | None:
    """Statistics of a topic; none if they may not be asked for, or if it is new."""
    domain, _, rest = topic.partition("://")
    path = "/".join([domain, *(quote(part, safe="") for part in rest.split("/"))])
    try:
        return admin.ask(f"{path}/{what}")
    except urllib.error.HTTPError as error:
        if error.code in (401, 403, 404):
            return None
        raise ServiceError(f"Pulsar's admin API does not answer: {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        raise ServiceError(f"no Pulsar admin API answers at PULSAR_ADMIN_URL: {error}") from None


def place_in(stats: bytes, subscription: str) -> Position | None:
    """What the internal statistics of a topic say of a subscription.

    >>> place_in(b'{"cursors": {"timeline-a": {"markDeletePosition": "12:34"}}}', "timeline-a")
    (12, 34, 0)
    >>> place_in(b"{}", "timeline-a")
    """
    cursor = _of(stats, "cursors", subscription)
    if cursor is None:
        return None
    ledger, _, entry = cursor["markDeletePosition"].partition(":")
    return int(ledger), int(entry), 0


def readers_in(stats: bytes, subscription: str) -> list[Reader]:
    """Who takes part in a subscription, as the statistics of a topic say: first who reads, then by name.

    >>> consumers = '[{"consumerName": "a:1", "connectedSince": "1970-01-01T00:00:05Z"}]'
    >>> about = f'{{"activeConsumerName": "a:1", "consumers": {consumers}}}'
    >>> readers_in(f'{{"subscriptions": {{"timeline-a": {about}}}}}'.encode(), "timeline-a")
    [Reader(name='a:1', since=5000, reads=True)]
    """
    about = _of(stats, "subscriptions", subscription) or {}
    found = [
        Reader(
            one["consumerName"],
            parse_time(one["connectedSince"]),
            one["consumerName"] == about.get("activeConsumerName"),
        )
        for one in about.get("consumers", ())
    ]
    return sorted(found, key=lambda one: (not one.reads, one.name))


def _of(stats: bytes, of: str, subscription: str) -> dict[str, Any] | None:
    found: dict[str, Any] = json.loads(stats).get(of, {})
    return next((about for name, about in found.items() if unquote(name) == subscription), None)

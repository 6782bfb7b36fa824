"""Up to where a subscription has acknowledged: the client does not say, the admin API does."""

from __future__ import annotations

import json
import urllib.error
from urllib.parse import quote, unquote

from producer.pulsar.admin import Admin
from timeline.errors import ServiceError
from timeline.tables.events import Position


def acknowledged(topic: str, subscription: str) -> Position | None:
    """The entry up to which a subscription of a topic has acknowledged all, by the admin API at
    ``PULSAR_ADMIN_URL``; ``None`` without one, and where it knows nothing of them. Blocks.

    Raises:
        ServiceError: the API does not answer.
    """
    admin = Admin.from_environment()
    if admin is None:
        return None
    domain, _, rest = topic.partition("://")
    path = "/".join([domain, *(quote(part, safe="") for part in rest.split("/"))])
    try:
        answer = admin.ask(f"{path}/internalStats")
    except urllib.error.HTTPError as error:
        if error.code in (401, 403, 404):  # it may not be asked, or the topic is new
            return None
        raise ServiceError(f"Pulsar's admin API does not answer: {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        raise ServiceError(f"no Pulsar admin API answers at PULSAR_ADMIN_URL: {error}") from None
    return place_in(answer, subscription)


def place_in(stats: bytes, subscription: str) -> Position | None:
    """What the internal statistics of a topic say of a subscription.

    >>> place_in(b'{"cursors": {"timeline-a": {"markDeletePosition": "12:34"}}}', "timeline-a")
    (12, 34, 0)
    >>> place_in(b"{}", "timeline-a")
    """
    for name, cursor in json.loads(stats).get("cursors", {}).items():
        if unquote(name) == subscription:
            ledger, _, entry = cursor["markDeletePosition"].partition(":")
            return int(ledger), int(entry), 0
    return None

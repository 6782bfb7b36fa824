"""Seeing to it that a broker has each row of a sink once."""

from __future__ import annotations

import urllib.error

import pulsar
import stamina

from producer.pulsar.admin import Admin
from producer.pulsar.topics import full_name, partitions
from timeline.errors import ServiceError

#: How long (s) a broker may take to do what it was told.
PATIENCE = 30.0


def deduplicate(client: pulsar.Client, topic: str) -> None:
    """Switches deduplication of a topic that is there on, by the admin API at ``PULSAR_ADMIN_URL``, and waits
    until the broker does it; nothing without one. Blocks.

    Raises:
        ServiceError: the API is not there or refuses, or the broker does not do it.
    """
    admin = Admin.from_environment()
    if admin is None:
        return
    path = full_name(topic).replace("://", "/")
    _ask(admin, f"{path}/deduplicationEnabled", b"true")
    count = partitions(client, topic)
    waiting = [f"{path}-partition-{number}" for number in range(count)] or [path]
    try:
        for one in waiting:
            _deduplicates(admin, one)
    except _NotYetError:
        raise ServiceError(
            f"the broker was told to deduplicate {topic} and does not within {PATIENCE:g} s; are topic "
            "policies switched on there? If not, unset PULSAR_ADMIN_URL"
        ) from None


class _NotYetError(Exception):
    """The policy is there before it is followed, and what is sent in between would not be remembered."""


@stamina.retry(
    on=_NotYetError, attempts=None, timeout=PATIENCE, wait_initial=0.05, wait_max=0.5, wait_jitter=0.0
)
def _deduplicates(admin: Admin, path: str) -> None:
    if b'"deduplicationStatus":"Enabled"' not in _ask(admin, f"{path}/stats").replace(b" ", b""):
        raise _NotYetError


def _ask(admin: Admin, path: str, body: bytes | None = None) -> bytes:
    try:
        return admin.ask(path, body)
    except urllib.error.HTTPError as error:
        raise ServiceError(
            f"Pulsar's admin API does not switch deduplication on ({error.code} {error.reason}, "
            f"{admin.url}/{path}); do it by hand and unset PULSAR_ADMIN_URL"
        ) from None
    except (OSError, ValueError) as error:
        raise ServiceError(f"no Pulsar admin API answers at PULSAR_ADMIN_URL: {error}") from None

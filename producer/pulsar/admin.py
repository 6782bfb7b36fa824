"""The part of the broker that answers HTTP: settings and figures of a topic."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

import pulsar
import stamina

from producer.pulsar.topics import full_name, partitions
from timeline.errors import ServiceError

#: How long (s) a broker may take to do what it was told.
PATIENCE = 30.0
#: Without what the environment may say of a proxy.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


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
    try:
        for one in waiting:
            _deduplicates(one)
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
def _deduplicates(path: str) -> None:
    if b'"deduplicationStatus":"Enabled"' not in _ask(f"{path}/stats").replace(b" ", b""):
        raise _NotYetError


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

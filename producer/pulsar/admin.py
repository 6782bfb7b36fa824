"""The part of the broker that answers HTTP: settings and figures of topics. Does without Pulsar's client."""

from __future__ import annotations

import ipaddress
import os
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from timeline.errors import ServiceError

#: How long (s) an answer may take.
ANSWER_TIMEOUT = 30.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: urllib would take the token along, to whatever host an answer names."""

    def redirect_request(self, *_: Any) -> None:
        return None


#: Without what the environment may say of a proxy, which knows nothing of this machine's ports.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def is_this_machine(host: str | None) -> bool:
    """Whether nothing that goes to a host leaves this machine.

    >>> is_this_machine("localhost"), is_this_machine("127.8.0.1"), is_this_machine("localhost.example.com")
    (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


class Admin:
    """The admin API at a URL; ``token`` says who asks, if anybody must.

    Raises:
        ServiceError: the token would go over the network in plain text.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        if token is not None and parts.scheme != "https" and not is_this_machine(parts.hostname):
            raise ServiceError(
                f"a token would go to {parts.scheme}://{parts.netloc.rpartition('@')[2]} in plain text; use "
                "https:// in PULSAR_ADMIN_URL"
            )
        self.url = f"{url.rstrip('/')}/admin/v2"
        self._token = token

    @classmethod
    def from_environment(cls) -> Admin | None:
        """That of ``PULSAR_ADMIN_URL``, with the token that `producer.pulsar.connection` uses; ``None`` if it
        is not set."""
        url = os.environ.get("PULSAR_ADMIN_URL")
        if not url:
            return None
        path = os.environ.get("PULSAR_TOKEN_FILE")
        token = Path(path).read_text() if path else os.environ.get("PULSAR_TOKEN", "")
        return cls(url, token.strip() or None)

    def ask(self, path: str, body: bytes | None = None, method: str | None = None) -> bytes:
        """What the API answers; by default to GET, or to POST if there is a body. Blocks.

        Raises:
            OSError: it is not there, refuses or answers that another is to be asked (an
                `urllib.error.HTTPError`).
        """
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(f"{self.url}/{path}", body, headers, method=method)
        with _DIRECT.open(request, timeout=ANSWER_TIMEOUT) as answer:
            said: bytes = answer.read()
        return said

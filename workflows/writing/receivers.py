"""Where sinks may post rows, and how they are signed: a spec says only a URL, the rest is the worker's.

``TIMELINE_WEBHOOKS_FILE`` names a file with lines ``URL SECRET``: rows may go to that URL and those below it,
signed with that secret (``whsec_`` and 24 to 64 bytes in base64). While a receiver changes its secret, a line
has both. Lines that begin with # do not count. ``TIMELINE_WEBHOOKS`` may hold such a line itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from timeline.errors import ServiceError, shortened
from timeline.spec.urls import problem_of
from workflows.disk import secret_lines

PREFIX, LEAST_BYTES, MOST_BYTES = "whsec_", 24, 64
PORTS = {"https": 443, "http": 80}
#: What a server may understand as a step up, or as the end of a folder.
_ODD = ("..", "%2e", "%2f", "%5c")


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who takes rows at a URL and below it, and by which secrets they are signed."""

    url: str
    secrets: tuple[bytes, ...] = field(repr=False)

    def takes(self, url: str) -> bool:
        """Whether a URL is this one, or lies below it.

        >>> hooks = Receiver("https://hooks.example.com/rows", ())
        >>> [hooks.takes(f"https://hooks.example.com{p}") for p in ("/rows", "/rows/a?b=c", "/rowsandmore")]
        [True, True, False]
        >>> hooks.takes("https://hooks.example.com:8443/rows"), hooks.takes("https://example.com/rows")
        (False, False)
        """
        own, other = urlsplit(self.url), urlsplit(url)
        folder = own.path.rstrip("/")
        if place(own) != place(other) or (folder and any(odd in other.path.lower() for odd in _ODD)):
            return False
        return other.path in (own.path, folder) or other.path.startswith(f"{folder}/")

    def signatures(self, number: str, timestamp: int, body: bytes) -> str:
        """What a message of that id and time (s) is signed with, once by each secret."""
        signed = f"{number}.{timestamp}.".encode() + body
        digests = [hmac.digest(secret, signed, hashlib.sha256) for secret in self.secrets]
        return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def place(url: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port."""
    return url.scheme, url.hostname, url.port or PORTS.get(url.scheme)


def receivers() -> list[Receiver]:
    """The receivers that the environment names.

    Raises:
        ServiceError: they cannot be read, or are none; no secret is told.
    """
    file, line = os.environ.get("TIMELINE_WEBHOOKS_FILE"), os.environ.get("TIMELINE_WEBHOOKS")
    if file and line:
        raise ServiceError("set TIMELINE_WEBHOOKS_FILE or TIMELINE_WEBHOOKS, not both")
    if line:
        return read([line], "TIMELINE_WEBHOOKS")
    return read(secret_lines("TIMELINE_WEBHOOKS_FILE", file), file) if file else []


def read(lines: Sequence[str], where: str) -> list[Receiver]:
    """The receivers of lines.

    Raises:
        ServiceError: a line is none.

    >>> [one.url for one in read(["https://example.com/rows whsec_" + "YWJj" * 8], "here")]
    ['https://example.com/rows']
    """
    found = []
    for number, line in enumerate(lines, start=1):
        url, *texts = line.split()
        secrets = [_secret(text) for text in texts]
        known = [secret for secret in secrets if secret is not None]
        if problem_of(url) is not None or not secrets or len(known) < len(secrets):
            raise ServiceError(
                f"{where}, webhook {number}: must be URL SECRET, with an https:// (or http://) URL and a "
                f"secret of {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes in base64, such as "
                f'"{PREFIX}$(openssl rand -base64 32)" makes'
            )
        found.append(Receiver(url, tuple(known)))
    return found


def receiver_of(url: str, among: Sequence[Receiver]) -> Receiver:
    """Who takes rows that go to a URL: of several the nearest.

    Raises:
        ServiceError: nobody does.
    """
    found = [one for one in among if one.takes(url)]
    if not found:
        host = urlsplit(url).netloc
        raise ServiceError(
            f"sinks of this worker may not post to the webhook {shortened(url)}; choose another, or give "
            f"the workers a line for {host} in TIMELINE_WEBHOOKS_FILE"
        )
    return max(found, key=lambda one: len(one.url))


def _secret(text: str) -> bytes | None:
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return secret if text.startswith(PREFIX) and LEAST_BYTES <= len(secret) <= MOST_BYTES else None

"""Which addresses a spec may name: nothing in them is secret, and everybody reads them alike."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MAX_LENGTH = 2_000
# No spaces, quotes, backslashes or fragments, of which readers of URLs make different things.
_PLAIN = re.compile(r"https?://[!$-&(-;=?-\[\]_a-z~]+", re.IGNORECASE)


def problem_of(url: str) -> str | None:
    """Why a text is no URL that can be posted to; ``None`` if it is.

    >>> problem_of("https://hooks.example.com/rows?of=a")
    >>> problem_of("ftp://example.com"), problem_of("https://me:secret@example.com/")
    ('must be https://HOST/... or http://HOST/... in plain letters', 'must not name a user or a password')
    """
    if not _PLAIN.fullmatch(url) or len(url) > MAX_LENGTH:
        return "must be https://HOST/... or http://HOST/... in plain letters"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "must have a host, and a number as its port"
    if "@" in parts.netloc:
        return "must not name a user or a password"
    if not host:
        return "must have a host, and a number as its port"
    return None

"""Who has signed in to the page: what a cookie says of it, and how often somebody may try."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable

#: Seconds that a sign-in lasts.
LASTS = 12 * 3_600
#: Wrong tokens of one address in so many seconds, after which it has to wait; addresses that are remembered.
MOST, WINDOW, KNOWN = 10, 60, 1_000


class Sessions:
    """Sign-ins with a token, as texts for a cookie: when it ends, a name of its own, and a signature over
    both, whose key is made of the token. So nothing is kept, several processes with the token take each
    other's, and with another token all end; but who signs out is remembered here alone, until this process
    ends.

    ``clock`` gives the time in s since the epoch.

    >>> sessions = Sessions("0123456789abcdef")
    >>> cookie = sessions.begin()
    >>> sessions.holds(cookie), Sessions("another token 12").holds(cookie), sessions.holds(None)
    (True, False, False)
    >>> sessions.end(cookie)
    >>> sessions.holds(cookie)
    False
    """

    def __init__(self, token: str, clock: Callable[[], float] = time.time) -> None:
        # Slow on purpose: who finds a cookie is not to find the token by trying.
        self._key = hashlib.scrypt(token.encode(), salt=b"timeline: the page's cookie", n=1 << 14, r=8, p=1)
        self._clock = clock
        self._over: dict[str, int] = {}

    def begin(self) -> str:
        """Somebody has given the token."""
        said = f"{int(self._clock()) + LASTS}.{secrets.token_urlsafe(16)}"
        return f"{said}.{self._signature(said)}"

    def holds(self, cookie: str | None) -> bool:
        """Whether a cookie is of a sign-in that goes on."""
        found = self._read(cookie)
        return found is not None and found[0] not in self._over

    def end(self, cookie: str | None) -> None:
        """Somebody signs out."""
        if (found := self._read(cookie)) is None:
            return
        now = self._clock()
        self._over = {name: until for name, until in self._over.items() if until > now}
        name, until = found
        self._over[name] = until

    def _read(self, cookie: str | None) -> tuple[str, int] | None:
        """The name of a sign-in, and until when it lasts; none if the cookie is not ours, or old."""
        said, _, signature = (cookie or "").rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(said).encode()):
            return None
        until, _, name = said.partition(".")
        return (name, int(until)) if int(until) > self._clock() else None

    def _signature(self, said: str) -> str:
        return hmac.new(self._key, said.encode(), hashlib.sha256).hexdigest()


class Tries:
    """Wrong tokens, by the address that they came from. ``clock`` gives the time in s.

    >>> tries = Tries(clock=lambda: 100.0)
    >>> for _ in range(MOST):
    ...     tries.failed("10.0.0.7")
    >>> tries.wait("10.0.0.7"), tries.wait("10.0.0.8")
    (60, 0)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Seconds until an address may try again."""
        failed = self._failed.get(address)
        if failed is None or len(failed) < MOST:
            return 0
        return max(0, math.ceil(failed[0] + WINDOW - self._clock()))

    def failed(self, address: str) -> None:
        """A token was wrong."""
        self._failed.setdefault(address, deque(maxlen=MOST)).append(self._clock())
        self._failed.move_to_end(address)
        if len(self._failed) > KNOWN:
            self._failed.popitem(last=False)

"""How far the time of a silent topic is: that of its newest event, and what has passed since."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """The time of a stream by the clock (s): the newest event's, and the time since it was published.

    The clocks of feeder and producers may differ: the least time that any message took is taken for none.

    >>> now = 100.0
    >>> pace = Pace(lambda: now)
    >>> pace.heard(5_000, published=99_000)
    >>> now = 130.0
    >>> pace.time()
    35000
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        #: Of the newest event its time, and when it was published (ms).
        self._newest: tuple[int, int] | None = None
        self._delay: int | None = None

    @property
    def known(self) -> bool:
        """Whether any event was heard of."""
        return self._newest is not None

    def heard(self, tick: int, published: int) -> None:
        """An event was received now that may be the newest: its time and when it was published (ms; 0: this
        is not known)."""
        now = self._now()
        published = published or now
        self._delay = min(now - published, now if self._delay is None else self._delay)
        self.found(tick, published)

    def found(self, tick: int, published: int) -> None:
        """The same of an event that came who knows when."""
        if self._newest is None or tick >= self._newest[0]:
            self._newest = tick, published

    def time(self) -> int:
        """How far the time of the stream is now (ms).

        Raises:
            AssertionError: no event was heard of.
        """
        assert self._newest is not None
        tick, published = self._newest
        return tick + max(0, self._now() - published - (self._delay or 0))

    def _now(self) -> int:
        return int(self._clock() * 1_000)

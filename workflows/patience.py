"""Waiting for what passes: a server that restarts, a worker that was killed, a host that goes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from timeline.errors import UnavailableError
from timeline.values.ticks import format_duration
from workflows.backoff import retry

T = TypeVar("T")

#: How long (s) commands wait unless they are told otherwise.
DEFAULT = 300.0
#: What is waited for is said again after so many seconds.
SAY_AGAIN = 30.0
#: Seconds before the second try, and the most before any.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class Patience:
    """How long (s) what may pass is waited for, and who is told (``say``) what that is."""

    def __init__(self, seconds: float = 0.0, say: Callable[[str], None] = lambda _: None) -> None:
        self.seconds = seconds
        self.say = say
        self._told = ""
        self._told_at = 0.0

    async def ask(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What an attempt gives; it is made again, after pauses that grow, as long as it fails by an
        `UnavailableError` and there is time.

        Raises:
            UnavailableError: the last attempt's, once the time is over; and whatever else one raises.
        """

        if not self.seconds:
            return await attempt()

        def passes(error: Exception) -> bool:
            if not isinstance(error, UnavailableError):
                return False
            self._tell(str(error))
            return True

        @retry(
            on=passes,
            attempts=None,
            timeout=self.seconds,
            wait_initial=FIRST_PAUSE,
            wait_max=LONGEST_PAUSE,
            wait_jitter=FIRST_PAUSE,
        )
        async def again() -> T:
            return await attempt()

        try:
            answer = await again()
        except UnavailableError as error:
            most = format_duration(round(self.seconds * 1_000))
            raise UnavailableError(f"{error}\nwaited for {most} (--patience)") from None
        if self._told:
            self._told = ""
            self.say("it answers again")
        return answer

    def _tell(self, text: str) -> None:
        now = time.monotonic()
        if text != self._told or now - self._told_at > SAY_AGAIN:
            self._told, self._told_at = text, now
            most = format_duration(round(self.seconds * 1_000))
            self.say(f"waiting, for {most} at most (--patience): {text}")

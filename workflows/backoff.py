"""Asking again: how all that is not a workflow waits for what has no event to wait for."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stamina import retry

__all__ = ["retry", "until"]

T = TypeVar("T")

#: Seconds before the second try, and the most before any: what we wait for is mostly on this machine.
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5


class _NotYetError(Exception):
    """The probe found nothing."""


async def until(
    probe: Callable[[], Awaitable[T | None]],
    within: float | None = None,
    first: float = FIRST_PAUSE,
    longest: float = LONGEST_PAUSE,
) -> T:
    """What the probe finds; it is asked again, after pauses (s) that grow from the ``first`` to the
    ``longest``, while that is false.

    A probe that runs is never cut off; ``within`` seconds later no other is begun.

    Raises:
        TimeoutError: nothing was found within that many seconds; and whatever the probe raises.

    >>> import asyncio
    >>> answers = iter([None, None, "here"])
    >>> async def probe() -> str | None:
    ...     return next(answers)
    >>> asyncio.run(until(probe))
    'here'
    """

    @retry(
        on=_NotYetError,
        attempts=None,
        timeout=within,
        wait_initial=first,
        wait_max=longest,
        wait_jitter=0.0,
    )
    async def ask() -> T:
        found = await probe()
        if not found:
            raise _NotYetError
        return found

    try:
        return await ask()
    except _NotYetError:
        raise TimeoutError from None


def _worth_a_line(record: logging.LogRecord) -> bool:
    """Whether a retry is somebody else's: that we ask again is no news, and stamina would warn of it."""
    return not str(record.__dict__.get("stamina.callable", "")).startswith(("workflows.", "producer."))


logging.getLogger("stamina").addFilter(_worth_a_line)

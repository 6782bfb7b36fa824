"""Waiting for what only asking can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def eventually(done: Callable[[], Awaitable[bool]], seconds: float = 120) -> None:
    """Asks again and again until the answer is yes; gives up only when something must be wrong."""
    for _ in range(int(seconds / 0.05)):
        if await done():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"did not come about within {seconds:g} s")

"""Memory that a worker has freed goes back to the machine.

By itself glibc keeps most of it: it has a heap for each thread, tables that grow leave holes in all of them,
and what lies between two that are in use is not given back. Of a worker with 100 000 keys that was a third.
With one heap, and what is free in it given back every few seconds, it costs no time that could be measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

#: Seconds between two looks, and of processor time after which it is worth one.
EVERY, WORKED = 5.0, 0.25
#: Of glibc's `mallopt`: at most so many heaps.
_ARENA_MAX = -8


@asynccontextmanager
async def sparing_memory() -> AsyncIterator[None]:
    """Gives back what is freed, as long as it runs; to be entered before there are many threads. Does nothing
    where malloc is not glibc's."""
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_ARENA_MAX, 1)
    task = asyncio.create_task(_give_back(libc))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _give_back(libc: ctypes.CDLL) -> None:
    worked = time.process_time()
    while True:
        await asyncio.sleep(EVERY)
        if (now := time.process_time()) - worked > WORKED:
            worked = now
            await asyncio.to_thread(libc.malloc_trim, 0)


@cache
def _glibc() -> ctypes.CDLL | None:
    with contextlib.suppress(OSError, TypeError):  # TypeError: on Windows there is no library of all
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt"):
            return libc
    return None

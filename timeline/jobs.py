"""Work on several cores, with its results in the order of what it was for.

Threads, not processes: what is worked on is columns, and numpy and pyarrow let go of the interpreter's lock
while they work on one. To hand columns to another process and back takes longer than to compute them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not everywhere
        return os.cpu_count() or 1


def in_order(work: Callable[[T], R], items: Iterable[T], jobs: int) -> Iterator[R]:
    """What ``work`` makes of each item, as `map` gives it, errors included; up to ``jobs`` at a time.

    At most ``jobs`` items are taken before they are asked for.

    >>> list(in_order(abs, [-3, 2, -1], 2))
    [3, 2, 1]
    """
    if jobs < 2:
        yield from map(work, items)
        return
    # Imported here because most commands never get so far.
    from concurrent.futures import Future, ThreadPoolExecutor

    waiting: deque[Future[R]] = deque()
    end: dict[str, Any] = {}

    def taken() -> Iterator[T]:
        """The items; an error among them is kept, because the results before it come first."""
        try:
            yield from items
        except Exception as error:
            end["error"] = error

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for item in taken():
                waiting.append(pool.submit(work, item))
                if len(waiting) > jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
    if end:
        raise end["error"]

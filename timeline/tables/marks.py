"""Marks: places in a stream where nothing happens but that its time goes on.

A mark lies right behind a message (or line), before the next one, and its own place says how far the stream's
time is: `(ledger, entry, index, MARK, time)`. So whoever knows where a node stands knows it too.
"""

from __future__ import annotations

from timeline.tables.events import Position

#: What sets a mark's time apart from the integers of the place that it lies behind, none of which two from
#: the end of a position is negative.
MARK = -1


def marked(position: Position, time: int) -> Position:
    """The place right behind a position at which the stream's time is ``time`` (ms).

    >>> marked((7, 3), 5_000)
    (7, 3, -1, 5000)
    >>> (7, 3) < marked((7, 3), 5_000) < marked(marked((7, 3), 5_000), 6_000) < (7, 4)
    True
    """
    return (*place_of(position), MARK, time)


def mark_of(position: Position | None) -> int | None:
    """The time (ms) of the mark at a position; ``None``: there is none.

    >>> mark_of((7, 3, -1, 5_000)), mark_of((7, 3, -1))
    (5000, None)
    """
    return position[-1] if position is not None and len(position) > 2 and position[-2] == MARK else None


def place_of(position: Position) -> Position:
    """Where the message lies that is at a position, or right before the mark that is.

    >>> place_of((7, 3, -1, 5_000)), place_of((7, 3))
    ((7, 3), (7, 3))
    """
    return position if mark_of(position) is None else position[:-2]

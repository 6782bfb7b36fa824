"""Keys for which an operator raises: they are set apart, and the others go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from timeline.tables.events import Events, Position, concat
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64

#: How often a step that raises is tried on fewer keys; then all that are left are set apart.
MAX_ATTEMPTS = 200

_Made = TypeVar("_Made")


@dataclass(slots=True)
class Quarantine:
    """Why a key has no function from ``position`` on, and what is needed to give it one again.

    ``own``: this node's operator raised; else a child of it has none. ``since`` (ms): from there on
    nothing was computed; ``None`` once retention has passed and it cannot be any more. ``anew``: there
    is nothing before. ``events``: those of the key that a leaf has not read.
    """

    error: str
    position: Position
    own: bool
    since: int | None = MAX_TICK + 1
    anew: bool = False
    events: Events | None = None

    def told(self, operator: str) -> str:
        """The reason as others are told: with the operator that raised, if it is this node's."""
        return f"{self.error} (in {operator})" if self.own else self.error

    def missed(self, tick: int, anew: bool) -> None:
        """Takes note of a window that was not computed."""
        self.anew |= anew
        if self.since is not None:
            self.since = min(self.since, tick)

    def hold(self, events: Events) -> None:
        """Keeps events for later."""
        if self.since is not None and len(events):
            self.since = min(self.since, int(events.tick.min()))
            more = events.compact()
            self.events = more if self.events is None else concat([self.events, more])


def isolate(
    step: Callable[[I64], _Made], items: I64, set_apart: Callable[[I64, Exception], None]
) -> list[_Made]:
    """What ``step`` makes of ``items``, in as few calls as work: where it raises, of halves of them.

    ``set_apart`` gets the items that it raises for one by one, or after `MAX_ATTEMPTS` all together.

    >>> import numpy as np
    >>> apart = []
    >>> made = isolate(
    ...     lambda x: (1 // np.prod(x - 3), x.tolist())[1],
    ...     np.arange(5), lambda x, error: apart.extend(x.tolist()))
    >>> made, apart
    ([[0, 1], [2], [4]], [3])
    """
    made: list[_Made] = []
    waiting = [items]
    attempts = 0
    while waiting:
        part = waiting.pop()
        attempts += 1
        try:
            made.append(step(part))
        except Exception as error:
            if len(part) == 1 or attempts > MAX_ATTEMPTS:
                set_apart(part, error)
            elif len(part):
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
    return made

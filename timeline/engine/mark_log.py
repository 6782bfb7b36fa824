"""The marks of a stream that whoever reads it again has to be given too."""

from __future__ import annotations

from collections.abc import Iterable

from timeline.tables.events import Position
from timeline.tables.marks import mark_of, place_of
from timeline.values.vocabulary import I64

#: Of more a leaf keeps the last: a leaf that begins so far back may take an event that others refused.
MAX_MARKS = 10_000


class MarkLog:
    """The marks after which an event would have been judged otherwise without them, and the last one.

    A mark that no old event followed before the stream's time went on without it made no difference.

    >>> import numpy as np
    >>> log = MarkLog()
    >>> log.reach((1, -1, 50))
    >>> log.look(np.array([60]), np.array([50]), 5)
    >>> log.reach((2, -1, 90))
    >>> log.look(np.array([70]), np.array([90]), 5)
    >>> log.reach((3, -1, 99))
    >>> log.places
    [(2, -1, 90), (3, -1, 99)]
    """

    def __init__(self, places: Iterable[Position] = (), needed: bool = False) -> None:
        self.places = list(places)
        #: Whether the last one has made a difference.
        self.needed = needed

    def reach(self, position: Position) -> None:
        """Takes note of where the leaf stands now, if that is a mark."""
        if mark_of(position) is None:
            return
        same = bool(self.places) and place_of(self.places[-1]) == place_of(position)
        if self.places and (same or not self.needed):
            self.places.pop()
        self.places.append(position)
        self.needed = False
        del self.places[:-MAX_MARKS]

    def look(self, tick: I64, stream: I64, lateness: int) -> None:
        """Takes note of events (ms); ``stream`` is the stream's time before each."""
        if self.places and not self.needed:
            by_mark = stream == mark_of(self.places[-1])
            self.needed = bool((by_mark & (tick < stream - lateness)).any())

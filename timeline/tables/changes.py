"""What of a table was changed since it was last written somewhere: as little as must be written again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from timeline.tables.packing import earliest
from timeline.values.vocabulary import I64

_NONE = np.empty(0, np.int64)
#: So many notes are put together, or when they hold so many numbers and twice what was left the last time.
MANY_NOTES, MANY_NUMBERS = 1_024, 1 << 12


@dataclass(slots=True)
class Extent:
    """A part of a table: ``whole``, or of some keys the rows from a place on (``window``, packed, sorted,
    one a key). ``headless`` are the codes of the keys of which first rows were dropped, sorted.

    >>> from timeline.tables.packing import packed
    >>> part = Extent(window=packed(np.array([0, 2]), np.array([7, 1])))
    >>> other = Extent(window=packed(np.array([2, 3]), np.array([5, 5])), headless=np.array([1]))
    >>> both = part.joined(other)
    >>> both.window.tolist() == packed(np.array([0, 2, 3]), np.array([7, 1, 5])).tolist()
    True
    >>> both.headless.tolist()
    [1]
    """

    whole: bool = False
    window: I64 = field(default_factory=_NONE.copy)
    headless: I64 = field(default_factory=_NONE.copy)

    def joined(self, other: Extent) -> Extent:
        """What is in either."""
        if self.whole or other.whole:
            return Extent(whole=True)
        window = earliest([self.window, other.window])
        return Extent(False, window, np.union1d(self.headless, other.headless))


class Notes:
    """Columns that are noted as they come, and given as one: ``together`` puts some together, sorted."""

    def __init__(self, together: Callable[[Sequence[I64]], I64]) -> None:
        self._together = together
        self._parts: list[I64] = []
        self._numbers = 0
        self._left = 0

    def add(self, column: I64) -> None:
        if len(column):
            self._parts.append(column)
            self._numbers += len(column)
            if len(self._parts) >= MANY_NOTES or self._numbers >= MANY_NUMBERS + 2 * self._left:
                self.all()

    def all(self) -> I64:
        """All that was noted."""
        every = self._together(self._parts) if self._parts else _NONE
        self._parts, self._numbers, self._left = [every], len(every), len(every)
        return every

    def clear(self) -> None:
        self._parts, self._numbers, self._left = [], 0, 0


def distinct_of(columns: Sequence[I64]) -> I64:
    """Each number once, sorted."""
    return np.unique(np.concatenate(columns))


class Changes:
    """Notes what happens to a `timeline.tables.history.History`; at first, that all of it is new."""

    def __init__(self) -> None:
        self._whole = True
        self._window = Notes(earliest)
        self._headless = Notes(distinct_of)

    def all(self) -> None:
        """All rows are others now."""
        self.forget()
        self._whole = True

    def behind(self, places: I64) -> None:
        """The rows of some keys are others from places on, one a key."""
        if not self._whole:
            self._window.add(places)

    def dropped(self, keys: I64) -> None:
        """First rows of keys are gone."""
        if not self._whole:
            self._headless.add(keys)

    def extent(self) -> Extent:
        """All that was noted."""
        if self._whole:
            return Extent(whole=True)
        return Extent(False, self._window.all(), self._headless.all())

    def forget(self) -> None:
        """Begins anew: all that there is now is written."""
        self._whole = False
        self._window.clear()
        self._headless.clear()

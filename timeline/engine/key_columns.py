"""What a node knows of each key as numbers: columns by key code that grow and are renumbered together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from timeline.tables.changes import Notes
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64

#: The origin of a key of which nothing is known.
NEVER = MAX_TICK + 1


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A number by key code: what it is for a key that nothing is known of (``fill``), and whether it is
    ``born`` anew with the key. Of a ``sparse`` one few keys have another, and only those are carried."""

    fill: int
    born: bool = True
    sparse: bool = False
    carried: bool = True


#: Of a leaf whose keys have lives: the time (ms) of the first event, also where there is no function.
FIRST = KeyColumn(NEVER)
#: The columns of every node; one more is one more line.
COLUMNS = {
    #: The time (ms) of the key's first event.
    "origin": KeyColumn(NEVER),
    #: The time (ms) of its newest event; -1: there was none.
    "newest": KeyColumn(-1, born=False),
    #: Where its function begins (ms), if that is later than its origin because the node was started over
    #: others that had forgotten what came before; else 0.
    "known_from": KeyColumn(0, sparse=True),
    #: Likewise where operators with memory began, here or below.
    "counted_from": KeyColumn(0, sparse=True),
}


class KeyColumns:
    """Columns of int64 by key code that grow and are renumbered together.

    >>> columns = KeyColumns()
    >>> columns.grow(2)
    >>> columns.newest[1] = 7
    >>> columns.renumber(np.array([1]))
    >>> columns.newest.tolist(), columns["known_from"].tolist()
    ([7], [0])
    """

    origin: I64
    newest: I64
    known_from: I64
    counted_from: I64

    def __init__(self, more: Mapping[str, KeyColumn] | None = None) -> None:
        self.kinds: Mapping[str, KeyColumn] = {**COLUMNS, **(more or {})}
        #: The codes of keys of which something was set, if somebody wants to know.
        self.changes: Notes | None = None
        #: Each column with room behind it that holds its fill, so that keys may come one by one. Sparse ones
        #: that nobody has written to are not here: they are one number, and cannot be written to.
        self._roomy: dict[str, I64] = {}
        for name, kind in self.kinds.items():
            if kind.sparse:
                setattr(self, name, _all_alike(kind, 0))
            else:
                self[name] = np.empty(0, np.int64)

    def __getitem__(self, name: str) -> I64:
        column: I64 = getattr(self, name)
        return column

    def __setitem__(self, name: str, column: I64) -> None:
        self._roomy[name] = column
        setattr(self, name, column)

    def __len__(self) -> int:
        return len(self.newest)

    def own(self, name: str) -> I64:
        """A column, to be written to."""
        if name not in self._roomy:
            self[name] = self[name].copy()
        return self[name]

    def grow(self, count: int) -> None:
        """To at least ``count`` keys."""
        for name, kind in self.kinds.items():
            column = self[name]
            if count <= len(column):
                continue
            if name not in self._roomy:
                setattr(self, name, _all_alike(kind, count))
                continue
            roomy = self._roomy[name]
            if count > len(roomy):
                roomy = np.full(max(count, len(roomy) * 3 // 2), kind.fill, np.int64)
                roomy[: len(column)] = column
                self._roomy[name] = roomy
            setattr(self, name, roomy[:count])

    def touch(self, codes: I64) -> None:
        """Notes that something of keys was set, or will be in this step."""
        if self.changes is not None:
            self.changes.add(codes)

    def renumber(self, kept: I64) -> None:
        """Only the keys of these codes stay, in their order."""
        for name, kind in self.kinds.items():
            if name in self._roomy:
                self[name] = self[name][kept]
            else:
                setattr(self, name, _all_alike(kind, len(kept)))

    def bear(self, codes: I64) -> None:
        """Puts keys back to what they are before their first event."""
        self.touch(codes)
        for name, kind in self.kinds.items():
            if kind.born and name in self._roomy:
                self[name][codes] = kind.fill


def _all_alike(kind: KeyColumn, count: int) -> I64:
    return np.broadcast_to(np.int64(kind.fill), count)

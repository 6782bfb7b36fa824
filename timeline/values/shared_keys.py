"""Names of keys that the nodes of a process have in common, kept once.

All nodes on a stream hear of the same keys in the same order. So each of them knows the first so many of one
list, and one dictionary gives the codes of all; one whose keys come in another order gets a list of its own.
What a node's codes are does not depend on who shares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from threading import Lock
from weakref import WeakValueDictionary

import numpy as np

from timeline.values.vocabulary import I64, Keys


class _Names:
    """Names and their codes; they only grow."""

    __slots__ = ("__weakref__", "codes", "names")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = list(names)
        self.codes = {name: code for code, name in enumerate(self.names)}

    def go_on(self, count: int, new: list[str]) -> bool:
        """Whether these names come behind the first ``count``; if they may, they do from now on."""
        with _LOCK:  # workflows run in several threads
            there = self.names[count : count + len(new)]
            if there != new[: len(there)]:
                return False
            rest = new[len(there) :]
            self.codes.update(zip(rest, range(len(self.names), len(self.names) + len(rest)), strict=True))
            self.names += rest
            return True


_LOCK = Lock()
#: By the first name, as long as a node has them.
_KNOWN: WeakValueDictionary[str, _Names] = WeakValueDictionary()


class SharedKeys(Keys):
    """`Keys` that keep their names where others of this process have the same.

    >>> a, b = SharedKeys(), SharedKeys()
    >>> a.encode(["x", "y", "z"]).tolist(), b.encode(["x"]).tolist(), len(b), b.find("y")
    ([0, 1, 2], [0], 1, None)
    >>> b.encode(["z", "x"]).tolist(), a.find("z"), b.names
    ([1, 0], 2, ['x', 'z'])
    """

    __slots__ = ("_count", "_shared")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._shared = _Names()
        self._count = 0
        self.encode(list(names))

    def __len__(self) -> int:
        return self._count

    @property
    def names(self) -> list[str]:
        # A copy always: in another thread the list may grow at any moment.
        return self._shared.names[: self._count]

    def name(self, code: int) -> str:
        return self._shared.names[code]

    def since(self, first: int) -> list[str]:
        return self._shared.names[first : self._count]

    def find(self, name: str) -> int | None:
        code = self._shared.codes.get(name)
        return None if code is None or code >= self._count else code

    def encode(self, names: Sequence[str]) -> I64:
        if not self._count and names:
            with _LOCK:
                self._shared = _KNOWN.setdefault(names[0], _Names())
        codes = np.fromiter(map(self._shared.codes.get, names, repeat(-1)), np.int64, len(names))
        unknown = np.flatnonzero((codes < 0) | (codes >= self._count))
        if len(unknown):
            missing = [names[i] for i in unknown.tolist()]
            self._go_on(list(dict.fromkeys(missing)))
            known = self._shared.codes
            codes[unknown] = [known[name] for name in missing]
        return codes

    def _go_on(self, new: list[str]) -> None:
        if not self._shared.go_on(self._count, new):
            self._shared = _Names(self._shared.names[: self._count])
            self._shared.go_on(self._count, new)
            if not self._count:
                # Whoever begins anew in this order will find those.
                with _LOCK:
                    _KNOWN[new[0]] = self._shared
        self._count += len(new)

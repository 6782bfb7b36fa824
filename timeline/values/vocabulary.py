"""Dictionaries that turn names into small integers, so that tables hold nothing but integers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from timeline.values.scalars import Carried, Scalar, canonical, identity

I64: TypeAlias = NDArray[np.int64]
#: The code of ``null`` in every vocabulary.
NULL_CODE = 0


def distinct(codes: I64, count: int) -> tuple[I64, I64]:
    """Which of ``count`` codes occur, in order, and of each of ``codes`` the place among those.

    >>> used, place = distinct(np.array([7, 2, 7]), 9)
    >>> used.tolist(), place.tolist()
    ([2, 7], [1, 0, 1])
    """
    if count > 4 * len(codes) + (1 << 16):
        used, place = np.unique(codes, return_inverse=True)
        return used, place
    occurs = np.zeros(count, bool)
    occurs[codes] = True
    used = np.flatnonzero(occurs)
    rank = np.empty(count, np.int64)
    rank[used] = np.arange(len(used))
    return used, rank[codes]


class Vocabulary:
    """The distinct values of a State, in order of first appearance; code 0 is always ``null``.

    Grows only, so a table made earlier stays valid. ``values[code]`` is the value of a code.

    >>> v = Vocabulary()
    >>> v.encode(["play", None, "buffer", "play"]).tolist(), v.values
    ([1, 0, 2, 1], [None, 'play', 'buffer'])
    """

    __slots__ = ("_codes", "values")

    def __init__(self, values: Iterable[Scalar] = ()) -> None:
        self.values: list[Scalar] = [None]
        self._codes: dict[Scalar | tuple[bool, Scalar], int] = {identity(None): NULL_CODE}
        self.encode(list(values))

    def __len__(self) -> int:
        return len(self.values)

    def encode(self, values: Sequence[Carried]) -> I64:
        """Codes of ``values``, with new ones added. Decimals are for columns of events, not for States."""
        known, kept = self._codes, self.values
        codes = []
        for value in cast(Sequence[Scalar], values):
            # Strings are by far the most, and are what they are.
            place: Scalar | tuple[bool, Scalar] = value
            if type(value) is not str:
                value = canonical(value)
                place = identity(value)
            code = known.setdefault(place, len(kept))
            if code == len(kept):
                kept.append(value)
            codes.append(code)
        return np.array(codes, np.int64)


class Keys:
    """The names of keys, in order of first appearance.

    >>> k = Keys()
    >>> k.encode(["a", "b", "a"]).tolist(), k.find("b"), k.find("z")
    ([0, 1, 0], 1, None)
    """

    __slots__ = ("_codes", "_names")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: list[str] = list(names)
        self._codes: dict[str, int] = {name: code for code, name in enumerate(self._names)}

    def __len__(self) -> int:
        return len(self._names)

    @property
    def names(self) -> list[str]:
        """All names."""
        return self._names

    def name(self, code: int) -> str:
        """The name of a code."""
        return self._names[code]

    def since(self, first: int) -> list[str]:
        """The names from a code on."""
        return self._names[first:]

    def find(self, name: str) -> int | None:
        """The code of a name; ``None`` if it was never seen."""
        return self._codes.get(name)

    def encode(self, names: Sequence[str]) -> I64:
        """Codes of ``names``, with new ones added."""
        known = self._codes
        codes = np.fromiter(map(known.get, names, repeat(-1)), np.int64, len(names))  # mostly all are known
        unknown = np.flatnonzero(codes < 0)
        if len(unknown):
            missing = [names[i] for i in unknown.tolist()]
            new = list(dict.fromkeys(missing))
            known.update(zip(new, range(len(known), len(known) + len(new)), strict=True))
            self._names += new
            codes[unknown] = [known[name] for name in missing]
        return codes

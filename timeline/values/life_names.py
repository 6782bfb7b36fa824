"""Names of lives: a key, and the time of the event that founded it.

With ``key_ttl`` a key has lives, and every life is a key of its own inside. Its name must be the same
wherever and however its events were read, and is never shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from timeline.values.shared_keys import SharedKeys
from timeline.values.vocabulary import I64

_AT = "@"


def life_name(key: str, founded: int) -> str:
    """The name of the life of a key that was founded by an event at that time (ms).

    >>> key_named(life_name("a@b", 7))
    'a@b'
    """
    return f"{key}{_AT}{founded}"


def key_named(life: str) -> str:
    """The key that a life is of."""
    return life.rpartition(_AT)[0]


def is_life(name: str) -> bool:
    """Whether a name may be that of a life.

    >>> is_life("a@1"), is_life("a")
    (True, False)
    """
    return name.rpartition(_AT)[2].isdecimal() and _AT in name


class LifeKeys(SharedKeys):
    """Lives by code, and the lives of each key.

    >>> keys = LifeKeys()
    >>> keys.encode([life_name("a", 1), life_name("b", 2), life_name("a", 9)]).tolist()
    [0, 1, 2]
    >>> keys.lives_of("a"), keys.lives_of("c")
    ([0, 2], [])
    """

    __slots__ = ("_of",)

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._of: dict[str, list[int]] = {}
        super().__init__(names)

    def encode(self, names: Sequence[str]) -> I64:
        before = len(self)
        codes = super().encode(names)
        self._note(before)
        return codes

    def lives_of(self, key: str) -> Sequence[int]:
        """The codes of the lives of a key, in order of appearance."""
        return self._of.get(key, [])

    def _note(self, first: int) -> None:
        for code, name in enumerate(self.since(first), first):
            self._of.setdefault(key_named(name), []).append(code)

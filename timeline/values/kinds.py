"""Kinds: what an expression stands for, and what the value column of a table holds."""

from __future__ import annotations

import enum


class Kind(enum.Enum):
    """What an expression stands for; the values are the words that a user sees."""

    STATE = "State"
    BOOL = "Bool"
    NUMERIC = "Numeric"
    RATIO = "Ratio"
    PREDICATE = "predicate over events"
    COLUMN = "column of an event"
    CONSTANT = "constant"
    OUTPUTS = "set of outputs"

    @property
    def wire(self) -> str:
        """The word of patches and states, for the kinds of `TIMELINES`.

        >>> Kind.NUMERIC.wire, Kind.of_wire("numeric")
        ('numeric', <Kind.NUMERIC: 'Numeric'>)
        """
        return self.value.lower()

    @classmethod
    def of_wire(cls, word: str) -> Kind:
        """The inverse of `wire`."""
        return cls(word.capitalize())


#: The kinds that have a value at every tick, and so can be a whole expression or a table.
TIMELINES = (Kind.STATE, Kind.BOOL, Kind.NUMERIC, Kind.RATIO)

"""What the readers of all formats share: what is asked of them, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from timeline.errors import EventError
from timeline.tables.events import Events
from timeline.values.vocabulary import I64

#: The unit of times that are numbers; RFC 3339 strings are recognised whatever it is.
TimeUnit = Literal["ms", "s", "us", "ns"]
Mask: TypeAlias = NDArray[np.bool_]

#: Longer ones are rejected: a key and a value are kept for as long as the state of their key.
MAX_KEY_CHARS = 1_024
MAX_VALUE_CHARS = 65_536

# Why an event is rejected, as an index into REASONS. A tick below 0 is one of these, negated.
NO_KEY, BAD_KEY, LONG_KEY, NO_TIME, BAD_TIME, OUT_OF_RANGE, AHEAD, NAIVE = range(1, 9)
REASONS = (
    "",
    "no key",
    "key is not text or a whole number",
    f"key is longer than {MAX_KEY_CHARS} characters",
    "no time",
    "not a time",
    "time out of range",
    "time is further ahead of the clock than max_ahead permits",
    "a time without a zone: end it with Z or +hh:mm, or say which (--timezone, or timezone in [source])",
)
TEXT_LIMIT = 200

# What a column may not hold, as a reason says it.
NESTED, NOT_FINITE, NOT_UTF8 = "a nested value", "NaN or an infinity", "text that is not UTF-8"
NO_SCALAR = "a time outside the years 1 to 9999"
#: By what an event may not carry, which events carry it.
Unfit: TypeAlias = dict[str, Mask]


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that could not be read: its line (1-based), why, and its first 200 characters.

    >>> str(Rejected("a.jsonl", 3, "not JSON", "{oops"))
    'a.jsonl:3: not JSON: {oops'
    """

    path: str
    line: int
    reason: str
    text: str

    @property
    def ahead(self) -> bool:
        """Whether it could be read, and only its time is too far in the future."""
        return self.reason == REASONS[AHEAD]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}: {self.text}"


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive events of a file, and what lay between them that could not be read.

    ``events.position`` is (n, 1): the 1-based line that an event begins on (a CSV header is line
    1), or the row of a Parquet file. ``last`` is the last line or row that the block covers, be it
    blank or rejected: reading on with ``after=last`` gives exactly what follows.
    """

    events: Events
    rejected: list[Rejected]
    last: int


#: What was read of consecutive records.
Part: TypeAlias = tuple[Events, list[Rejected]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read from which file; what is later than ``latest`` (ms) is `AHEAD`. Times that say no zone are
    of ``zone``: without it text is `NAIVE`, and a timestamp in UTC."""

    path: str
    key: str
    time: str
    columns: tuple[str, ...]
    unit: TimeUnit
    latest: int | None = None
    zone: str | None = None

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys((self.key, self.time, *self.columns)))

    def require(self, have: Sequence[str]) -> None:
        """Raises EventError unless the key and the time are among the columns ``have``."""
        for role, name in (("key", self.key), ("time", self.time)):
            if name not in have:
                raise EventError(
                    f"no column {name!r} in {self.path}; its columns are {', '.join(have)}; "
                    f"name the {role} column with --{role}-column"
                )


class Records(Protocol):
    """Where events come from: the line of each, and how it reads there."""

    @property
    def lines(self) -> I64: ...

    def text(self, i: int) -> str: ...


def reject(wanted: Wanted, records: Records, i: int, reason: str) -> Rejected:
    """Record i, rejected."""
    return Rejected(wanted.path, int(records.lines[i]), reason, records.text(i)[:TEXT_LIMIT])

"""All keys of some functions at once: what a question over all keys is answered from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from timeline.limits import Limits
from timeline.tables.events import Position
from timeline.tables.table import Table
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import I64


@dataclass(frozen=True, slots=True)
class Columns:
    """All keys of a node at once: ``codes`` are those that can be asked for, ``origin`` and ``newest``
    (ms) are by code, as are ``names``; ``tables`` are the outputs by name.

    ``known_from`` and ``counted_from`` (ms, by code): from where on a function is exact, or was counted by
    operators with memory, where that is later than the key's origin; else 0.

    ``initials`` are the outputs' values before a key's origin.

    ``stream_time`` (ms): the newest event of all, or a later mark.

    Of keys that have lives a code is a life, and several have one name; ``latest`` are the newest lives of
    each, and all codes where keys have no lives."""

    position: Position | None
    names: Sequence[str]
    codes: I64
    latest: I64
    origin: I64
    newest: I64
    known_from: I64
    counted_from: I64
    stream_time: int
    limits: Limits
    quarantined: Collection[int]
    tables: dict[str, Table]
    initials: Mapping[str, Scalar]

"""What a sink is given to write, and what it says of it."""

from __future__ import annotations

from typing import Any, TypedDict


class Batch(TypedDict):
    """Rows on their way: ``number`` counts batches and ``first`` rows, both from 0; ``offset`` is where the
    file ends before it (bytes), ``name`` the file or producer, of this life of the sink alone; ``types``
    are those of the columns, as `timeline.sinks.emission.Emission.types` says them."""

    kind: str
    place: str
    name: str
    number: int
    first: int
    offset: int
    types: dict[str, str]
    rows: list[dict[str, Any]]


class Written(TypedDict):
    """What became of a batch: where its file ends now (bytes; 0 if there is none), and whether a repeat
    of it would change nothing (``None``: not known yet)."""

    offset: int
    exactly_once: bool | None

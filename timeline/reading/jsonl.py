"""JSON Lines: by pyarrow what is long, by orjson what is short and what pyarrow is not sure of."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import orjson

from timeline.jobs import in_order
from timeline.reading.jsonl_exact import read_exactly
from timeline.reading.judging import block_of
from timeline.reading.model import Block, Wanted
from timeline.reading.records import Piece, pieces, read_piece
from timeline.values.vocabulary import I64

if TYPE_CHECKING:
    from timeline.reading.jsonl_fast import Fast

#: Of shorter pieces pyarrow takes longer to import than orjson to read them.
SHORT_BYTES = 1 << 16


def read_jsonl(wanted: Wanted, after: int, block_bytes: int, jobs: int) -> Iterator[Block]:
    """The blocks of a file of JSON Lines (see `timeline.reading.read_events`)."""

    @cache
    def fast() -> Fast:
        from timeline.reading.jsonl_fast import Fast

        return Fast(wanted)

    def read(piece: Piece) -> tuple[Piece, Block]:
        if len(piece.data) <= SHORT_BYTES:
            parts = [read_exactly(wanted, piece)] if len(piece) else []
        else:
            parts = read_piece(piece, fast().read, lambda piece: read_exactly(wanted, piece))
        return piece, block_of(wanted, parts, piece.last)

    # Reading on from a line says nothing about the columns of the file: the rest may be one line.
    checked = after > 0
    for piece, block in in_order(read, pieces(wanted.path, _at_newlines, after, block_bytes), jobs):
        if not checked:
            checked = len(block.events) > 0 or _check(wanted, piece)
        yield block


def _at_newlines(data: bytes, newlines: I64, at_end: bool) -> tuple[I64, bool]:
    return newlines, True


def _check(wanted: Wanted, piece: Piece) -> bool:
    """Raises EventError if no object carries the key or the time; False if there is none."""
    have: dict[str, None] = {}
    objects = False
    for record in piece.records():
        try:
            row = orjson.loads(record)
        except orjson.JSONDecodeError:
            continue
        if isinstance(row, dict):
            objects = True
            have.update(dict.fromkeys(row))
    if objects:
        wanted.require(list(have))
    return objects

"""Text files as records: cut where lines end, numbered, and handed to readers in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from timeline.reading.files import open_file, read_lines
from timeline.reading.model import Part
from timeline.values.vocabulary import I64

#: A piece that the fast reader refuses is halved until it is this small, and then read exactly.
LEAF_BYTES = 1 << 18
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole records of a text file, blank ones left out.

    Record i is ``data[starts[i]:ends[i]]``, begins on line ``lines[i]`` and ends before a newline.
    ``last`` is the last line that the piece covers. ``regular``: every quote in it opens, closes or
    doubles as CSV wants it.
    """

    data: bytes
    starts: I64
    ends: I64
    lines: I64
    last: int
    regular: bool = True

    def __len__(self) -> int:
        return len(self.starts)

    def record(self, i: int) -> bytes:
        return self.data[self.starts[i] : self.ends[i]]

    def records(self) -> Iterator[bytes]:
        for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True):
            yield self.data[start:end]

    def text(self, i: int) -> str:
        return self.record(i).decode("utf-8", "replace").rstrip("\r")

    def part(self, first: int = 0, stop: int | None = None) -> Piece:
        """Records ``first`` to ``stop``, and no bytes before or behind them."""
        starts, ends = self.starts[first:stop], self.ends[first:stop]
        begin, end = (int(starts[0]), int(ends[-1]) + 1) if len(starts) else (0, 0)
        # Bytes are copied only where some are left out.
        data = self.data if (begin, end) == (0, len(self.data)) else self.data[begin:end]
        return Piece(
            data,
            starts - begin,
            ends - begin,
            self.lines[first:stop],
            self.last,
            self.regular,
        )

    def only(self, rows: list[int]) -> Piece:
        """Some of the records, in the same bytes."""
        at = np.array(rows, np.int64)
        starts, ends, lines = self.starts[at], self.ends[at], self.lines[at]
        return Piece(self.data, starts, ends, lines, self.last, self.regular)


#: Finds where records end, given the data, its newlines and whether it is the end of the file; also
#: says whether quotes are regular.
Cut: TypeAlias = Callable[[bytes, I64, bool], tuple[I64, bool]]


def pieces(name: str, cut: Cut, after: int, block_bytes: int) -> Iterator[Piece]:
    """The records of a text file behind line ``after``, in pieces of about ``block_bytes``."""
    last = 0
    with open_file(name) as stream:
        data, at_start, at_end = b"", True, False
        while not at_end:
            # A record longer than a block doubles what is read, so that it is copied few times; else whole
            # lines are read, and nothing is left over that would be copied.
            chunk = read_lines(stream, max(block_bytes, len(data)), name)
            if at_start:
                chunk, at_start = chunk.removeprefix(BYTE_ORDER_MARK), False
            data, at_end = data + chunk, not chunk
            del chunk
            if at_end and not data.endswith(b"\n"):
                whole, newline, rest = data.rpartition(b"\n")
                # A blank rest behind the last newline is no line.
                data = data + b"\n" if rest.strip() else whole + newline
            newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
            ends, regular = cut(data, newlines, at_end)
            if len(ends):
                whole, data = data[: int(ends[-1]) + 1], data[int(ends[-1]) + 1 :]
                piece = _piece_of(whole, newlines, ends, regular, last, after)
                last = piece.last
                if last > after:
                    yield piece


def _piece_of(data: bytes, newlines: I64, ends: I64, regular: bool, before: int, after: int) -> Piece:
    """The records of data that follows on line ``before``, as far as they lie behind ``after``."""
    starts = np.concatenate([[0], ends[:-1] + 1])
    if ends is newlines:
        lines, last = np.arange(before + 1, before + 1 + len(ends)), before + len(ends)
    else:
        lines = before + 1 + np.searchsorted(newlines, starts)
        last = before + int(np.searchsorted(newlines, ends[-1])) + 1
    returned = np.frombuffer(data, np.uint8)[starts] == 13
    keep = (ends > starts + returned) & (lines > after)
    if keep.all():
        return Piece(data, starts, ends, lines, last, regular)
    # `part`, because what lies before the first record kept must not reach the fast readers.
    return Piece(data, starts[keep], ends[keep], lines[keep], last, regular).part()


def read_piece(
    piece: Piece, fast: Callable[[Piece], Part | None], exact: Callable[[Piece], Part]
) -> list[Part]:
    """A piece through the fast reader; where that refuses, by halves, and the leaves exactly."""
    n = len(piece)
    if n == 0:
        return []
    part = fast(piece)
    if part is not None:
        return [part]
    if n == 1 or len(piece.data) <= LEAF_BYTES:
        return [exact(piece)]
    return [
        *read_piece(piece.part(0, n // 2), fast, exact),
        *read_piece(piece.part(n // 2, n), fast, exact),
    ]


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8; pyarrow's readers do not look at columns that they skip."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True

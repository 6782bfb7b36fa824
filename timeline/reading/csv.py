"""CSV by pyarrow; where quotes stand astray or it refuses, by the csv module, record by record."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv

from timeline.errors import EventError
from timeline.jobs import in_order
from timeline.reading.arrow import flat, judge_arrays
from timeline.reading.files import open_file, read_lines
from timeline.reading.judging import block_of
from timeline.reading.model import Block, Part, Wanted, reject
from timeline.reading.records import BYTE_ORDER_MARK, Piece, is_utf8, pieces, read_piece
from timeline.reading.separators import separator_of
from timeline.values.vocabulary import I64

#: A quoted field that is still open after so much is taken for a stray quote.
_OPEN_LIMIT = 1 << 20
#: The header is within so many bytes.
HEAD_BYTES = 1 << 16
# The csv module refuses longer fields than 128 KiB unless told otherwise, and pyarrow does not.
csv.field_size_limit(sys.maxsize)


def read_csv(wanted: Wanted, after: int, block_bytes: int, jobs: int) -> Iterator[Block]:
    """The blocks of a CSV file (see `timeline.reading.read_events`)."""
    separator = _separator(wanted)

    def read(work: tuple[_Reader, Piece]) -> Block:
        reader, piece = work
        return block_of(wanted, read_piece(piece, reader.fast, reader.exact), piece.last)

    yield from in_order(read, _rows(wanted, separator, after, block_bytes), jobs)


def _separator(wanted: Wanted) -> str:
    with open_file(wanted.path) as stream:
        head = read_lines(stream, HEAD_BYTES, wanted.path)
    text = head.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace")
    return separator_of(wanted.path, text, (wanted.key, wanted.time))


def _rows(wanted: Wanted, separator: str, after: int, block_bytes: int) -> Iterator[tuple[_Reader, Piece]]:
    """The pieces behind line ``after``, without the header, each with what reads it."""
    reader: _Reader | None = None
    for piece in pieces(wanted.path, partial(_record_ends, separator), 0, block_bytes):
        if reader is None:
            if not len(piece):
                continue
            reader = _Reader(wanted, separator, piece.text(0))
            if len(piece) == 1:
                continue
            piece = piece.part(1)
        if piece.last > after:
            yield reader, piece.part(int(np.searchsorted(piece.lines, after, side="right")))


class _Reader:
    """Reads pieces of one file, whose header is known."""

    def __init__(self, wanted: Wanted, separator: str, header: str) -> None:
        try:
            names = _fields(header, separator)
        except csv.Error as error:
            raise EventError(f"the header of {wanted.path} is not CSV: {error}") from None
        wanted.require(names)
        if twice := [name for name in wanted.names if names.count(name) > 1]:
            raise EventError(f"column {twice[0]!r} is twice in {wanted.path}; rename one")
        self.wanted = wanted
        self.separator = separator
        self.width = len(names)
        self.index = {name: names.index(name) for name in wanted.names if name in names}

    def fast(self, piece: Piece) -> Part | None:
        """The piece through pyarrow, or None unless the result is certain to be exact."""
        if not piece.regular or not is_utf8(piece.data):
            return None
        # To pyarrow a return ends a line too, and a byte order mark at the beginning is none of the data.
        if piece.data.startswith(BYTE_ORDER_MARK) or _lone_return(piece.data, piece.ends):
            return None
        used = [str(i) for i in self.index.values()]
        try:
            table = pa.csv.read_csv(
                cast(Any, pa.BufferReader(piece.data)),
                read_options=pa.csv.ReadOptions(
                    column_names=[str(i) for i in range(self.width)], block_size=1 << 21
                ),
                parse_options=pa.csv.ParseOptions(
                    delimiter=self.separator, newlines_in_values=b'"' in piece.data
                ),
                convert_options=pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(used, pa.string()),
                    include_columns=used,
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(piece):
            return None
        arrays = {name: flat(table.column(str(i))) for name, i in self.index.items()}
        return judge_arrays(self.wanted, piece, arrays, typed=False)

    def exact(self, piece: Piece) -> Part:
        """The piece record by record."""
        rows: list[list[str]] = []
        good: list[int] = []
        broken = []
        for i, record in enumerate(piece.records()):
            try:
                fields = _fields(record.removesuffix(b"\r").decode(), self.separator)
                if len(fields) == self.width:
                    rows.append(fields)
                    good.append(i)
                    continue
                reason = f"has {len(fields)} fields, the header has {self.width}"
            except UnicodeDecodeError:
                reason = "not UTF-8"
            except csv.Error as error:
                reason = f"not CSV ({error})"
            broken.append(reject(self.wanted, piece, i, reason))
        arrays = {
            name: pa.array([fields[i] or None for fields in rows], pa.string())
            for name, i in self.index.items()
        }
        return judge_arrays(self.wanted, piece.only(good), arrays, broken, typed=False)


def _lone_return(data: bytes, newlines: I64) -> bool:
    """Whether there is a return that no newline follows, given where the newlines are, or some of them."""
    returns = data.count(b"\r")
    if not returns or returns == np.count_nonzero(np.frombuffer(data, np.uint8)[newlines - 1] == 13):
        return False
    return returns != data.count(b"\r\n")


def _fields(record: str, separator: str) -> list[str]:
    return next(csv.reader([record], delimiter=separator, strict=True), [])


def _record_ends(separator: str, data: bytes, newlines: I64, at_end: bool) -> tuple[I64, bool]:
    """Where records end: at newlines outside quotes. Also whether all quotes are regular."""
    if b'"' not in data:
        return newlines, True
    raw = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(raw == 34)
    edge = np.zeros(256, bool)
    edge[[10, 13, 34, ord(separator)]] = True  # newline, return, quote
    opening, closing = quotes[::2], quotes[1::2]
    fine = bool(edge[raw[opening[opening > 0] - 1]].all()) and not _lone_return(data, newlines)
    fine = fine and bool(edge[raw[closing[closing < len(raw) - 1] + 1]].all())
    if fine:
        ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
        # A long record is cut in the same way whatever of it is in one block.
        fine = bool((np.diff(ends, prepend=-1) <= _OPEN_LIMIT).all())
    if fine:
        rest = len(data) - (int(ends[-1]) + 1 if len(ends) else 0)
        if (rest == 0 or not at_end) and rest <= _OPEN_LIMIT:
            return ends, True
    return _record_ends_exactly(separator, data, newlines.tolist(), at_end), False


def _record_ends_exactly(separator: str, data: bytes, newlines: list[int], at_end: bool) -> I64:
    """The same where a quote stands astray: line by line, asking the csv module."""
    ends: list[int] = []
    i, start = 0, 0
    while i < len(newlines):
        last = i
        if b'"' in data[start : newlines[i]]:
            reader = csv.reader(_lines(data, newlines, i), delimiter=separator, strict=True)
            try:
                next(reader)
                last = i + reader.line_num - 1
            except csv.Error:
                # Never closed, or closed by a quote that was meant for something else: the line
                # with the stray quote is a record of its own, unless what closes it is yet to come.
                out_of_lines = i + reader.line_num == len(newlines)
                if out_of_lines and not at_end and len(data) - start <= _OPEN_LIMIT:
                    break
        ends.append(newlines[last])
        start, i = newlines[last] + 1, last + 1
    return np.array(ends, np.int64)


def _lines(data: bytes, newlines: list[int], i: int) -> Iterator[str]:
    first = start = newlines[i - 1] + 1 if i else 0
    for at in range(i, len(newlines)):
        if at > i and newlines[at] - first > _OPEN_LIMIT:
            return
        yield data[start : newlines[at] + 1].decode("utf-8", "replace")
        start = newlines[at] + 1

"""Files of events (JSON Lines, CSV, Parquet) read straight into columns, block by block.

A file is read in blocks of bounded size. Every event keeps the line (Parquet: the row) it came
from, and one that cannot be read is reported with its line and the reason, never dropped in
silence and never fatal to the rest.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from timeline.errors import DurationError, EventError
from timeline.events import EventColumn, Events, concat
from timeline.expression import Scalar
from timeline.ticks import MAX_TICK, parse_rfc3339
from timeline.vocabulary import I64, Vocabulary

if TYPE_CHECKING:
    import pyarrow as pa

#: The unit of times that are numbers; RFC 3339 strings are recognised whatever it is.
TimeUnit = Literal["ms", "s", "us", "ns"]
Mask: TypeAlias = NDArray[np.bool_]

# Why an event is rejected. A tick below 0 is one of these, negated.
NO_KEY, BAD_KEY, NO_TIME, BAD_TIME, OUT_OF_RANGE, NESTED = 1, 2, 3, 4, 5, 6
_REASONS = (
    "",
    "no key",
    "key is not a string or number",
    "no time",
    "not a time",
    "time out of range",
)
_TEXT_LIMIT = 200
#: A piece that the fast reader refuses is halved until it is this small, and then read exactly.
LEAF_BYTES = 1 << 18
#: A quoted CSV field that is still open after so much is taken for a stray quote.
_OPEN_LIMIT = 1 << 20

_INTEGER = r"^-?(0|[1-9][0-9]*)$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
# What Arrow and `parse_rfc3339` read alike; anything else is left to the latter alone.
_RFC3339 = (
    r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
_JSONL = (".jsonl", ".ndjson", ".json")
_CSV = (".csv",)
_PARQUET = (".parquet", ".pq")


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read from which file (shared with `timeline.reading_jsonl`)."""

    path: str
    key: str
    time: str
    columns: tuple[str, ...]
    unit: TimeUnit

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys((self.key, self.time, *self.columns)))


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole records of a text file, blank ones left out.

    Record i is ``data[starts[i]:ends[i]]``, begins on line ``lines[i]`` and ends before a newline.
    ``regular``: every quote in it opens, closes or doubles as CSV wants it.
    """

    data: bytes
    starts: I64
    ends: I64
    lines: I64
    last: int
    regular: bool = True

    def record(self, i: int) -> bytes:
        return self.data[self.starts[i] : self.ends[i]]

    def text(self, i: int) -> str:
        return self.record(i).decode("utf-8", "replace").rstrip("\r")

    def part(self, first: int, stop: int) -> Piece:
        if (first, stop) == (0, len(self.starts)):
            return self
        return self.trimmed(first, stop)

    def trimmed(self, first: int = 0, stop: int | None = None) -> Piece:
        """Records ``first`` to ``stop``, and no bytes before or behind them."""
        stop = len(self.starts) if stop is None else stop
        begin, end = int(self.starts[first]), int(self.ends[stop - 1]) + 1
        return Piece(
            self.data[begin:end],
            self.starts[first:stop] - begin,
            self.ends[first:stop] - begin,
            self.lines[first:stop],
            self.last,
            self.regular,
        )


Parts: TypeAlias = list[tuple[Events, list[Rejected]]]


def read_events(
    path: str | os.PathLike[str],
    *,
    key: str,
    time: str,
    columns: Sequence[str],
    unit: TimeUnit = "ms",
    after: int = 0,
    block_bytes: int = 1 << 24,
) -> Iterator[Block]:
    """The events of a file in its order, in blocks of about ``block_bytes``.

    The suffix decides the format: ``.jsonl``, ``.ndjson``, ``.json`` (JSON Lines), ``.csv`` (both
    also with ``.gz``), ``.parquet``, ``.pq``. Ticks are ms; times that are numbers are in ``unit``,
    timestamps and RFC 3339 strings speak for themselves. Only ``key``, ``time`` and ``columns`` are
    read; a column that the file does not have is missing in every event. ``after`` skips the lines
    (Parquet: rows) up to and including that one.

    Raises:
        EventError: at once if the file is absent, unreadable or of an unknown format; while reading
            if the file is damaged or nothing in it carries the key or the time.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
    ...     _ = file.write('{"session": "a", "time": 1000, "state": "play"}\\n')
    ...     _ = file.write('{"session": "a", "time": "soon"}\\n')
    ...     file.flush()
    ...     [block] = read_events(file.name, key="session", time="time", columns=["state"])
    >>> block.events.keys, block.events.tick.tolist(), block.events.columns["state"].values
    (['a'], [1000], [None, 'play'])
    >>> [(r.line, r.reason) for r in block.rejected], block.last
    ([(2, 'not a time')], 2)
    """
    name = os.fspath(path)
    kind = _format(name)
    _open(name).close()
    wanted = Wanted(name, key, time, tuple(dict.fromkeys(columns)), unit)
    if kind in _PARQUET:
        return _read_parquet(wanted, after, block_bytes)
    if kind in _CSV:
        return _read_csv(wanted, after, block_bytes)
    from timeline.reading_jsonl import read_jsonl

    return read_jsonl(wanted, after, block_bytes)


def count_lines(path: str | os.PathLike[str]) -> int:
    """The number of the last line (Parquet: row) of a file: ``Block.last`` of its last block.

    A last line without a newline counts unless it is blank; a CSV header counts.

    Raises:
        EventError: the file is absent, unreadable, damaged or of an unknown format.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("wb", suffix=".csv") as file:
    ...     _ = file.write(b"key,time\\na,1\\nb,2")
    ...     file.flush()
    ...     count_lines(file.name)
    3
    """
    name = os.fspath(path)
    if _format(name) in _PARQUET:
        with _parquet(name) as file:
            return int(file.metadata.num_rows)
    lines, tail = 0, b""
    with _open(name) as stream:
        while chunk := _read(stream, 1 << 20, name):
            lines += chunk.count(b"\n")
            # Only whether the line after the last newline is blank matters, not what is in it.
            tail = (chunk if b"\n" in chunk else tail + chunk).rpartition(b"\n")[2].strip()[:1]
    return lines + bool(tail)


# --- Files and their records -------------------------------------------------------------------


def _format(name: str) -> str:
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
        known: tuple[str, ...] = (*_JSONL, *_CSV)
    else:
        known = (*_JSONL, *_CSV, *_PARQUET)
    if suffixes and suffixes[-1] in known:
        return suffixes[-1]
    raise EventError(
        f"cannot tell the format of {name} from its suffix; known are "
        f"{', '.join((*_JSONL, *_CSV, *_PARQUET))}, and .jsonl.gz, .csv.gz"
    )


def _open(name: str) -> BinaryIO:
    try:
        raw = open(name, "rb", buffering=0)  # noqa: SIM115 - handed to the caller
    except FileNotFoundError:
        raise EventError(f"no such file: {name}; check the path") from None
    except IsADirectoryError:
        raise EventError(f"{name} is a directory; name one file of events in it") from None
    except OSError as error:
        raise EventError(f"cannot read {name}: {error.strerror}; check its permissions") from None
    if name.lower().endswith(".gz"):
        raw.close()
        return cast(BinaryIO, gzip.open(name, "rb"))
    return cast(BinaryIO, io.BufferedReader(raw))


def _read(stream: BinaryIO, size: int, name: str) -> bytes:
    try:
        return stream.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise EventError(f"cannot read {name}: {error}; is the file whole?") from None


def _newlines(data: bytes) -> I64:
    return np.flatnonzero(np.frombuffer(data, np.uint8) == 10)


Cut: TypeAlias = Callable[[bytes, I64, bool], tuple[I64, bool]]


def at_newlines(data: bytes, newlines: I64, at_end: bool) -> tuple[I64, bool]:
    """Where records of JSON Lines end: at every newline."""
    return newlines, True


def pieces(name: str, cut: Cut, after: int, block_bytes: int) -> Iterator[Piece]:
    """The records of a text file behind line ``after``, in pieces of about ``block_bytes``."""
    line, carry, fresh = 1, b"", True
    with _open(name) as stream:
        while True:
            # A record longer than a block doubles what is read, so that it is copied few times.
            chunk = _read(stream, max(block_bytes, len(carry)), name)
            data, at_end = carry + chunk, not chunk
            if fresh and len(data) < 3 and not at_end:
                carry = data  # too little to tell whether there is a byte order mark
                continue
            if fresh:
                data, fresh = data.removeprefix(b"\xef\xbb\xbf"), False
            if at_end and data:
                data = data if data.endswith(b"\n") else data + b"\n"
            newlines = _newlines(data)
            ends, regular = cut(data, newlines, at_end)
            if len(ends):
                size = int(ends[-1]) + 1
                starts = np.concatenate([[0], ends[:-1] + 1])
                lines = line + np.searchsorted(newlines, starts)
                covered = int(np.searchsorted(newlines, size))
                if at_end and not data[starts[-1] : size].strip() and not carry.endswith(b"\n"):
                    covered -= 1  # a blank rest behind the last newline is no line
                line += covered
                bytes_ = np.frombuffer(data, np.uint8)
                blank = (ends == starts) | ((ends == starts + 1) & (bytes_[starts] == 13))
                keep = ~blank & (lines > after)
                if covered and line - 1 > after:
                    kept = starts[keep], ends[keep], lines[keep]
                    whole = Piece(data[:size], *kept, line - 1, regular)
                    # What lies before the first record kept must not reach the fast readers.
                    skipped = len(kept[0]) and kept[0][0] > 0
                    yield whole.trimmed() if skipped else whole
                data = data[size:]
            carry = data
            if at_end:
                return


def parse_pieces(
    wanted: Wanted,
    piece: Piece,
    fast: Callable[[Piece], Parts | None],
    exact: Callable[[Piece], Parts],
) -> Parts:
    """A piece through the fast reader; where that refuses, by halves, and the leaves exactly."""
    if not len(piece.starts):
        return []
    parts = fast(piece)
    if parts is not None:
        return parts
    n = len(piece.starts)
    if n == 1 or len(piece.data) <= LEAF_BYTES:
        return exact(piece)
    return [
        *parse_pieces(wanted, piece.part(0, n // 2), fast, exact),
        *parse_pieces(wanted, piece.part(n // 2, n), fast, exact),
    ]


def block_of(wanted: Wanted, parts: Parts, last: int) -> Block:
    """Parts that follow each other as one block."""
    events = concat([e for e, _ in parts]) if parts else _no_events(wanted)
    return Block(events, [r for _, rejected in parts for r in rejected], last)


def _no_events(wanted: Wanted) -> Events:
    none = np.empty(0, np.int64)
    columns = {name: EventColumn(none, [None]) for name in wanted.columns}
    return Events([], none, none, columns, none.reshape(0, 1))


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8; pyarrow's readers do not look at columns that they skip."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


# --- Columns -----------------------------------------------------------------------------------


def flat(array: Any) -> Any:
    """A chunked array as one array."""
    import pyarrow as pa

    if not isinstance(array, pa.ChunkedArray):
        return array
    if pa.types.is_dictionary(array.type):
        array = array.unify_dictionaries()
    return array.combine_chunks()


def encode(array: Any) -> EventColumn | None:
    """An Arrow array as codes and distinct values; ``None`` if its values are nested.

    Raises:
        EventError: values that no JSON scalar can stand for.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    types = pa.types
    shared = types.is_dictionary(kind)
    value_type = kind.value_type if shared else kind
    if types.is_nested(value_type):
        return None
    if types.is_null(kind):
        return EventColumn(np.zeros(len(array), np.int64), [None])
    try:
        if shared and (types.is_floating(value_type) or types.is_temporal(value_type)):
            array, shared = array.cast(value_type), False
        if types.is_floating(value_type):
            numbers = array.cast(pa.float64())
            numbers = pc.if_else(pc.is_finite(numbers), numbers, None)
            array = pc.add(numbers, 0.0)  # -0.0 becomes 0.0, else both would be in the dictionary
        elif not shared and not (
            types.is_string(kind)
            or types.is_large_string(kind)
            or types.is_integer(kind)
            or types.is_boolean(kind)
            or types.is_decimal(kind)
        ):
            array = array.cast(pa.string())
        coded = array if shared else array.dictionary_encode()
        values = _scalars(coded.dictionary)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise EventError(f"values of type {kind} are no JSON scalars: {error}") from None
    codes = coded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False) + 1
    if shared or types.is_decimal(value_type):
        # A dictionary that came with the file may repeat values, and hold some that nobody uses.
        used = np.flatnonzero(np.bincount(codes, minlength=len(values) + 1)[1:])
        vocabulary = Vocabulary()
        recode = np.zeros(len(values) + 1, np.int64)
        recode[used + 1] = vocabulary.encode([values[i] for i in used.tolist()])
        return EventColumn(recode[codes], vocabulary.values)
    return EventColumn(codes, [None, *values])


def _scalars(dictionary: Any) -> list[Scalar]:
    import pyarrow as pa

    types, kind = pa.types, dictionary.type
    if types.is_floating(kind):
        numbers = dictionary.to_numpy(zero_copy_only=False)
        boxed = numbers.astype(object)
        whole = numbers == np.floor(numbers)
        boxed[whole] = np.array(list(map(int, numbers[whole].tolist())), object)
        return cast(list[Scalar], boxed.tolist())
    if types.is_decimal(kind):
        return [_of_decimal(value) for value in dictionary.to_pylist()]
    if types.is_integer(kind) and not dictionary.null_count:
        return cast(list[Scalar], dictionary.to_numpy(zero_copy_only=False).tolist())
    if types.is_binary(kind) or types.is_large_binary(kind):
        dictionary = dictionary.cast(pa.string())
    return cast(list[Scalar], dictionary.to_pylist())


def _of_decimal(value: Decimal | None) -> Scalar:
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def names_of(column: EventColumn) -> tuple[I64, list[str], I64]:
    """Codes into names, the names, and per event why it has none (0: it has)."""
    if set(map(type, column.values[1:])) <= {str}:
        why = np.where(column.codes == 0, NO_KEY, 0)
        return np.maximum(column.codes - 1, 0), cast(list[str], column.values[1:]), why
    names: dict[str, int] = {}
    recode = np.zeros(len(column.values), np.int64)
    why = np.zeros(len(column.values), np.int64)
    why[0] = NO_KEY
    for code, value in enumerate(column.values[1:], 1):
        if isinstance(value, bool):
            why[code] = BAD_KEY
        else:
            name = value if isinstance(value, str) else repr(value)
            recode[code] = names.setdefault(name, len(names))
    return recode[column.codes], list(names), why[column.codes]


def tick_of(value: object, unit: TimeUnit) -> int:
    """The tick of one time, or minus the reason why it is none. The vectors below agree with it."""
    if value is None:
        return -NO_TIME
    if isinstance(value, str):
        return _tick_of_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return -BAD_TIME
    if not 0 <= value <= 1 << 63:
        return -OUT_OF_RANGE
    if isinstance(value, float) and not value.is_integer():
        # To the microsecond first: 1.001 s is 1000.9999... ms as a float.
        scale = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1.0}[unit]
        tick = round(value * scale if unit != "ns" else value / 1e3) // 1_000
    else:
        tick = int(value) * 1_000 if unit == "s" else int(value) // _PER_MS[unit]
    return tick if tick <= MAX_TICK else -OUT_OF_RANGE


_PER_MS = {"ms": 1, "us": 1_000, "ns": 1_000_000}


def _tick_of_text(text: str) -> int:
    try:
        tick = parse_rfc3339(text)
    except DurationError:
        try:
            known = datetime.fromisoformat(text).tzinfo is not None
        except ValueError:
            known = False
        return -OUT_OF_RANGE if known else -BAD_TIME
    return tick if tick <= MAX_TICK else -OUT_OF_RANGE


def whole_ticks(numbers: I64, unit: TimeUnit) -> I64:
    if unit == "s":
        ticks = np.clip(numbers, -1, MAX_TICK // 1_000 + 1) * 1_000
    else:
        ticks = numbers // _PER_MS[unit]
    return np.where((numbers < 0) | (ticks > MAX_TICK), -OUT_OF_RANGE, ticks)


def float_ticks(numbers: NDArray[np.float64], unit: TimeUnit) -> I64:
    in_range = (numbers >= 0) & (numbers < 2.0**63)
    safe = np.where(in_range, numbers, 0.0)
    whole = safe == np.floor(safe)
    scale = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1.0}[unit]
    small = np.where(whole, 0.0, safe)
    micro = np.rint(small * scale if unit != "ns" else small / 1e3)
    micro = np.minimum(micro, float((MAX_TICK + 1) * 1_000)).astype(np.int64)
    fractional = micro // 1_000
    fractional = np.where(fractional > MAX_TICK, -OUT_OF_RANGE, fractional)
    ticks = np.where(whole, whole_ticks(safe.astype(np.int64), unit), fractional)
    return np.where(np.isnan(numbers), -BAD_TIME, np.where(in_range, ticks, -OUT_OF_RANGE))


def ticks_of(array: Any, unit: TimeUnit, *, typed: bool = True) -> I64:
    """Ticks of an Arrow array, below 0 where there is none; untyped (CSV): digits are a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types, kind = pa.types, array.type
    if types.is_dictionary(kind):
        return ticks_of(array.cast(kind.value_type), unit, typed=typed)
    if types.is_integer(kind):
        numbers = array.fill_null(0).to_numpy(zero_copy_only=False)
        if numbers.dtype == np.uint64:
            numbers = np.minimum(numbers, np.uint64((1 << 63) - 1))
        ticks = whole_ticks(numbers.astype(np.int64), unit)
    elif types.is_floating(kind) or types.is_decimal(kind):
        floats = array.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
        ticks = float_ticks(floats, unit)
    elif types.is_timestamp(kind) or types.is_date(kind):
        if types.is_date(kind):
            array = array.cast(pa.timestamp("ms"))
        numbers = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        ticks = whole_ticks(numbers, cast(TimeUnit, array.type.unit))
    elif types.is_string(kind) or types.is_large_string(kind):
        return _text_ticks(array, unit, typed)
    else:
        ticks = np.full(len(array), -BAD_TIME)
    return np.where(pc.is_null(array).to_numpy(zero_copy_only=False), -NO_TIME, ticks)


def _text_ticks(array: Any, unit: TimeUnit, typed: bool) -> I64:
    import pyarrow as pa
    import pyarrow.compute as pc

    def all_match(pattern: str) -> bool:
        return pc.all(pc.match_substring_regex(array, pattern)).as_py() is not False

    try:
        if not typed and all_match(_INTEGER):
            return ticks_of(array.cast(pa.int64()), unit)
        if not typed and all_match(_NUMBER):
            numbers = array.cast(pa.float64())
            # From 2**53 on a float stands for several integers.
            if (np.abs(numbers.fill_null(0.0).to_numpy(zero_copy_only=False)) < 2.0**53).all():
                return ticks_of(numbers, unit)
        if all_match(_RFC3339):
            moments = array.cast(pa.timestamp("us", "UTC"))
            return ticks_of(moments, unit)
    except pa.ArrowInvalid:
        pass  # a 13th month, a number beyond int64: one by one below
    coded = array.dictionary_encode()
    distinct = coded.dictionary.to_pylist()
    if not typed:
        distinct = [csv_scalar(text) for text in distinct]
    table = np.array([-NO_TIME, *(tick_of(value, unit) for value in distinct)], np.int64)
    return cast(I64, table[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False) + 1])


@dataclass(frozen=True, slots=True)
class Parsed:
    """Records read but not yet judged: masks say where a value is nested."""

    key: EventColumn
    tick: I64
    columns: dict[str, EventColumn]
    nested: dict[str, Mask]
    lines: I64
    text: Callable[[int], str]


def judge(wanted: Wanted, parsed: Parsed) -> tuple[Events, list[Rejected]]:
    """The events that can be read, and the others with their reasons."""
    key, names, why = names_of(parsed.key)
    if wanted.key in parsed.nested:
        why = np.where(parsed.nested[wanted.key], BAD_KEY, why)
    tick = parsed.tick
    why = np.where((why == 0) & (tick < 0), -tick, why)
    for j, name in enumerate(wanted.columns):
        if name in parsed.nested:
            why = np.where((why == 0) & parsed.nested[name], NESTED + j, why)
    position = parsed.lines.reshape(-1, 1)
    bad = np.flatnonzero(why)
    if not len(bad):
        return Events(names, key, tick, parsed.columns, position), []
    rejected = []
    for i in bad.tolist():
        code = int(why[i])
        reason = (
            _REASONS[code]
            if code < NESTED
            else f"column {wanted.columns[code - NESTED]!r} holds a nested value"
        )
        line = int(parsed.lines[i])
        rejected.append(Rejected(wanted.path, line, reason, parsed.text(i)[:_TEXT_LIMIT]))
    good = np.flatnonzero(why == 0)
    events = Events(names, key, tick, parsed.columns, position).take(good)
    # Names that only rejected events carry are not keys.
    used, codes = np.unique(events.key, return_inverse=True)
    events = Events(
        [names[i] for i in used.tolist()],
        codes.astype(np.int64),
        events.tick,
        events.columns,
        events.position,
    )
    return events, rejected


def of_arrow(
    wanted: Wanted,
    arrays: dict[str, Any],
    lines: I64,
    text: Callable[[int], str],
    *,
    typed: bool = True,
) -> tuple[Events, list[Rejected]]:
    """Events of Arrow arrays, one per name that the file has; judged."""
    import pyarrow as pa

    coded: dict[str, EventColumn] = {}
    nested: dict[str, Mask] = {}
    for name in wanted.names:
        array: Any = arrays.get(name)
        if name == wanted.time and name not in wanted.columns:
            continue
        try:
            column = encode(array if array is not None else pa.nulls(len(lines)))
        except EventError as error:
            raise EventError(f"column {name!r} of {wanted.path}: {error}") from None
        if column is None:
            nested[name] = array.is_valid().to_numpy(zero_copy_only=False)
            column = EventColumn(np.zeros(len(lines), np.int64), [None])
        coded[name] = column
    key = coded[wanted.key]
    if not typed:
        coded = {name: _retyped(coded[name]) for name in coded if name in wanted.columns}
    tick = ticks_of(arrays[wanted.time], wanted.unit, typed=typed)
    columns = {name: coded[name] for name in wanted.columns}
    return judge(wanted, Parsed(key, tick, columns, nested, lines, text))


def require(wanted: Wanted, have: Sequence[str]) -> None:
    """Raises EventError unless the key and the time are among the columns ``have``."""
    for role, name in (("key", wanted.key), ("time", wanted.time)):
        if name not in have:
            raise EventError(
                f"no column {name!r} in {wanted.path}; its columns are {', '.join(have)}; "
                f"name the {role} column with --{role}-column"
            )


# --- Parquet -----------------------------------------------------------------------------------


def _parquet(name: str, **options: Any) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _open(name).close()
    if os.path.getsize(name) == 0:
        raise EventError(f"{name} is empty, and an empty file is not Parquet; write it again")
    try:
        return pq.ParquetFile(name, **options)
    except (pa.ArrowException, OSError) as error:
        raise EventError(f"cannot read {name} as Parquet: {error}") from None


def _read_parquet(wanted: Wanted, after: int, block_bytes: int) -> Iterator[Block]:
    import pyarrow as pa

    if os.path.getsize(wanted.path) == 0:
        return
    with _parquet(wanted.path) as file:
        schema = file.schema_arrow
        require(wanted, schema.names)
        needed = [name for name in wanted.names if name in schema.names]
        text = [n for n in needed if pa.types.is_string(schema.field(n).type)]
        row, skip = 0, after
        groups: list[int] = []
        for group in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if not groups and row + rows <= after:
                row += rows  # whole row groups at or before `after` need not be read
                skip = after - row
            else:
                groups.append(group)
    rows = max(1, block_bytes // 64)
    with _parquet(wanted.path, read_dictionary=text) as file:
        try:
            for batch in file.iter_batches(batch_size=rows, row_groups=groups, columns=needed):
                yield from _parquet_block(wanted, batch, needed, row, skip)
                row += batch.num_rows
                skip = max(0, skip - batch.num_rows)
        except (pa.ArrowException, OSError) as error:
            raise EventError(f"cannot read {wanted.path}: {error}; is the file whole?") from None


def _parquet_block(
    wanted: Wanted, batch: pa.RecordBatch, needed: list[str], row: int, skip: int
) -> Iterator[Block]:
    if skip >= batch.num_rows:
        return
    batch = batch.slice(skip)
    first = row + skip + 1
    lines = np.arange(first, first + batch.num_rows, dtype=np.int64)

    def text(i: int) -> str:
        return json.dumps(batch.slice(i, 1).to_pylist()[0], default=str, ensure_ascii=False)

    arrays = {name: flat(batch.column(name)) for name in needed}
    events, rejected = of_arrow(wanted, arrays, lines, text)
    yield Block(events, rejected, int(lines[-1]))


# --- CSV ---------------------------------------------------------------------------------------


def csv_scalar(text: str) -> Scalar:
    """What the text of a CSV field means: nothing, a JSON number, a boolean, or itself.

    >>> csv_scalar(""), csv_scalar("1.50"), csv_scalar("true"), csv_scalar("007")
    (None, 1.5, True, '007')
    """
    if text == "":
        return None
    if text in ("true", "false"):
        return text == "true"
    match = re.match(_NUMBER, text)
    if match is None or text.endswith("\n") or len(text) > 4_000:
        return text
    number = float(text) if match[2] or match[3] else int(text)
    return None if number in (float("inf"), float("-inf")) else number


def _retyped(column: EventColumn) -> EventColumn:
    vocabulary = Vocabulary()
    codes = vocabulary.encode(
        [csv_scalar(value) if isinstance(value, str) else None for value in column.values]
    )
    return EventColumn(codes[column.codes], vocabulary.values)


def _csv_ends(data: bytes, newlines: I64, at_end: bool) -> tuple[I64, bool]:
    """Where CSV records end: at newlines outside quotes. Also whether all quotes are regular."""
    if b'"' not in data:
        return newlines, True
    raw = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(raw == 34)
    edge = np.zeros(256, bool)
    edge[[10, 13, 34, 44]] = True  # newline, return, quote, comma
    opening, closing = quotes[::2], quotes[1::2]
    fine = bool(edge[raw[opening[opening > 0] - 1]].all())
    fine = fine and bool(edge[raw[closing[closing < len(raw) - 1] + 1]].all())
    if fine:
        ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
        rest = len(data) - (int(ends[-1]) + 1 if len(ends) else 0)
        if (rest == 0 or not at_end) and rest <= _OPEN_LIMIT:
            return ends, True
    return _csv_ends_exactly(data, newlines, at_end), False


def _csv_ends_exactly(data: bytes, newlines: I64, at_end: bool) -> I64:
    """The same where a quote stands astray: line by line, asking the csv module."""
    ends: list[int] = []
    places = newlines.tolist()
    i, start = 0, 0
    while i < len(places):
        j = i
        while _is_open(data[start : places[j] + 1]):
            j += 1
            if j == len(places) or places[j] - start > _OPEN_LIMIT:
                if j == len(places) and not at_end and len(data) - start <= _OPEN_LIMIT:
                    return np.array(ends, np.int64)
                j = i  # never closed: the line with the stray quote is a record of its own
                break
        if j > i and not _is_csv(data[start : places[j] + 1]):
            j = i  # closed by a quote that was meant for something else
        ends.append(places[j])
        start, i = places[j] + 1, j + 1
    return np.array(ends, np.int64)


def _is_open(record: bytes) -> bool:
    if b'"' not in record:
        return False
    # A further line is swallowed by a field that is still open, and a record of its own otherwise.
    lines = [record.decode("utf-8", "replace"), "end\n"]
    try:
        return list(csv.reader(lines))[-1] != ["end"]
    except csv.Error:
        return False


def _is_csv(record: bytes) -> bool:
    try:
        _fields(record.decode("utf-8", "replace"))
    except csv.Error:
        return False
    return True


def _fields(record: str) -> list[str]:
    return next(csv.reader([record], strict=True), [])


def _read_csv(wanted: Wanted, after: int, block_bytes: int) -> Iterator[Block]:
    header: list[str] | None = None
    for piece in pieces(wanted.path, _csv_ends, 0, block_bytes):
        if header is None:
            if not len(piece.starts):
                continue
            try:
                header = _fields(piece.text(0))
            except csv.Error as error:
                raise EventError(f"the header of {wanted.path} is not CSV: {error}") from None
            require(wanted, header)
            if twice := [name for name in wanted.names if header.count(name) > 1]:
                raise EventError(f"column {twice[0]!r} is twice in {wanted.path}; rename one")
            reader = _Csv(wanted, header)
            if len(piece.starts) == 1:
                continue
            piece = piece.part(1, len(piece.starts))
        if piece.last <= after:
            continue
        first = int(np.searchsorted(piece.lines, after, side="right"))
        if first == len(piece.starts):
            yield block_of(wanted, [], piece.last)
            continue
        piece = piece.part(first, len(piece.starts))
        parts = parse_pieces(wanted, piece, reader.fast, reader.exact)
        yield block_of(wanted, parts, piece.last)


class _Csv:
    """Reads pieces of one CSV file, whose header is known."""

    def __init__(self, wanted: Wanted, header: list[str]) -> None:
        self.wanted = wanted
        self.width = len(header)
        self.index = {name: header.index(name) for name in wanted.names if name in header}

    def fast(self, piece: Piece) -> Parts | None:
        import pyarrow as pa
        import pyarrow.csv

        if not piece.regular or not is_utf8(piece.data):
            return None
        used = [str(i) for i in self.index.values()]
        try:
            table = pa.csv.read_csv(
                cast(Any, pa.BufferReader(piece.data)),
                read_options=pa.csv.ReadOptions(
                    column_names=[str(i) for i in range(self.width)], block_size=1 << 21
                ),
                parse_options=pa.csv.ParseOptions(newlines_in_values=b'"' in piece.data),
                convert_options=pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(used, pa.string()), include_columns=used
                ),
            )
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(piece.starts):
            return None
        return [self._events(table, piece.lines, piece.text)]

    def exact(self, piece: Piece) -> Parts:
        import pyarrow as pa

        rows: list[list[str]] = []
        good: list[int] = []
        broken: list[Rejected] = []
        for i in range(len(piece.starts)):
            try:
                fields = _fields(piece.record(i).removesuffix(b"\r").decode())
                if len(fields) == self.width:
                    rows.append(fields)
                    good.append(i)
                    continue
                reason = f"has {len(fields)} fields, the header has {self.width}"
            except UnicodeDecodeError:
                reason = "not UTF-8"
            except csv.Error as error:
                reason = f"not CSV ({error})"
            text = piece.text(i)[:_TEXT_LIMIT]
            broken.append(Rejected(self.wanted.path, int(piece.lines[i]), reason, text))
        data = {str(i): pa.array([fields[i] for fields in rows], pa.string()) for i in self.index.values()}
        lines = piece.lines[np.array(good, np.int64)]
        events, rejected = self._events(pa.table(data), lines, lambda i: piece.text(good[i]))
        return [(events, sorted([*broken, *rejected], key=lambda r: r.line))]

    def _events(
        self, table: pa.Table, lines: I64, text: Callable[[int], str]
    ) -> tuple[Events, list[Rejected]]:
        import pyarrow.compute as pc

        arrays: dict[str, Any] = {}
        for name, i in self.index.items():
            array = flat(table.column(str(i)))
            arrays[name] = pc.if_else(pc.not_equal(array, cast(Any, "")), array, None)
        return of_arrow(self.wanted, arrays, lines, text, typed=False)

"""JSON Lines for `timeline.reading`: by pyarrow where it is sure, else by orjson, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import orjson

from timeline.events import EventColumn
from timeline.expression import Scalar
from timeline.reading import (
    Block,
    Parsed,
    Parts,
    Piece,
    Rejected,
    Wanted,
    at_newlines,
    block_of,
    encode,
    flat,
    is_utf8,
    judge,
    of_arrow,
    parse_pieces,
    pieces,
    require,
    tick_of,
    ticks_of,
)
from timeline.vocabulary import I64, Vocabulary

_SAMPLE = 64
_BLANK = b" \t\r"
#: From here on a float stands for several integers.
_INEXACT = 2.0**53


def read_jsonl(wanted: Wanted, after: int, block_bytes: int) -> Iterator[Block]:
    """The blocks of a file of JSON Lines (see `timeline.reading.read_events`)."""
    reader = _Reader(wanted)
    # Reading on from a line says nothing about the columns of the file: the rest may be one line.
    checked = after > 0
    for piece in pieces(wanted.path, at_newlines, after, block_bytes):
        parts = parse_pieces(wanted, piece, reader.fast, reader.exact)
        if not checked:
            checked = reader.check(piece, parts)
        yield block_of(wanted, parts, piece.last)


class _Reader:
    """Reads pieces of one file, and remembers the types that its columns had so far."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.known: dict[str, str] = {}

    def check(self, piece: Piece, parts: Parts) -> bool:
        """Raises EventError if no object carries the key or the time; False if there is none."""
        if any(len(events) for events, _ in parts):
            return True
        have: dict[str, None] = {}
        objects = False
        for i in range(len(piece.starts)):
            try:
                row = orjson.loads(piece.record(i))
            except orjson.JSONDecodeError:
                continue
            if isinstance(row, dict):
                objects = True
                have.update(dict.fromkeys(row))
        if objects:
            require(self.wanted, list(have))
        return objects

    def fast(self, piece: Piece) -> Parts | None:
        """The piece through pyarrow, or None unless the result is certain to be exact."""
        import pyarrow as pa
        import pyarrow.json

        raw = np.frombuffer(piece.data, np.uint8)
        # A line that begins with { and ends with } is whole objects, whatever stands around it: a
        # newline between } and { is never inside an object. So equal counts mean one object each.
        last = raw[piece.ends - 1]
        returned = last == 13
        if returned.any():
            last = np.where(returned, raw[piece.ends - 2], last)
        if not ((raw[piece.starts] == 123).all() and (last == 125).all()):
            return None
        # pyarrow takes these for numbers even in columns that it skips.
        if (b"N" in piece.data and b"NaN" in piece.data) or (b"I" in piece.data and b"Inf" in piece.data):
            return None
        if not is_utf8(piece.data):
            return None
        kinds = self._kinds(piece)
        if kinds is None:
            return None
        arrow: dict[str, pa.DataType] = {
            "str": pa.string(),
            "int": pa.int64(),
            "float": pa.float64(),
            "bool": pa.bool_(),
        }
        schema = pa.schema([(name, arrow[kind]) for name, kind in kinds.items()])
        try:
            table = pa.json.read_json(
                cast(Any, pa.BufferReader(piece.data)),
                read_options=pa.json.ReadOptions(block_size=1 << 21),
                parse_options=pa.json.ParseOptions(
                    explicit_schema=schema, unexpected_field_behavior="ignore"
                ),
            )
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(piece.starts):
            return None
        arrays = {name: flat(table.column(name)) for name in kinds}
        for name, kind in kinds.items():
            if kind == "float":
                numbers = arrays[name].fill_null(0.0).to_numpy(zero_copy_only=False)
                if not (np.abs(numbers) < _INEXACT).all():
                    return None
        self.known.update(kinds)
        return [of_arrow(self.wanted, arrays, piece.lines, piece.text)]

    def _kinds(self, piece: Piece) -> dict[str, str] | None:
        """The type of every column as a sample shows it; None if one has several."""
        n = len(piece.starts)
        seen: dict[str, set[str]] = {name: set() for name in self.wanted.names}
        for i in np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64)).tolist():
            try:
                row = orjson.loads(piece.record(i))
            except orjson.JSONDecodeError:
                return None
            for name, types in seen.items():
                if (value := row.get(name)) is not None:
                    types.add(type(value).__name__)
        kinds = {}
        for name, types in seen.items():
            known = self.known.get(name)
            if not types:
                kinds[name] = known or "str"
            elif types <= {"int", "float"}:
                kinds[name] = "int" if types == {"int"} and known != "float" else "float"
            elif len(types) == 1 and types <= {"str", "bool"}:
                kinds[name] = next(iter(types))
            else:
                return None
        return kinds

    def exact(self, piece: Piece) -> Parts:
        """The piece line by line."""
        rows: list[dict[str, Any]] = []
        good: list[int] = []
        broken: list[Rejected] = []
        loads, data = orjson.loads, piece.data
        for i, (start, end) in enumerate(zip(piece.starts.tolist(), piece.ends.tolist(), strict=True)):
            line = data[start:end]
            try:
                row = loads(line)
            except orjson.JSONDecodeError:
                if line.strip(_BLANK):
                    broken.append(self._reject(piece, i, "not JSON"))
                continue
            if type(row) is dict:
                rows.append(row)
                good.append(i)
            else:
                broken.append(self._reject(piece, i, "not a JSON object"))
        values = {name: [row.get(name) for row in rows] for name in self.wanted.names}
        for name, column in values.items():
            if float in set(map(type, column)):
                for at, value in enumerate(column):
                    # orjson makes a float of an integer beyond 64 bits; json keeps it.
                    if type(value) is float and abs(value) >= 2.0**63:
                        column[at] = json.loads(piece.record(good[at]))[name]
        lines = piece.lines[np.array(good, np.int64)]
        parsed = self._parsed(values, lines, good, piece)
        events, rejected = judge(self.wanted, parsed)
        return [(events, sorted([*broken, *rejected], key=lambda r: r.line))]

    def _reject(self, piece: Piece, i: int, reason: str) -> Rejected:
        return Rejected(self.wanted.path, int(piece.lines[i]), reason, piece.text(i)[:200])

    def _parsed(self, values: dict[str, list[Any]], lines: I64, good: list[int], piece: Piece) -> Parsed:
        wanted = self.wanted
        times = values[wanted.time]
        arrow_times = _arrow(times)
        tick = (
            ticks_of(arrow_times, wanted.unit)
            if arrow_times is not None
            else np.fromiter((tick_of(t, wanted.unit) for t in times), np.int64, len(times))
        )
        coded, nested = {}, {}
        for name in dict.fromkeys((wanted.key, *wanted.columns)):
            column = values[name]
            if not {dict, list}.isdisjoint(map(type, column)):
                mask = [type(value) in (dict, list) for value in column]
                nested[name] = np.array(mask, bool)
                column = [None if bad else v for bad, v in zip(mask, column, strict=True)]
            coded[name] = _encoded(column)
        columns = {name: coded[name] for name in wanted.columns}
        return Parsed(coded[wanted.key], tick, columns, nested, lines, lambda i: piece.text(good[i]))


def _arrow(values: list[Any]) -> Any | None:
    """The values as an Arrow array if they are all text or all int64."""
    import pyarrow as pa

    types = set(map(type, values)) - {type(None)}
    try:
        if types <= {str}:
            return pa.array(values, pa.string())
        if types == {int}:
            return pa.array(values, pa.int64())
    except (OverflowError, pa.ArrowInvalid):
        pass
    return None


def _encoded(values: list[Any]) -> EventColumn:
    array = _arrow(values)
    if array is not None:
        return cast(EventColumn, encode(array))
    vocabulary = Vocabulary()
    return EventColumn(vocabulary.encode(cast(list[Scalar], values)), vocabulary.values)

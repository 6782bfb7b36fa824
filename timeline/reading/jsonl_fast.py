"""JSON Lines by pyarrow, where its answer is sure to be exact."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.json

from timeline.reading.arrow import all_exact, flat, judge_arrays
from timeline.reading.long_numbers import rounds
from timeline.reading.model import Part, Wanted
from timeline.reading.records import Piece, is_utf8

_SAMPLE = 64


class Fast:
    """Reads pieces of one file, and remembers the types that its columns had so far.

    What it remembers decides only what is tried first, so that pieces may be read side by side.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.known: dict[str, pa.DataType] = {}

    def read(self, piece: Piece) -> Part | None:
        """The piece through pyarrow, or None unless the result is certain to be exact."""
        if not (_one_object_a_line(piece) and is_utf8(piece.data)):
            return None
        # pyarrow takes these for numbers even in columns that it skips.
        if (b"N" in piece.data and b"NaN" in piece.data) or (b"I" in piece.data and b"Inf" in piece.data):
            return None
        kinds = self._kinds(piece)
        if kinds is None:
            return None
        fractions = [name for name in self.wanted.columns if kinds[name] == pa.float64()]
        if fractions and rounds(piece.data, fractions):
            return None
        try:
            table = pa.json.read_json(
                cast(Any, pa.BufferReader(piece.data)),
                read_options=pa.json.ReadOptions(block_size=1 << 21),
                parse_options=pa.json.ParseOptions(
                    explicit_schema=pa.schema(list(kinds.items())),
                    unexpected_field_behavior="ignore",
                ),
            )
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(piece):
            return None
        arrays = {name: flat(table.column(name)) for name in kinds}
        if not all(all_exact(arrays[n]) for n, kind in kinds.items() if kind == pa.float64()):
            return None
        self.known.update(kinds)
        return judge_arrays(self.wanted, piece, arrays)

    def _kinds(self, piece: Piece) -> dict[str, pa.DataType] | None:
        """The type of every column as a sample shows it; None if one has several."""
        n = len(piece)
        seen: dict[str, set[type]] = {name: set() for name in self.wanted.names}
        for i in dict.fromkeys(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64).tolist()):
            try:
                row = orjson.loads(piece.record(i))
            except orjson.JSONDecodeError:
                return None
            for name, types in seen.items():
                if (value := row.get(name)) is not None:
                    types.add(type(value))
        kinds: dict[str, pa.DataType] = {}
        for name, types in seen.items():
            if not types:
                kinds[name] = self.known.get(name, pa.string())
            elif types == {int} and self.known.get(name) != pa.float64():
                kinds[name] = pa.int64()
            elif types <= {int, float}:
                kinds[name] = pa.float64()
            elif types == {str}:
                kinds[name] = pa.string()
            elif types == {bool}:
                kinds[name] = pa.bool_()
            else:
                return None
        return kinds


def _one_object_a_line(piece: Piece) -> bool:
    """Whether as many objects as lines are sure to mean one object on each line.

    A line that begins with { and ends with } is whole objects, whatever stands around it: a newline
    between } and { is never inside an object.
    """
    raw = np.frombuffer(piece.data, np.uint8)
    last = raw[piece.ends - 1]
    returned = last == 13
    if returned.any():
        last = np.where(returned, raw[piece.ends - 2], last)
    return bool((raw[piece.starts] == 123).all() and (last == 125).all())

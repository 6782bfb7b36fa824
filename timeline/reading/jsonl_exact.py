"""JSON Lines by orjson, line by line: what the fast reader is not sure of."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import numpy as np
import orjson

from timeline.reading.judging import Parsed, judge
from timeline.reading.long_numbers import full_object
from timeline.reading.model import NESTED, Part, TimeUnit, Wanted, reject
from timeline.reading.records import Piece
from timeline.reading.times import tick_of
from timeline.tables.events import EventColumn
from timeline.values.scalars import Scalar, as_scalar, number_of
from timeline.values.vocabulary import I64, Vocabulary

_BLANK = b" \t\r"
#: So few values are looked at one by one.
_FEW = 1_000


def read_exactly(wanted: Wanted, piece: Piece) -> Part:
    """A piece line by line."""
    rows: list[dict[str, Any]] = []
    good: list[int] = []
    broken = []
    long = False
    for i, line in enumerate(piece.records()):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            if line.strip(_BLANK):
                broken.append(reject(wanted, piece, i, "not JSON"))
            continue
        if type(row) is dict:
            full = full_object(line, row)
            long = long or full is not row
            rows.append(full)
            good.append(i)
        else:
            broken.append(reject(wanted, piece, i, "not a JSON object"))
    objects = piece.only(good)
    values: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in wanted.names}
    tick = _ticks(list(map(as_scalar, values[wanted.time])), wanted.unit, wanted.zone)
    coded, unfit, texts = {}, {}, set()
    for name in dict.fromkeys((wanted.key, *wanted.columns)):
        column = values[name]
        types = set(map(type, column))
        if str in types:
            texts.add(name)
        if not types.isdisjoint((dict, list)):
            mask = [type(value) in (dict, list) for value in column]
            unfit[name] = {NESTED: np.array(mask, bool)}
            column = [None if bad else v for bad, v in zip(mask, column, strict=True)]
        coded[name] = _encoded(_whole(column) if long else column)
        if name == wanted.key:
            # As text, because a value beyond 64 bits would be rounded, and keys must not meet.
            key = _encoded([str(value) if type(value) is int else value for value in column])
    columns = {name: coded[name] for name in wanted.columns}
    return judge(wanted, objects, Parsed(key, tick, columns, unfit, texts), broken)


def _whole(values: list[Any]) -> list[Any]:
    """Whole numbers beyond 64 bits, which a key is as they are written, as an event carries them."""
    return [
        number_of(Decimal(value)) if type(value) is int and value.bit_length() > 63 else value
        for value in values
    ]


def _arrow(values: list[Any]) -> Any | None:
    """The values as an Arrow array if they are many, and all text or all int64."""
    if len(values) <= _FEW:
        return None
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


def _ticks(times: list[Any], unit: TimeUnit, zone: str | None) -> I64:
    array = _arrow(times)
    if array is not None:
        from timeline.reading.arrow import ticks_of

        return ticks_of(array, unit, zone=zone)
    return np.fromiter((tick_of(time, unit, zone) for time in times), np.int64, len(times))


def _encoded(values: list[Any]) -> EventColumn:
    array = _arrow(values)
    if array is not None:
        from timeline.reading.arrow_values import encode

        return encode(array)[0]
    vocabulary = Vocabulary()
    return EventColumn(vocabulary.encode(cast(list[Scalar], values)), vocabulary.values)

"""Values of Arrow arrays as scalars, and which of them are none: one bad value costs its own event only."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from timeline.errors import EventError
from timeline.reading.model import NESTED, NO_SCALAR, NOT_FINITE, NOT_UTF8, Mask, Unfit
from timeline.tables.events import EventColumn
from timeline.values.scalars import Carried, canonical, number_of
from timeline.values.vocabulary import I64, Vocabulary

#: The years 1 to 9999 in seconds since the epoch: beyond, Arrow writes times as what they are not.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
_A_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def encode(array: Any) -> tuple[EventColumn, Unfit]:
    """An Arrow array as codes and distinct values, and where values are none that an event can carry.

    Raises:
        EventError: a type of which no value is a JSON scalar.
    """
    kind = array.type
    types = pa.types
    shared = types.is_dictionary(kind)
    value_type = kind.value_type if shared else kind
    nothing = np.zeros(len(array), np.int64)
    if types.is_nested(value_type):
        return EventColumn(nothing, [None]), {NESTED: _valid(array)}
    if types.is_null(kind):
        return EventColumn(nothing, [None]), {}
    unfit: Unfit = {}
    try:
        if shared and (types.is_floating(value_type) or types.is_temporal(value_type)):
            array, shared = array.cast(value_type), False
        if types.is_floating(value_type):
            numbers = array.cast(pa.float64())
            finite = pc.is_finite(numbers)
            if not pc.all(finite).as_py():
                unfit[NOT_FINITE] = ~finite.fill_null(True).to_numpy(zero_copy_only=False)
                numbers = pc.if_else(finite, numbers, None)
            array = pc.add(numbers, 0.0)  # -0.0 becomes 0.0, else both would be in the dictionary
        elif types.is_string_view(kind) or types.is_binary_view(kind):
            array = array.cast(pa.binary())
        coded = array if shared else array.dictionary_encode()
        values, unread = scalars_of(coded.dictionary)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise EventError(f"values of type {kind} are no JSON scalars: {error}") from None
    # Those of a dictionary that came with the data may have no sign.
    indices = coded.indices.cast(pa.int64()).fill_null(-1) if coded.indices.null_count else coded.indices
    codes = np.add(indices.to_numpy(zero_copy_only=False), 1, dtype=np.int64)
    if unread.any():
        what = NO_SCALAR if types.is_temporal(value_type) else NOT_UTF8
        unfit[what] = np.append(False, unread)[codes]
    elif not shared and not types.is_decimal(value_type):
        return EventColumn(codes, [None, *values]), unfit
    return _without_repeats(codes, values), unfit


def _without_repeats(codes: I64, values: list[Carried]) -> EventColumn:
    """A dictionary that came with the file may repeat values, and hold some that nobody uses."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(values) + 1)[1:])
    recode = np.zeros(len(values) + 1, np.int64)
    kept = [values[i] for i in used.tolist()]
    if set(map(type, kept)) <= {str} and len(set(kept)) == len(kept):
        recode[used + 1] = np.arange(1, len(kept) + 1)
        return EventColumn(recode[codes], [None, *kept])
    vocabulary = Vocabulary()
    recode[used + 1] = vocabulary.encode(kept)
    return EventColumn(recode[codes], vocabulary.values)


def _valid(array: Any) -> Mask:
    return cast(Mask, array.is_valid().to_numpy(zero_copy_only=False))


def scalars_of(dictionary: Any) -> tuple[list[Carried], Mask]:
    """Distinct values as scalars, ``None`` where one cannot be read; and where that is so."""
    unread = np.zeros(len(dictionary), bool)
    if pa.types.is_timestamp(dictionary.type) or pa.types.is_date(dictionary.type):
        unread = _beyond_years(dictionary)
        dictionary = pc.if_else(pa.array(~unread), dictionary, None) if unread.any() else dictionary
    try:
        return _scalars(dictionary), unread
    except (pa.ArrowInvalid, UnicodeDecodeError):
        values: list[Carried] = []
        for i in range(len(dictionary)):
            try:
                values += _scalars(dictionary.slice(i, 1))
            except (pa.ArrowInvalid, UnicodeDecodeError):
                values.append(None)
                unread[i] = True
        return values, unread


def _scalars(dictionary: Any) -> list[Carried]:
    types, kind = pa.types, dictionary.type
    if types.is_decimal(kind):
        return [None if v is None else number_of(v) for v in dictionary.to_pylist()]
    if types.is_floating(kind):
        return list(map(canonical, dictionary.to_numpy(zero_copy_only=False).tolist()))
    if types.is_integer(kind) and not dictionary.null_count:
        return cast(list[Carried], dictionary.to_numpy(zero_copy_only=False).tolist())
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind)):
        dictionary = dictionary.cast(pa.string())
    return cast(list[Carried], dictionary.to_pylist())


def _beyond_years(times: Any) -> Mask:
    """Which timestamps or dates lie outside the years 1 to 9999."""
    if pa.types.is_date(times.type):
        times = times.cast(pa.timestamp("ms"))
    numbers = times.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    seconds = numbers // _A_SECOND[times.type.unit]
    return cast(Mask, (seconds < _FIRST_SECOND) | (seconds > _LAST_SECOND))

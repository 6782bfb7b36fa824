"""Arrow arrays, as pyarrow's readers give them, as columns, times and events.

Only what reads by pyarrow imports this: a short file of JSON Lines is read before pyarrow would be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from timeline.errors import EventError
from timeline.reading.arrow_values import encode, scalars_of
from timeline.reading.columns import NUMBER, retyped, scalar_of_text
from timeline.reading.judging import Parsed, judge
from timeline.reading.model import BAD_TIME, NO_TIME, Part, Records, Rejected, TimeUnit, Unfit, Wanted
from timeline.reading.times import float_ticks, tick_in_zone, tick_of, whole_ticks
from timeline.tables.events import EventColumn
from timeline.values.scalars import as_scalar
from timeline.values.vocabulary import I64

_INTEGER = r"^-?(0|[1-9][0-9]*)$"
# What Arrow and `parse_rfc3339` read alike; anything else is left to the latter alone.
_RFC3339 = (
    r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)


def flat(array: Any) -> Any:
    """A chunked array as one array."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    if pa.types.is_dictionary(array.type):
        array = array.unify_dictionaries()
    return array.combine_chunks()


def ticks_of(array: Any, unit: TimeUnit, *, typed: bool = True, zone: str | None = None) -> I64:
    """Ticks of an Arrow array, below 0 where there is none; untyped (CSV): digits are a number. What says no
    zone is of ``zone``."""
    types, kind = pa.types, array.type
    if types.is_dictionary(kind):
        return ticks_of(array.cast(kind.value_type), unit, typed=typed, zone=zone)
    if types.is_string_view(kind):  # as Polars has texts
        return ticks_of(array.cast(pa.large_string()), unit, typed=typed, zone=zone)
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
        if zone is not None and array.type.tz is None:
            return _zoned_ticks(array, zone)
        numbers = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        ticks = whole_ticks(numbers, cast(TimeUnit, array.type.unit))
    elif types.is_string(kind) or types.is_large_string(kind):
        return _text_ticks(array, unit, typed, zone)
    else:
        ticks = np.full(len(array), -BAD_TIME)
    if not array.null_count:
        return ticks
    return np.where(pc.is_null(array).to_numpy(zero_copy_only=False), -NO_TIME, ticks)


def _zoned_ticks(array: Any, zone: str) -> I64:
    coded = array.cast(pa.timestamp("us"), safe=False).dictionary_encode()
    ticks = [-NO_TIME, *(tick_in_zone(moment, zone) for moment in coded.dictionary.to_pylist())]
    return cast(I64, np.array(ticks, np.int64)[_indices(coded)])


def _indices(coded: Any) -> Any:
    """Of a dictionary array, from 1 on; of nulls 0."""
    return coded.indices.fill_null(-1).to_numpy(zero_copy_only=False) + 1


def _text_ticks(array: Any, unit: TimeUnit, typed: bool, zone: str | None) -> I64:
    def all_match(pattern: str) -> bool:
        return pc.all(pc.match_substring_regex(array, pattern)).as_py() is not False

    try:
        if not typed and all_match(_INTEGER):
            return ticks_of(array.cast(pa.int64()), unit)
        if not typed and all_match(NUMBER):
            numbers = array.cast(pa.float64())
            if all_exact(numbers):
                return ticks_of(numbers, unit)
        if all_match(_RFC3339):
            return ticks_of(array.cast(pa.timestamp("us", "UTC")), unit)
    except pa.ArrowInvalid:
        pass  # a 13th month, a number beyond int64: one by one below
    coded = array.dictionary_encode()
    distinct, unread = scalars_of(coded.dictionary)
    if not typed:
        distinct = [as_scalar(scalar_of_text(text)) if isinstance(text, str) else None for text in distinct]
    table = np.array([-NO_TIME, *(tick_of(value, unit, zone) for value in distinct)], np.int64)
    table[1:][unread] = -BAD_TIME
    return cast(I64, table[_indices(coded)])


def all_exact(floats: Any) -> bool:
    """Whether no float of an Arrow array is so large that it stands for several integers."""
    numbers = floats.fill_null(0.0).to_numpy(zero_copy_only=False)
    return bool((np.abs(numbers) < 2.0**53).all())


def judge_arrays(
    wanted: Wanted,
    records: Records,
    arrays: dict[str, Any],
    broken: Sequence[Rejected] = (),
    *,
    typed: bool = True,
) -> Part:
    """The same for Arrow arrays, one per name that the file has; untyped: texts, as of CSV."""
    coded: dict[str, EventColumn] = {}
    unfit: dict[str, Unfit] = {}
    texts: set[str] = set()
    for name in dict.fromkeys((wanted.key, *wanted.columns)):
        array = arrays[name] if name in arrays else pa.nulls(len(records.lines))
        try:
            coded[name], unfit[name] = encode(array)
        except EventError as error:
            raise EventError(f"column {name!r} of {wanted.path}: {error}") from None
        if not pa.types.is_primitive(array.type):
            texts.add(name)
    tick = ticks_of(arrays[wanted.time], wanted.unit, typed=typed, zone=wanted.zone)
    columns = {n: coded[n] for n in wanted.columns}
    if not typed:
        for name, column in columns.items():
            columns[name], unfit[name] = retyped(column)
    return judge(wanted, records, Parsed(coded[wanted.key], tick, columns, unfit, texts), broken)

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
from timeline.reading.columns import NUMBER, retyped, scalar_of_text
from timeline.reading.judging import Parsed, judge
from timeline.reading.model import BAD_TIME, NO_TIME, Mask, Part, Records, Rejected, TimeUnit, Wanted
from timeline.reading.times import float_ticks, tick_of, whole_ticks
from timeline.tables.events import EventColumn
from timeline.values.scalars import Scalar, canonical
from timeline.values.vocabulary import I64, Vocabulary

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


def encode(array: Any) -> EventColumn | None:
    """An Arrow array as codes and distinct values; ``None`` if its values are nested.

    Raises:
        EventError: values that no JSON scalar can stand for.
    """
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
    indices = coded.indices.fill_null(-1) if coded.indices.null_count else coded.indices
    codes = np.add(indices.to_numpy(zero_copy_only=False), 1, dtype=np.int64)
    if shared or types.is_decimal(value_type):
        # A dictionary that came with the file may repeat values, and hold some that nobody uses.
        used = np.flatnonzero(np.bincount(codes, minlength=len(values) + 1)[1:])
        recode = np.zeros(len(values) + 1, np.int64)
        kept = [values[i] for i in used.tolist()]
        if types.is_string(value_type) and len(set(kept)) == len(kept) and None not in kept:
            recode[used + 1] = np.arange(1, len(kept) + 1)
            return EventColumn(recode[codes], [None, *kept])
        vocabulary = Vocabulary()
        recode[used + 1] = vocabulary.encode(kept)
        return EventColumn(recode[codes], vocabulary.values)
    return EventColumn(codes, [None, *values])


def _scalars(dictionary: Any) -> list[Scalar]:
    types, kind = pa.types, dictionary.type
    if types.is_decimal(kind):
        return [
            None if v is None else int(v) if v == v.to_integral_value() else float(v)
            for v in dictionary.to_pylist()
        ]
    if types.is_floating(kind):
        return list(map(canonical, dictionary.to_numpy(zero_copy_only=False).tolist()))
    if types.is_integer(kind) and not dictionary.null_count:
        return cast(list[Scalar], dictionary.to_numpy(zero_copy_only=False).tolist())
    if types.is_binary(kind) or types.is_large_binary(kind):
        dictionary = dictionary.cast(pa.string())
    return cast(list[Scalar], dictionary.to_pylist())


def ticks_of(array: Any, unit: TimeUnit, *, typed: bool = True) -> I64:
    """Ticks of an Arrow array, below 0 where there is none; untyped (CSV): digits are a number."""
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
    if not array.null_count:
        return ticks
    return np.where(pc.is_null(array).to_numpy(zero_copy_only=False), -NO_TIME, ticks)


def _text_ticks(array: Any, unit: TimeUnit, typed: bool) -> I64:
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
    distinct = coded.dictionary.to_pylist()
    if not typed:
        distinct = [scalar_of_text(text) for text in distinct]
    table = np.array([-NO_TIME, *(tick_of(value, unit) for value in distinct)], np.int64)
    return cast(I64, table[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False) + 1])


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
    nested: dict[str, Mask] = {}
    texts: set[str] = set()
    for name in dict.fromkeys((wanted.key, *wanted.columns)):
        array = arrays[name] if name in arrays else pa.nulls(len(records.lines))
        try:
            column = encode(array)
        except EventError as error:
            raise EventError(f"column {name!r} of {wanted.path}: {error}") from None
        if not pa.types.is_primitive(array.type):
            texts.add(name)
        if column is None:
            nested[name] = array.is_valid().to_numpy(zero_copy_only=False)
            column = EventColumn(np.zeros(len(array), np.int64), [None])
        coded[name] = column
    tick = ticks_of(arrays[wanted.time], wanted.unit, typed=typed)
    columns = {n: coded[n] if typed else retyped(coded[n]) for n in wanted.columns}
    return judge(wanted, records, Parsed(coded[wanted.key], tick, columns, nested, texts), broken)

"""Ticks from times: one by one, and as vectors that agree with that."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from timeline.errors import DurationError
from timeline.reading.columns import NUMBER, scalar_of_text
from timeline.reading.model import BAD_TIME, NO_TIME, OUT_OF_RANGE, TimeUnit
from timeline.values.ticks import MAX_TICK, parse_rfc3339
from timeline.values.vocabulary import I64

_INTEGER = r"^-?(0|[1-9][0-9]*)$"
# What Arrow and `parse_rfc3339` read alike; anything else is left to the latter alone.
_RFC3339 = (
    r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
_PER_MS = {"ms": 1, "us": 1_000, "ns": 1_000_000}

F = TypeVar("F", float, NDArray[np.float64])


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
        tick = round(_micro(value, unit)) // 1_000
    else:
        tick = int(value) * 1_000 if unit == "s" else int(value) // _PER_MS[unit]
    return tick if tick <= MAX_TICK else -OUT_OF_RANGE


def _micro(time: F, unit: TimeUnit) -> F:
    # Fractions are rounded to the microsecond first: 1.001 s is 1000.9999... ms as a float.
    if unit == "ns":
        return time / 1e3
    return time * {"s": 1e6, "ms": 1e3, "us": 1.0}[unit]


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
    too_late = MAX_TICK // 1_000 + 1  # clipped to it, seconds cannot overflow
    if unit == "s":
        ticks = np.clip(numbers, -1, too_late) * 1_000
    else:
        ticks = numbers if unit == "ms" else numbers // _PER_MS[unit]
    return np.where((numbers < 0) | (ticks > MAX_TICK), -OUT_OF_RANGE, ticks)


def float_ticks(numbers: NDArray[np.float64], unit: TimeUnit) -> I64:
    in_range = (numbers >= 0) & (numbers < 2.0**63)
    safe = np.where(in_range, numbers, 0.0)
    whole = safe == np.floor(safe)
    micro = np.rint(_micro(np.where(whole, 0.0, safe), unit))
    micro = np.minimum(micro, float((MAX_TICK + 1) * 1_000)).astype(np.int64)
    fractional = micro // 1_000
    fractional = np.where(fractional > MAX_TICK, -OUT_OF_RANGE, fractional)
    ticks = np.where(whole, whole_ticks(safe.astype(np.int64), unit), fractional)
    return np.where(np.isnan(numbers), -BAD_TIME, np.where(in_range, ticks, -OUT_OF_RANGE))


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

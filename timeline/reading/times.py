"""Ticks from times: one by one, and as vectors that agree with that."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from timeline.errors import DurationError
from timeline.reading.model import BAD_TIME, NAIVE, NO_TIME, OUT_OF_RANGE, TimeUnit
from timeline.values.ticks import MAX_TICK, parse_rfc3339
from timeline.values.vocabulary import I64
from timeline.values.zones import in_zone

_PER_MS = {"ms": 1, "us": 1_000, "ns": 1_000_000}

F = TypeVar("F", float, NDArray[np.float64])


def tick_of(value: object, unit: TimeUnit, zone: str | None = None) -> int:
    """The tick of one time (of ``zone`` if it says none), or minus the reason why it is none. The vectors
    below agree with it."""
    if value is None:
        return -NO_TIME
    if isinstance(value, str):
        return _tick_of_text(value, zone)
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


def _tick_of_text(text: str, zone: str | None) -> int:
    try:
        tick = parse_rfc3339(text)
    except DurationError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return -BAD_TIME
        if moment.tzinfo is not None:
            return -OUT_OF_RANGE
        return -NAIVE if zone is None else tick_in_zone(moment, zone)
    return tick if tick <= MAX_TICK else -OUT_OF_RANGE


def tick_in_zone(moment: datetime, zone: str) -> int:
    """The tick of what a clock in a zone showed."""
    try:
        tick = parse_rfc3339(in_zone(moment, zone).isoformat())
    except (DurationError, OverflowError):
        return -OUT_OF_RANGE
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

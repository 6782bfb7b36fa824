"""Time: integer milliseconds (ticks), durations as the DSL writes them, RFC 3339 on entry."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction

from timeline.errors import DurationError, shortened

TICK_BITS = 42
#: The last tick there is (the year 2109, when counted from the epoch).
MAX_TICK: int = 2**TICK_BITS - 1

UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
#: What units are called elsewhere.
SPELLED = {
    **dict.fromkeys(("msec", "msecs", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
}
_DURATION = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)(ms|s|m|h|d)?")


def parse_duration(text: str) -> int:
    """Milliseconds of a duration: ``500ms``, ``5s``, ``10m``, ``2h``, ``1d``; a bare number is seconds.

    Raises:
        DurationError: not a duration, not a whole number of ms, or longer than time itself.

    >>> parse_duration("5s"), parse_duration("1.5"), parse_duration("2h")
    (5000, 1500, 7200000)
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise DurationError(
            f"not a duration: {shortened(text)!r}; write a number and a unit, such as 500ms, 5s, 10m, 2h "
            f"or 1d{_meant(text)}"
        )
    ms = Fraction(match[1]) * UNITS[match[2] or "s"]
    if ms.denominator != 1:
        raise DurationError(f"a duration is a whole number of milliseconds, got {text!r}")
    if ms > MAX_TICK:
        raise DurationError(f"duration {text!r} is longer than {format_duration(MAX_TICK)}")
    return int(ms)


def unit_of(word: str) -> str | None:
    """Which of our units another word for one means.

    >>> unit_of("Minutes"), unit_of("h"), unit_of("x")
    ('m', 'h', None)
    """
    word = word.lower()
    return word if word in UNITS else SPELLED.get(word)


def _meant(text: str) -> str:
    spelled = re.fullmatch(r"([0-9.]{1,40})\s*([A-Za-z]{1,20})", text.strip())
    unit = None if spelled is None else unit_of(spelled[2])
    return "" if spelled is None or unit is None else f"; did you mean {spelled[1]}{unit}?"


def format_duration(ms: int) -> str:
    """The shortest exact DSL text of a duration in ms.

    >>> format_duration(5000), format_duration(1500), format_duration(3_600_000)
    ('5s', '1500ms', '1h')
    """
    for unit in ("d", "h", "m", "s"):
        if ms and ms % UNITS[unit] == 0:
            return f"{ms // UNITS[unit]}{unit}"
    return f"{ms}ms"


def parse_time(text: str, *, utc: bool = False) -> int:
    """The tick of a time that a person types: integer ms, a duration since the origin of time, RFC 3339, or
    a date, which begins at midnight UTC. With ``utc``, a time of day without an offset is in UTC too.

    Raises:
        DurationError: none of these, or outside ``0 .. MAX_TICK``.

    >>> parse_time("8000"), parse_time("8s"), parse_time("1970-01-01T00:00:08Z")
    (8000, 8000, 8000)
    >>> parse_time("1970-01-02")
    86400000
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,18}", text):
        tick = int(text)
    elif _DURATION.fullmatch(text):
        tick = parse_duration(text)
    else:
        dated = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is not None
        tick = parse_rfc3339(text, utc=utc or dated)
    if tick > MAX_TICK:
        raise DurationError(f"time {text!r} is after the last tick, {MAX_TICK} ms")
    return tick


def parse_rfc3339(text: str, *, utc: bool = False) -> int:
    """Milliseconds since the epoch of an RFC 3339 time with an offset; what is below 1 ms is cut off. With
    ``utc``, one without an offset is in UTC.

    Raises:
        DurationError: not RFC 3339, without an offset, or before 1970.

    >>> parse_rfc3339("2026-03-01T12:00:00.250+01:00")
    1772362800250
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DurationError(
            f"not a time: {shortened(text)!r}; write ms such as 8000, a duration such as 8s, "
            f"a date such as 2026-03-01, or RFC 3339 such as 2026-03-01T12:00:00Z{_meant(text)}"
        ) from None
    if moment.tzinfo is None and utc:
        moment = moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise DurationError(f"time {text!r} has no offset; end it with Z or +hh:mm")
    # In whole numbers throughout: a float would lose ms a few centuries out.
    delta = moment - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    ms = (delta.days * 86_400 + delta.seconds) * 1_000 + delta.microseconds // 1_000
    if ms < 0:
        raise DurationError(f"time {text!r} is before 1970, and time is never negative")
    return ms


def format_seconds(ms: int) -> int | float:
    """A number of ms as the seconds that a user sees: an int when whole, otherwise the nearest float.

    >>> format_seconds(3000), format_seconds(1500)
    (3, 1.5)
    """
    return ms // 1_000 if ms % 1_000 == 0 else ms / 1_000

"""Times and durations as programs say them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeAlias

from timeline.errors import DurationError, RequestError
from timeline.values.ticks import parse_duration, parse_time

#: A time: ms, what the command line takes (``"8s"``, RFC 3339), or a datetime with a zone.
Time: TypeAlias = int | str | datetime
#: A duration: ms, text such as ``"5m"``, or a timedelta.
Duration: TypeAlias = int | str | timedelta


def ticks(at: Time | Iterable[Time], *, utc: bool = False) -> list[int]:
    """The ticks (ms) of one time or of several."""
    several = at if isinstance(at, Iterable) and not isinstance(at, str) else [at]
    return [tick(time, utc=utc) for time in several]


def tick(time: Time, *, utc: bool = False) -> int:
    """The tick (ms) of a time; with ``utc``, one without a zone is in UTC.

    >>> from datetime import UTC
    >>> tick("8s"), tick(8_000), tick(datetime(1970, 1, 1, 0, 0, 8, tzinfo=UTC))
    (8000, 8000, 8000)
    >>> tick("1970-01-02"), tick("1970-01-01T00:00:08", utc=True)
    (86400000, 8000)

    Raises:
        RequestError: it is of no kind that is a time.
        DurationError: a text that is no time, or a time of day without a zone.
    """
    if isinstance(time, bool) or not isinstance(time, int | str | datetime):
        raise RequestError(f"a time is ms, text such as 8s or RFC 3339, or a datetime, got {time!r}")
    if isinstance(time, datetime):
        if time.tzinfo is None and not utc:
            raise DurationError(f"a datetime needs a zone to be a time, got {time!r}; give it tzinfo=UTC")
        return parse_time(time.isoformat(), utc=utc)
    return parse_time(time, utc=utc) if isinstance(time, str) else time


def milliseconds(duration: Duration) -> int:
    """A duration in ms.

    >>> milliseconds("5s"), milliseconds(5_000), milliseconds(timedelta(seconds=5))
    (5000, 5000, 5000)

    Raises:
        DurationError: a text that is no duration.
    """
    if isinstance(duration, timedelta):
        return duration // timedelta(milliseconds=1)
    return parse_duration(duration) if isinstance(duration, str) else duration

"""Times and durations as programs say them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

from timeline.errors import DurationError, RequestError
from timeline.values.ticks import parse_duration, parse_time

#: A time: ms, what the command line takes (``"8s"``, RFC 3339), or a datetime with a zone.
Time: TypeAlias = int | str | datetime
#: A duration: ms, text such as ``"5m"``, or a timedelta.
Duration: TypeAlias = int | str | timedelta


def ticks(at: Time | list[Time] | tuple[Time, ...]) -> list[int]:
    """The ticks (ms) of one time or of several."""
    return [tick(time) for time in at] if isinstance(at, list | tuple) else [tick(at)]


def tick(time: Time) -> int:
    """The tick (ms) of a time.

    >>> from datetime import UTC
    >>> tick("8s"), tick(8_000), tick(datetime(1970, 1, 1, 0, 0, 8, tzinfo=UTC))
    (8000, 8000, 8000)

    Raises:
        RequestError: it is of no kind that is a time.
        DurationError: a text that is no time, or a datetime without a zone.
    """
    if isinstance(time, bool) or not isinstance(time, int | str | datetime):
        raise RequestError(f"a time is ms, text such as 8s or RFC 3339, or a datetime, got {time!r}")
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise DurationError(f"a datetime needs a zone to be a time, got {time!r}; give it tzinfo=UTC")
        return parse_time(time.isoformat())
    return parse_time(time) if isinstance(time, str) else time


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

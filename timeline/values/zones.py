"""Time zones by name, for times that say none."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from timeline.errors import DurationError, shortened


@lru_cache(maxsize=100)
def zone_named(name: str) -> ZoneInfo:
    """The zone of a name such as ``Europe/Berlin``.

    Raises:
        DurationError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DurationError(
            f"no time zone is called {shortened(name)!r}; write one such as Europe/Berlin or UTC"
        ) from None


def in_zone(moment: datetime, name: str) -> datetime:
    """What a clock of that zone showed: of an hour that comes twice the first, of one that the clock leaves
    out as many minutes behind it.

    >>> in_zone(datetime(2013, 1, 1, 5), "America/New_York").isoformat()
    '2013-01-01T05:00:00-05:00'
    """
    return moment.replace(tzinfo=zone_named(name))

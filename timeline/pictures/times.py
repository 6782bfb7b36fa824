"""Times and lengths of time as a picture says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from timeline.pictures.axis import DATED


def time_text(tick: int) -> str:
    """A time as a date, or as seconds since an origin of the data's own.

    >>> time_text(1_356_998_400_250), time_text(7_500)
    ('2013-01-01 00:00:00.250', '7.5 s')
    """
    if tick < DATED:
        return f"{tick / 1000:.10g} s"
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=tick)
    return moment.replace(tzinfo=None).isoformat(" ", "milliseconds" if tick % 1000 else "seconds")


def duration_text(ms: int) -> str:
    """A length of time, in the two units that say it best.

    >>> duration_text(7_500), duration_text(90_000), duration_text(3 * 86_400_000 + 7_200_000)
    ('7.5 s', '1 min 30 s', '3 d 2 h')
    """
    if ms < 60_000:
        return f"{ms / 1000:.10g} s"
    for unit, name, below, lesser in (
        (86_400_000, "d", 3_600_000, "h"),
        (3_600_000, "h", 60_000, "min"),
        (60_000, "min", 1_000, "s"),
    ):
        if ms >= unit:
            rest = ms % unit // below
            return f"{ms // unit} {name}" + (f" {rest} {lesser}" if rest else "")
    raise AssertionError(ms)

"""The axis of time: where its marks are, and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from timeline.reading.heads import EARLIEST
from timeline.values.ticks import format_duration

#: Times from here on (ms) are dates; earlier ones count from an origin of the data's own.
DATED = EARLIEST * 1_000

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_STEPS = (
    *(n * 10**power for power in range(3) for n in (1, 2, 5)),
    *(n * _SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14)),
)
#: Steps of longer axes, in months.
_MONTHS = (1, 3, 6, *(n * 12 * 10**power for power in range(4) for n in (1, 2, 5)))
_MONTH = 30 * _DAY
#: The first Monday (ms): weeks begin with it.
_MONDAY = 4 * _DAY


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on the axis: what it says, and the day that it begins, if one must be told."""

    tick: int
    label: str
    day: str = ""


def marks(start: int, end: int, most: int) -> list[Mark]:
    """At most about so many marks from ``start`` to ``end`` (ms), at round times: dates in UTC if the times
    are dates, else durations since the data's origin.

    >>> [mark.label for mark in marks(1_000, 11_000, 5)]
    ['2s', '4s', '6s', '8s', '10s']
    >>> [(mark.label, mark.day) for mark in marks(1_356_998_400_000, 1_357_005_600_000, 3)]
    [('00:00', '2013-01-01'), ('01:00', ''), ('02:00', '')]
    >>> [mark.label for mark in marks(1_356_998_400_000, 1_388_534_400_000, 4)]
    ['2013-01', '2013-07', '2014-01']
    """
    least = (end - start) / max(most, 1)
    dated = end >= DATED
    step = next((step for step in _STEPS if step >= least), None)
    if step is None and dated:
        return list(_monthly(start, end, least))
    if step is None:
        step = _DAY * 10 ** len(str(int(least / _DAY)))
    if not dated:
        return [Mark(tick, format_duration(tick) if tick else "0") for tick in _multiples(start, end, step)]
    if step >= _DAY:
        shift = _MONDAY if step % (7 * _DAY) == 0 else 0
        return [Mark(t, f"{_moment(t):%Y-%m-%d}") for t in _multiples(start, end, step, shift)]
    return list(_of_day(start, end, step))


def _moment(tick: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=tick)


def _multiples(start: int, end: int, step: int, shift: int = 0) -> range:
    return range(shift + -(-(start - shift) // step) * step, end + 1, step)


def _of_day(start: int, end: int, step: int) -> Iterator[Mark]:
    length = len("hh:mm" if step >= _MINUTE else "hh:mm:ss" if step >= _SECOND else "hh:mm:ss.mmm")
    before = ""
    for tick in _multiples(start, end, step):
        moment = _moment(tick)
        day = f"{moment:%Y-%m-%d}"
        yield Mark(tick, moment.time().isoformat("milliseconds")[:length], day if day != before else "")
        before = day


def _monthly(start: int, end: int, least: float) -> Iterator[Mark]:
    step = next((step for step in _MONTHS if step * _MONTH >= least), _MONTHS[-1])
    first = _moment(start)
    month = -(-(first.year * 12 + first.month - 1) // step) * step
    while True:
        year, of_year = divmod(month, 12)
        tick = (datetime(year, of_year + 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
            milliseconds=1
        )
        if tick > end:
            return
        if tick >= start:
            yield Mark(tick, f"{year}" if step % 12 == 0 else f"{year}-{of_year + 1:02}")
        month += step

"""The head of a file: the names of all its columns, and its first times as they are written.

Readers read only what an expression wants; what else there could be is asked when something seems wrong.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from timeline.language.mistakes import Mistake
from timeline.reading.files import CSV, PARQUET, format_of, open_file, read_lines
from timeline.reading.model import TimeUnit
from timeline.reading.separators import separator_of

#: So much of a file is its head.
LINES = 1_000
BYTES = 1 << 20

_PER_SECOND: dict[TimeUnit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
#: Between 1990 and 2100 (s) times are taken for what they say.
EARLIEST = 631_152_000
_LATEST = 4_102_444_800


@dataclass(frozen=True, slots=True)
class Head:
    """The names of columns in the order in which they come; times, but none unless all are numbers."""

    names: tuple[str, ...] = ()
    times: tuple[float, ...] = ()

    def __add__(self, other: Head) -> Head:
        return Head(tuple(dict.fromkeys(self.names + other.names)), self.times + other.times)


def head_of(path: str, time: str) -> Head:
    """The head of a file of events, whose times are in the column ``time``.

    Raises:
        EventError: it cannot be read.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
    ...     _ = file.write("card,at,place\\n1,1700000000,x\\n2,1700000001.5,y\\n")
    ...     file.flush()
    ...     head_of(file.name, "at")
    Head(names=('card', 'at', 'place'), times=(1700000000, 1700000001.5))
    """
    suffix = format_of(path)
    if suffix in PARQUET:
        from timeline.reading.parquet import first_rows

        names, rows = first_rows(path, time, LINES)
        return Head(tuple(names), numbers(rows))
    with open_file(path) as stream:
        lines = read_lines(stream, BYTES, path).split(b"\n")
    return _csv_head(path, lines, time) if suffix in CSV else head_of_records(lines, time)


def head_of_records(records: Iterable[bytes], time: str) -> Head:
    """The same of JSON objects, one a record, of which the first are looked at."""
    names: dict[str, None] = {}
    times: list[Any] = []
    for _, record in zip(range(LINES), records, strict=False):
        try:
            row = orjson.loads(record)
        except orjson.JSONDecodeError:
            continue
        if isinstance(row, dict):
            names.update(dict.fromkeys(row))
            times.append(row.get(time))
    return Head(tuple(names), numbers(times))


def _csv_head(path: str, lines: Sequence[bytes], time: str) -> Head:
    from timeline.reading.columns import scalar_of_text

    text = b"\n".join(lines[:LINES]).decode("utf-8-sig", "replace")
    rows = csv.reader(io.StringIO(text), delimiter=separator_of(path, text, (time,)))
    names: list[str] = []
    times: list[Any] = []
    try:
        names = next(rows, [])
        at = names.index(time) if time in names else len(names)
        times = [scalar_of_text(row[at]) for row in rows if at < len(row)]
    except csv.Error:
        pass  # the reader says what is wrong with it
    return Head(tuple(names), numbers(times))


def numbers(times: Sequence[Any]) -> tuple[float, ...]:
    """Times that are numbers; none if any is something else: text says what it means."""
    some = [t for t in times if t is not None]
    return tuple(some) if {type(t) for t in some} <= {int, float} else ()


def unit_mistake(times: Sequence[float], unit: TimeUnit, column: str, option: str) -> Mistake | None:
    """What is wrong with the unit of times, if all are too early or too late to be times of our days, and in
    another unit are such; ``None`` if nothing is. ``option`` says how one says a unit.

    >>> str(unit_mistake([1_700_000_000], "ms", "at", "--time-unit {}"))
    ... # doctest: +NORMALIZE_WHITESPACE
    'the times in the column at are all before 1990 if they are in ms (the first is 1970-01-20), and begin on
     2023-11-14 if they are in s (1 looked at); did you mean --time-unit s?'
    >>> unit_mistake([0, 3_600_000], "ms", "at", "--time-unit {}")
    """
    if not times:
        return None
    first, last = min(times), max(times)
    too_early = last < EARLIEST * _PER_SECOND[unit]
    too_late = first > _LATEST * _PER_SECOND[unit]
    fitting = [u for u, p in _PER_SECOND.items() if EARLIEST * p <= first and last <= _LATEST * p]
    if not fitting or not (too_early or too_late):
        return None
    was = f"after 2100 if they are in {unit}"
    if too_early:
        was = f"before 1990 if they are in {unit} (the first is {_day(first, unit)})"
    text = (
        f"the times in the column {column} are all {was}, and begin on {_day(first, fitting[0])} if they are "
        f"in {fitting[0]} ({len(times):,} looked at)"
    )
    return Mistake("unit", text, option.format(fitting[0]))


def _day(time: float, unit: TimeUnit) -> str:
    return f"{datetime.fromtimestamp(time / _PER_SECOND[unit], UTC):%Y-%m-%d}"

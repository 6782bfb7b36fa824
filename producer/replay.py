"""Events of files as messages: as they are in the file, with the key and the time that they carry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson

from producer.messages import Chunk
from timeline.errors import EventError
from timeline.reading import TimeUnit, read_events

#: Lines of a file that are read at once.
LINES = 10_000


def replay(
    path: str | Path, *, key: str, time: str, columns: Sequence[str] = (), unit: TimeUnit = "ms"
) -> Iterator[Chunk]:
    """The events of a file in its order. Lines of JSON are sent byte by byte, broken ones too.

    Events of other formats become JSON objects with the key, the time (ms) and ``columns``.

    Raises:
        EventError: the file cannot be read, or nothing in it carries the key or the time.
    """
    path = Path(path)
    if path.suffix in (".jsonl", ".ndjson"):
        yield from _lines(path, key, time, unit)
        return
    for block in read_events(path, key=key, time=time, columns=columns, unit=unit):
        events = block.events
        names = [events.keys[i] for i in events.key.tolist()]
        rows: list[dict[str, object]] = [
            {key: name, time: tick} for name, tick in zip(names, events.tick.tolist(), strict=True)
        ]
        for name, column in events.columns.items():
            for row, code in zip(rows, column.codes.tolist(), strict=True):
                if code:
                    row[name] = column.values[code]
        yield Chunk(names, events.tick, list(map(orjson.dumps, rows)))


def _lines(path: Path, key: str, time: str, unit: TimeUnit) -> Iterator[Chunk]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise EventError(f"cannot read {path}: {error.strerror}") from None
    # The first block says whether these are events at all.
    next(read_events(path, key=key, time=time, columns=[], unit=unit), None)
    with file:
        tick, name = 0, ""
        while lines := [line.rstrip(b"\r\n") for _, line in zip(range(LINES), file, strict=False)]:
            names, ticks, payloads = [], [], []
            for line in filter(None, lines):
                try:
                    row = orjson.loads(line)
                    name, tick = str(row[key]), _ms(row[time], unit)
                except (ValueError, KeyError, TypeError):
                    pass  # goes with the event before it: what is broken is for the feeder to say
                names.append(name)
                ticks.append(tick)
                payloads.append(line)
            yield Chunk(names, np.array(ticks, np.int64), payloads)


def _ms(value: object, unit: TimeUnit) -> int:
    from timeline.reading.times import tick_of

    tick = tick_of(value, unit)
    if tick < 0:
        raise ValueError("not a time")
    return tick

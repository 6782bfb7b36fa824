"""The one way into a file of events, whatever its format."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from timeline.reading.files import CSV, PARQUET, format_of, open_file, read_chunk
from timeline.reading.model import Block, TimeUnit, Wanted

# The modules of the formats are imported when they are needed, because they import pyarrow.


def read_events(
    path: str | os.PathLike[str],
    *,
    key: str,
    time: str,
    columns: Sequence[str],
    unit: TimeUnit = "ms",
    after: int = 0,
    block_bytes: int = 1 << 24,
    jobs: int = 1,
    latest: int | None = None,
    zone: str | None = None,
) -> Iterator[Block]:
    """The events of a file in its order, in blocks of about ``block_bytes``.

    The suffix decides the format: ``.jsonl``, ``.ndjson``, ``.json`` (JSON Lines), ``.csv``, ``.tsv``
    (all of them also packed: ``.gz``, ``.zst``), ``.parquet``, ``.pq``. The columns of a ``.csv`` are
    separated by that of ``, ; tab |`` by which its header has the key and the time. Ticks are ms; times
    that are numbers are in ``unit``, timestamps and RFC 3339 strings speak for themselves. Only ``key``,
    ``time`` and ``columns`` are read; a column that the file does not have is missing in every event.
    ``after`` skips the lines (Parquet: rows) up to and including that one. ``jobs`` blocks are read side
    by side, a few ahead of what is asked for; what is read does not depend on it. An event whose time is
    later than ``latest`` (ms) is rejected.

    Times that say no zone are of ``zone``, such as ``Europe/Berlin``; without it text that says none is
    rejected, and timestamps are in UTC.

    Raises:
        EventError: at once if the file is absent, unreadable or of an unknown format; while reading
            if the file is damaged or nothing in it carries the key or the time.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
    ...     _ = file.write('{"session": "a", "time": 1000, "state": "play"}\\n')
    ...     _ = file.write('{"session": "a", "time": "soon"}\\n')
    ...     file.flush()
    ...     [block] = read_events(file.name, key="session", time="time", columns=["state"])
    >>> block.events.keys, block.events.tick.tolist(), block.events.columns["state"].values
    (['a'], [1000], [None, 'play'])
    >>> [(r.line, r.reason) for r in block.rejected], block.last
    ([(2, 'not a time')], 2)
    """
    name = os.fspath(path)
    suffix = format_of(name)
    open_file(name).close()
    wanted = Wanted(name, key, time, tuple(dict.fromkeys(columns)), unit, latest, zone)
    if suffix in PARQUET:
        from timeline.reading.parquet import read_parquet

        return read_parquet(wanted, after, block_bytes, jobs)
    if suffix in CSV:
        from timeline.reading.csv import read_csv

        return read_csv(wanted, after, block_bytes, jobs)
    from timeline.reading.jsonl import read_jsonl

    return read_jsonl(wanted, after, block_bytes, jobs)


def count_lines(path: str | os.PathLike[str]) -> int:
    """The number of the last line (Parquet: row) of a file: ``Block.last`` of its last block.

    A last line without a newline counts unless it is blank; a CSV header counts.

    Raises:
        EventError: the file is absent, unreadable, damaged or of an unknown format.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("wb", suffix=".csv") as file:
    ...     _ = file.write(b"key,time\\na,1\\nb,2")
    ...     file.flush()
    ...     count_lines(file.name)
    3
    """
    name = os.fspath(path)
    if format_of(name) in PARQUET:
        from timeline.reading.parquet import count_rows

        return count_rows(name)
    lines, tail = 0, b""
    with open_file(name) as stream:
        while chunk := read_chunk(stream, 1 << 20, name):
            lines += chunk.count(b"\n")
            # Only whether the line after the last newline is blank matters, not what is in it.
            tail = (chunk if b"\n" in chunk else tail + chunk).rpartition(b"\n")[2].strip()[:1]
    return lines + bool(tail)

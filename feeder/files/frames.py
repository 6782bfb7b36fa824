"""Feeding data in memory: a table becomes a file of events that stays, and is fed as files are."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from feeder.files.feed import Progress, Report, feed_files
from timeline.errors import EventError
from timeline.reading import Rejected
from timeline.reading.frames import Frame, FrameReader
from timeline.reading.model import Block, TimeUnit
from timeline.spec.spec import Spec
from workflows.client import Client


async def feed_frame(
    timelines: Client,
    name: str,
    frame: Frame,
    *,
    folder: str | os.PathLike[str],
    on_progress: Callable[[Progress], None] = lambda _: None,
    again: bool = False,
) -> Report:
    """Feeds a table to a timeline, and waits until its result has the events: a table of pandas, Polars or
    pyarrow, a relation of DuckDB, whatever speaks Arrow.

    The columns of key and time are those of the spec; timestamps without a zone are in UTC. The table is
    written to ``folder`` as JSON Lines, which must stay there: timelines that come later read it too. What
    was fed before is not fed again: neither the same table, nor the rows that one begins with. A feed that
    was interrupted goes on when it is called again. Rows that hold no event are in ``rejected`` of the
    report.

    Raises:
        EventError: a table that cannot be read, or has no such column; no room for the file.
        NotFoundError: no timeline of that name.
        TimelineError: as `feeder.files.feed_files`.
    """
    spec = await timelines.registry.spec(name)
    every = (await timelines.registry.specs()).values()
    needed = {c for one in every if one.source_id == spec.source_id for c in one.plan.columns}
    path, rejected = await asyncio.to_thread(write_frame, spec, frame, Path(folder), needed)
    report = await feed_files(timelines, spec, [path], on_progress, again=again)
    report.rejected = [*rejected, *report.rejected]
    return report


def write_frame(
    spec: Spec, frame: Frame, folder: Path, needed: Collection[str]
) -> tuple[Path, list[Rejected]]:
    """The file of a table's events, named by what is in it; and the rows that hold none.

    Raises:
        EventError: the table cannot be read, or the file not be written.
    """
    source = spec.source
    unit: TimeUnit = source.numeric_unit
    table = _table(frame, spec, needed)
    columns = [c for c in table.column_names if c not in (source.key, source.time)]
    reader = FrameReader(table, source.key, source.time, unit)
    reader.name = type(frame).__name__
    rejected: list[Rejected] = []
    digest = hashlib.sha256()
    temporary: str | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=folder, suffix=".part", delete=False) as file:
            temporary = file.name
            for block in reader.blocks(columns):
                rejected += block.rejected
                for line in _lines(block, spec):
                    digest.update(line)
                    file.write(line)
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"{spec.name}-{digest.hexdigest()[:16]}.jsonl"
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise EventError(f"cannot write the table to {folder}: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return path, rejected


def _table(frame: Frame, spec: Spec, needed: Collection[str]) -> pa.Table:
    """A frame with the columns that events can carry. Where nobody reads a column, what is no number in it
    (NaN) is no reason to reject the event."""
    source = spec.source
    try:
        table = pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError):
        FrameReader(frame, source.key, source.time)  # says what is wrong with it
        raise
    kept: dict[str, Any] = {}
    for name in dict.fromkeys(table.column_names):
        column = table.column(name)
        wanted = name in (source.key, source.time) or name in needed
        if not wanted and pa.types.is_nested(column.type):
            continue
        if not wanted and pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
        kept[name] = column
    return pa.table(kept)


def _lines(block: Block, spec: Spec) -> Iterator[bytes]:
    events, source = block.events, spec.source
    times: list[Any] = events.tick.tolist()
    if source.numeric_unit != "ms":
        times = [_rfc3339(tick) for tick in times]
    values = {
        name: [column.values[code] for code in column.codes.tolist()]
        for name, column in events.columns.items()
    }
    for row, (key, time) in enumerate(zip(events.key.tolist(), times, strict=True)):
        event = {source.key: events.keys[key], source.time: time}
        for name, column in values.items():
            if (value := column[row]) is not None:
                event[name] = orjson.Fragment(str(value)) if isinstance(value, Decimal) else value
        yield orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


def _rfc3339(tick: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=tick)
    return moment.isoformat(timespec="milliseconds")

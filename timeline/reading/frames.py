"""Events from data in memory: whatever speaks Arrow, read into columns without a loop over rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa

from timeline.errors import EventError
from timeline.jobs import in_order
from timeline.reading.arrow import flat, judge_arrays
from timeline.reading.batches import Rows
from timeline.reading.heads import LINES, Head, numbers
from timeline.reading.judging import block_of
from timeline.reading.model import Block, TimeUnit, Wanted

#: So many rows are read together; tables come in pieces of any size.
GROUP_ROWS = 1 << 20


class _Stream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class _Array(Protocol):
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...


#: A table of pandas, Polars or pyarrow, a relation of DuckDB: whatever has Arrow's PyCapsule interface.
Frame: TypeAlias = _Stream | _Array


class FrameReader:
    """Reads a frame once. ``name`` is what it is called in messages: its class.

    Times that are numbers are in ``unit``, timestamps without a zone in UTC. ``zone`` is that of the times:
    ``None`` if they are numbers, "" if they are timestamps without one.

    >>> frame = pa.table({"session": ["a", None], "time": [1000, 2000], "state": ["play", "seek"]})
    >>> [block] = FrameReader(frame, "session", "time").blocks(["state"])
    >>> block.events.keys, block.events.tick.tolist(), [str(one) for one in block.rejected]
    (['a'], [1000], ['Table:2: no key: {"session": null, "time": 2000, "state": "seek"}'])

    Raises:
        EventError: it does not speak Arrow, or lacks the column of the key or of the time.
    """

    def __init__(self, frame: Frame, key: str, time: str, unit: TimeUnit = "ms") -> None:
        self.name = type(frame).__name__
        self._batches = self._opened(frame)
        self._key, self._time, self._unit = key, time, unit
        self._first: list[Any] = []
        names = self._batches.schema.names
        for role, column in (("key", key), ("time", time)):
            if column not in names:
                raise EventError(
                    f"no column {column!r} in the {self.name}; its columns are {', '.join(names)}; "
                    f'name that of the {role} with {role}="..."'
                )
        self.zone = _zone_of(self._batches.schema.field(self._only(time)).type)

    @property
    def head(self) -> Head:
        """The names of all columns, and the first times; of these none before something is read."""
        return Head(tuple(self._batches.schema.names), numbers(self._first))

    def blocks(self, columns: list[str], jobs: int = 1) -> Iterator[Block]:
        """The events in the order of the rows, with their numbers (from 1 on) as positions.

        Raises:
            EventError: a column that cannot be read.
        """
        wanted = Wanted(self.name, self._key, self._time, tuple(columns), self._unit)
        have = set(self._batches.schema.names)
        needed = [self._only(name) for name in wanted.names if name in have]

        def judged(rows: Rows) -> Block:
            arrays = {name: flat(rows.batch.column(name)) for name in needed}
            return block_of(wanted, [judge_arrays(wanted, rows, arrays)], int(rows.lines[-1]))

        yield from in_order(judged, self._groups(needed), jobs)

    def _groups(self, needed: list[str]) -> Iterator[Rows]:
        last = 0
        batches: list[pa.RecordBatch] = []
        for batch in self._read(needed):
            batches.append(batch)
            count = sum(one.num_rows for one in batches)
            if count >= GROUP_ROWS:
                yield Rows(pa.Table.from_batches(batches), np.arange(last + 1, last + count + 1))
                last, batches = last + count, []
        if count := sum(one.num_rows for one in batches):
            yield Rows(pa.Table.from_batches(batches), np.arange(last + 1, last + count + 1))

    def _read(self, needed: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                chosen = batch.select(needed)
                if not self._first:
                    self._first = chosen.column(self._time).slice(0, LINES).to_pylist()
                yield chosen
        except (pa.ArrowException, OSError) as error:
            # Arrow adds the traceback of a reader in Python.
            what = str(error).partition(". Detail:")[0]
            raise EventError(f"cannot read the {self.name}: {what}") from None

    def _only(self, name: str) -> str:
        if self._batches.schema.names.count(name) > 1:
            raise EventError(f"the {self.name} has more than one column {name!r}; rename all but one")
        return name

    def _opened(self, frame: Any) -> pa.RecordBatchReader:
        try:
            if hasattr(frame, "__arrow_c_stream__"):
                return pa.RecordBatchReader.from_stream(frame)
            if hasattr(frame, "__arrow_c_array__"):
                batch = pa.record_batch(frame)
                return pa.RecordBatchReader.from_batches(batch.schema, [batch])
        except (pa.ArrowException, TypeError) as error:
            # pandas hands over all columns, whoever wants them.
            raise EventError(
                f"cannot read the {self.name}: {error}; choose the columns that are needed, such as "
                'frame[["session", "time", "state"]]'
            ) from None
        raise EventError(
            f"events are a table that speaks Arrow (of pandas, Polars or pyarrow, a relation of DuckDB), or "
            f"timeline.Events, got {self.name}; of rows make a table with pyarrow.Table.from_pylist(rows)"
        )


def _zone_of(kind: Any) -> str | None:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_timestamp(kind):
        return kind.tz or ""
    if types.is_date(kind):
        return ""
    texts = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return "UTC" if texts else None

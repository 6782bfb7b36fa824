"""Parquet by pyarrow, batch by batch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from timeline.errors import EventError
from timeline.jobs import in_order
from timeline.reading.arrow import flat, judge_arrays
from timeline.reading.files import damaged, open_file
from timeline.reading.judging import block_of
from timeline.reading.model import Block, Wanted
from timeline.values.vocabulary import I64


@dataclass(frozen=True, slots=True)
class _Rows:
    batch: pa.RecordBatch
    lines: I64

    def text(self, i: int) -> str:
        names, columns = self.batch.schema.names, self.batch.columns
        row = {name: _shown(column[i]) for name, column in zip(names, columns, strict=True)}
        return json.dumps(row, default=str, ensure_ascii=False)


def _shown(value: Any) -> Any:
    """A value for a person, also one that Python has not."""
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return value.cast(pa.binary()).as_py()
    except (ValueError, OverflowError):
        whole = pa.int32() if pa.types.is_date32(value.type) else pa.int64()
        return f"{value.cast(whole).as_py()} as {value.type}"


def count_rows(name: str) -> int:
    """The number of rows, from the footer alone."""
    with _open_parquet(name) as file:
        return int(file.metadata.num_rows)


def first_rows(name: str, column: str, count: int) -> tuple[list[str], list[Any]]:
    """The names of all columns, and the first values of one of them."""
    if os.path.getsize(name) == 0:
        return [], []
    with _open_parquet(name) as file:
        names = file.schema_arrow.names
        if column not in names:
            return names, []
        batch = next(file.iter_batches(batch_size=count, columns=[column]), None)
        return names, [] if batch is None else batch.column(0).to_pylist()


def read_parquet(wanted: Wanted, after: int, block_bytes: int, jobs: int) -> Iterator[Block]:
    """The blocks of a Parquet file (see `timeline.reading.read_events`)."""
    if os.path.getsize(wanted.path) == 0:
        return
    with _open_parquet(wanted.path) as file:
        schema, metadata = file.schema_arrow, file.metadata
    wanted.require(schema.names)
    needed = [name for name in wanted.names if name in schema.names]
    text = [name for name in needed if pa.types.is_string(schema.field(name).type)]
    # Whole row groups at or before `after` need not be read.
    row, group = 0, 0
    while group < metadata.num_row_groups:
        rows = metadata.row_group(group).num_rows
        if row + rows > after:
            break
        row, group = row + rows, group + 1
    groups = list(range(group, metadata.num_row_groups))
    size = max(1, block_bytes // 64)

    def batches(file: Any, row: int) -> Iterator[_Rows]:
        for batch in file.iter_batches(batch_size=size, row_groups=groups, columns=needed):
            first, row = max(row, after), row + batch.num_rows
            if first < row:
                batch = batch.slice(batch.num_rows - (row - first))
                yield _Rows(batch, np.arange(first + 1, row + 1, dtype=np.int64))

    def judged(rows: _Rows) -> Block:
        arrays = {name: flat(rows.batch.column(name)) for name in needed}
        return block_of(wanted, [judge_arrays(wanted, rows, arrays)], int(rows.lines[-1]))

    with _open_parquet(wanted.path, read_dictionary=text) as file:
        try:
            yield from in_order(judged, batches(file, row), jobs)
        except (pa.ArrowException, OSError) as error:
            raise damaged(wanted.path, error) from None


def _open_parquet(name: str, **options: Any) -> Any:
    open_file(name).close()
    if os.path.getsize(name) == 0:
        raise EventError(f"{name} is empty, and an empty file is not Parquet; write it again")
    try:
        return pq.ParquetFile(name, **options)
    except (pa.ArrowException, OSError) as error:
        raise EventError(f"cannot read {name} as Parquet: {error}") from None

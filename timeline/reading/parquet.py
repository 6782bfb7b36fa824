"""Parquet by pyarrow, batch by batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from timeline.errors import EventError
from timeline.jobs import in_order
from timeline.reading.arrow import flat, judge_arrays
from timeline.reading.batches import Rows
from timeline.reading.files import damaged, open_file
from timeline.reading.judging import block_of
from timeline.reading.model import Block, Wanted

#: A group of rows of more bytes is refused if it is so many times as large as the whole file.
UNPACKED_BYTES, UNPACKED_TIMES = 256 << 20, 1_000
#: Bytes of text that are looked at at once, and that a batch of rows may have.
ROWS_BYTES, BATCH_BYTES = 64 << 20, 1 << 30


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
    text = [name for name in needed if _is_text(schema.field(name).type)]
    # What a damaged file says of a single column can abort the process: pyarrow has no net there.
    sizes = [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
    stored = os.path.getsize(wanted.path)
    if (largest := max(sizes, default=0)) > max(UNPACKED_BYTES, UNPACKED_TIMES * stored):
        raise EventError(
            f"cannot read {wanted.path}: of its {stored} bytes a group of rows would become {largest}; is "
            "the file whole?"
        )
    # Whole row groups at or before `after` need not be read.
    row, group = 0, 0
    while group < metadata.num_row_groups:
        rows = metadata.row_group(group).num_rows
        if row + rows > after:
            break
        row, group = row + rows, group + 1
    groups = list(range(group, metadata.num_row_groups))
    # Text may be in any of the columns.
    size = max(1, block_bytes // max(64, sum(sizes) // max(1, metadata.num_rows)))

    def batches(file: Any, row: int) -> Iterator[Rows]:
        for batch in file.iter_batches(batch_size=size, row_groups=groups, columns=needed):
            first, row = max(row, after), row + batch.num_rows
            if first < row:
                batch = batch.slice(batch.num_rows - (row - first))
                lines = np.arange(first + 1, row + 1, dtype=np.int64)
                step = _rows_at_once(wanted.path, batch)
                for begin in range(0, len(lines), step):
                    yield Rows(batch.slice(begin, step), lines[begin : begin + step])

    def judged(rows: Rows) -> Block:
        arrays = {name: flat(rows.batch.column(name)) for name in needed}
        return block_of(wanted, [judge_arrays(wanted, rows, arrays)], int(rows.lines[-1]))

    with _open_parquet(wanted.path, read_dictionary=text) as file:
        try:
            yield from in_order(judged, batches(file, row), jobs)
        except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
            raise damaged(wanted.path, error) from None


def _is_text(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_binary(kind))


def _rows_at_once(path: str, batch: pa.RecordBatch) -> int:
    """How many rows of a batch are looked at at once: a value of a dictionary may stand in each of them.

    Raises:
        EventError: that would be more than anybody can have meant, or the file is damaged.
    """
    size = 0
    columns: list[Any] = batch.columns
    for column in columns:
        if not pa.types.is_dictionary(column.type):
            continue
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        # Arrow believes what a file says of itself.
        if len(codes) and not -1 <= int(codes.min()) <= int(codes.max()) < len(column.dictionary):
            raise EventError(f"cannot read {path} as Parquet: it is damaged; write it again")
        if _is_text(column.type.value_type):
            binary_length: Any = pc.binary_length
            lengths = binary_length(column.dictionary).to_numpy(zero_copy_only=False)
            size += int(np.append(lengths, 0)[codes].sum())
    if size > BATCH_BYTES:
        raise EventError(
            f"cannot read {path}: {batch.num_rows} of its rows have {size} bytes of text, at most "
            f"{BATCH_BYTES} can be read"
        )
    return max(1, batch.num_rows * ROWS_BYTES // max(size, ROWS_BYTES))


def _open_parquet(name: str, **options: Any) -> Any:
    open_file(name).close()
    if os.path.getsize(name) == 0:
        raise EventError(f"{name} is empty, and an empty file is not Parquet; write it again")
    try:
        return pq.ParquetFile(name, **options)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise EventError(f"cannot read {name} as Parquet: {error}") from None

"""Answers as Arrow and Parquet on standard output, with timestamps where times are dates."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from timeline.cli.options import Format, UsageError
from timeline.cli.times import Times, chosen
from timeline.errors import TimelineError

#: What is written by `write_tables`, and not as rows of text.
BINARY = (Format.ARROW, Format.PARQUET)


def write_tables(
    tables: Iterable[pa.Table], format: Format, timed: Sequence[str], times: Times | None = None
) -> None:
    """Writes tables as one; times (ms) of the columns ``timed`` are timestamps in UTC if they are dates,
    unless ``times`` are to be ms.

    Raises:
        UsageError: standard output is a terminal.
        TimelineError: a State has text in one table and numbers in another.
    """
    if sys.stdout.isatty():
        raise UsageError(
            f"{format.value} is no text for a terminal; send it to a file: > answers.{format.value}"
        )
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowTypeError:
        raise TimelineError(
            f"a State has values of several types, and a column of {format.value} has one; use --format jsonl"
        ) from None
    for name in timed:
        table = _dated(table, name, times)
    sink = pa.BufferOutputStream()
    if format is Format.PARQUET:
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    sys.stdout.buffer.write(sink.getvalue())


def _dated(table: pa.Table, name: str, times: Times | None) -> pa.Table:
    column: Any = table.column(name)
    first = column[0].as_py() if len(column) else None
    if not pa.types.is_integer(column.type) or chosen(times, first) is Times.MS:
        return table
    return table.set_column(table.column_names.index(name), name, column.cast(pa.timestamp("ms", "UTC")))

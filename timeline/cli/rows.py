"""Rows of answers as a table, as CSV and as JSON Lines."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson

from timeline.cli.options import Format
from timeline.cli.saying import printable, printable_json
from timeline.cli.times import Times, chosen, shown
from timeline.language.output_names import VALUE, name_of_time
from timeline.local.evaluation import Row
from timeline.pictures.texts import value_text
from timeline.values.scalars import Value

if TYPE_CHECKING:
    from timeline.aggregate import Result

#: With what a spreadsheet begins a formula: CSV does not say what is text.
_FORMULA = frozenset("=+-@\t\r")
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def print_rows(
    rows: Iterable[Row],
    names: Sequence[str],
    format: Format,
    raw: bool = False,
    times: Times | None = None,
) -> None:
    """Rows of an evaluation, with a column for each of the outputs ``names``; CSV is `marked` if not raw."""
    rows = iter(rows)
    first = next(rows, None)
    rows = rows if first is None else chain([first], rows)
    how = chosen(times, None if first is None else first.at, format)
    time = name_of_time(names)
    if format is Format.JSONL:
        sys.stdout.writelines(_json_line(row, time, how) for row in rows)
    elif format is Format.CSV:
        write = _csv_writer(raw)
        write(["key", time, *names])
        for row in rows:
            write([row.key, shown(row.at, how), *_columns(row)])
    else:
        lines = ([row.key, str(shown(row.at, how)), *map(value_text, _columns(row))] for row in rows)
        _print_lines(["key", f"{time} (ms)" if how is Times.MS else time, *names], lines)


def print_columns(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    format: Format,
    raw: bool = False,
    timed: Sequence[str] = (),
    times: Times | None = None,
) -> None:
    """Rows of an answer over all keys, with ``columns`` each, of which ``timed`` are times; CSV is `marked`
    if not raw."""
    rows, dated = iter(rows), False
    first = next(rows, None)
    if first is not None:
        rows = chain([first], rows)
        how = chosen(times, first[timed[0]] if timed else None, format)
        if how is not Times.MS:
            rows = ({**row, **{name: shown(row[name], how) for name in timed}} for row in rows)
            dated = True
    if format is Format.JSONL:
        sys.stdout.writelines(printable_json(orjson.dumps(row).decode()) + "\n" for row in rows)
    elif format is Format.CSV:
        write = _csv_writer(raw)
        write(columns)
        for row in rows:
            write([row[c] for c in columns])
    else:
        moments = set(timed) - {"from", "to"}
        lines = ([value_text(row[c]) for c in columns] for row in rows)
        _print_lines([f"{c} (ms)" if c in moments and not dated else c for c in columns], lines)


def print_result(result: Result, format: Format, raw: bool, times: Times | None) -> None:
    """The rows of an answer over all keys."""
    if format in (Format.ARROW, Format.PARQUET):
        from timeline.cli.tables import write_tables  # pyarrow takes 0.1 s to import

        write_tables([result.to_arrow()], format, result.timed, times)
    else:
        print_columns(result.columns, result.rows, format, raw, result.timed, times)


def marked(text: str) -> str:
    """Text of the data as a cell of CSV that no spreadsheet takes for a formula; numbers stay what they are.

    >>> marked("=1+1"), marked("play"), marked("-5"), marked("-5+x")
    ("'=1+1", 'play', '-5', "'-5+x")
    """
    formula = text[:1] in _FORMULA and _PLAIN_NUMBER.fullmatch(text) is None
    return f"'{text}" if formula else text


def _csv_writer(raw: bool) -> Callable[[Sequence[Value]], object]:
    """What writes a row of CSV: `marked` if not raw, and to a terminal without what would steer it."""
    write = csv.writer(sys.stdout, lineterminator="\n").writerow
    escape = printable if sys.stdout.isatty() else str

    def cell(value: Value) -> str:
        if value is None:
            return ""
        return escape(marked(value) if isinstance(value, str) and not raw else value_text(value))

    return lambda row: write(map(cell, row))


def _print_lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Texts under their heads. Rich's tables take 0.1 s to import, and wrap what one may want to copy."""
    from rich.cells import cell_len

    texts = [list(map(printable, head)), *(list(map(printable, row)) for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    for line in texts:
        cells = (text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _columns(row: Row) -> Iterable[Value]:
    return row.value.values() if isinstance(row.value, dict) else (row.value,)


def _json_line(row: Row, time: str, how: Times) -> str:
    values = row.value if isinstance(row.value, dict) else {VALUE: row.value}
    return printable_json(orjson.dumps({"key": row.key, time: shown(row.at, how), **values}).decode()) + "\n"

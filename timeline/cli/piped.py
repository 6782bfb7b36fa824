"""Events from standard input: ``-``, with ``--input-format``."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from timeline.cli.options import UsageError

STDIN = "-"


class InputFormat(StrEnum):
    """How standard input is read."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"


InputFormatOption = Annotated[
    InputFormat | None,
    typer.Option("--input-format", help="How to read standard input, the file -.", show_default=False),
]


@contextmanager
def with_stdin(paths: Sequence[str], format: InputFormat | None) -> Iterator[list[str]]:
    """The files, with what comes on standard input kept in one for as long: files are read more than once.

    Raises:
        UsageError: it is not said what comes, or there is nothing that it is said for.
    """
    if STDIN not in paths:
        if format is not None:
            raise UsageError("--input-format is for standard input: give - as the file")
        yield list(paths)
        return
    if format is None:
        raise UsageError("- is standard input: say what comes with --input-format jsonl, csv, tsv or parquet")
    if paths.count(STDIN) > 1:
        raise UsageError("- is standard input, and can be read once; give it once")
    with tempfile.TemporaryDirectory(prefix="timeline-") as folder:
        piped = Path(folder) / f"stdin.{format.value}"
        with piped.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield [str(piped) if path == STDIN else path for path in paths]

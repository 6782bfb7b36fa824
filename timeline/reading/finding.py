"""Which files are meant: a folder, or a pattern, stands for the files of events in it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from glob import glob, has_magic

from timeline.errors import EventError
from timeline.reading.files import CSV, JSONL, PARQUET, format_of


def files_of(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The files that paths stand for, in order; of a folder, or a pattern such as ``data/*.csv``, in that of
    their names. Below a folder nothing else is looked at.

    Raises:
        EventError: a folder or a pattern without files.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.csv", "a.jsonl.gz", "notes.txt"):
    ...         open(os.path.join(folder, name), "w").close()
    ...     [os.path.basename(file) for file in files_of([folder])]
    ['a.jsonl.gz', 'b.csv']
    """
    return [file for path in paths for file in _of(os.fspath(path))]


def _of(path: str) -> list[str]:
    if os.path.isdir(path):
        files = sorted(entry.path for entry in os.scandir(path) if entry.is_file() and _known(entry.name))
        if not files:
            known = ", ".join((*JSONL, *CSV, *PARQUET))
            raise EventError(f"no files of events in the folder {path}; they end with {known}, .gz or .zst")
        return files
    if has_magic(path) and not os.path.exists(path):
        files = sorted(file for file in glob(path, recursive=True) if os.path.isfile(file))
        if not files:
            raise EventError(f"no file fits the pattern {path}; check the path")
        return files
    return [path]


def _known(name: str) -> bool:
    try:
        return bool(format_of(name))
    except EventError:
        return False

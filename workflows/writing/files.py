"""Writers of a sink's rows to files: JSON Lines that grow, or a Parquet file a batch.

A batch may be written again, by another worker too, and by one that was thought dead: the same bytes go
to the same place, under a lock, and nothing behind them is touched.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from timeline.errors import ServiceError
from timeline.sinks.batches import Batch, Written
from workflows.disk import private_folder, private_open, sync_folder

#: The columns that rows have beside outputs or aggregates.
_TYPES = {"id": "text", "timeline": "text", "stream": "int", "key": "text", "time": "int", "at": "int"}


class JsonLines:
    """Writes to one file of a folder, ``NAME.jsonl``."""

    def __init__(self, folder: str, name: str) -> None:
        self._path = Path(folder) / f"{name}.jsonl"

    def close(self) -> None:
        pass

    def write(self, batch: Batch) -> Written:
        """Appends the rows to ``NAME.jsonl``: behind ``offset`` there is then this batch, whole.

        Raises:
            ServiceError: the file is shorter than what was written, or cannot be written.
        """
        path = self._path
        content = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in batch["rows"])
        offset = batch["offset"]
        end = offset + len(content)
        try:
            private_folder(path.parent)
            with os.fdopen(private_open(path, os.O_RDWR | os.O_CREAT), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                size = os.fstat(file.fileno()).st_size
                if size < offset:
                    raise ServiceError(
                        f"{path} has {size} bytes, and the sink has written {offset}: it was cut or is on "
                        "another machine; all workers need the same folder. Put the file back"
                    )
                file.seek(offset)
                if file.read(len(content)) != content:
                    file.seek(offset)
                    file.truncate()
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                    if offset == 0:
                        sync_folder(path.parent)
        except OSError as error:
            raise ServiceError(f"{path} cannot be written: {error.strerror}") from None
        return Written(offset=end, exactly_once=True)


class Parquet:
    """Writes files of a folder, a batch each: ``NAME-NUMBER.parquet``."""

    def __init__(self, folder: str, name: str) -> None:
        self._folder = Path(folder)
        self._name = name

    def close(self) -> None:
        pass

    def write(self, batch: Batch) -> Written:
        """Writes the rows to ``NAME-NUMBER.parquet``, which is there in whole or not at all.

        Raises:
            ServiceError: it cannot be written.
        """
        import pyarrow as pa
        from pyarrow import parquet

        path = self._folder / f"{self._name}-{batch['number']:08}.parquet"
        arrow = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "text": pa.string()}
        columns: dict[str, pa.Array[Any]] = {}
        for name in batch["rows"][0]:
            kind = batch["types"].get(name) or _TYPES[name]
            values = [row[name] for row in batch["rows"]]
            if kind == "text":
                values = [v if v is None or isinstance(v, str) else orjson.dumps(v).decode() for v in values]
            elif kind == "float":
                # Arrow takes no whole number of which no float is the same; so large ones are the nearest.
                values = [None if v is None else float(v) for v in values]
            columns[name] = pa.array(values, arrow[kind])
        temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
        try:
            private_folder(path.parent)
            try:
                with open(temporary, "wb", opener=private_open) as file:
                    parquet.write_table(pa.table(columns), file)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            sync_folder(path.parent)
        except OSError as error:
            raise ServiceError(f"{path} cannot be written: {error.strerror or error}") from None
        return Written(offset=0, exactly_once=True)

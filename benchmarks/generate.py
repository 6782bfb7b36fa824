"""The standard input of the benchmarks: generated sessions, as Parquet and JSON Lines, made once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from producer.sessions import STATES, generate
from timeline.events import EventColumn, Events

CIRR = (
    'duration_where(has_existed(state == "play") && !has_existed_within(state == "seek", 5s) '
    '&& latest_event_to_state(state) == "buffer")'
)


def folder() -> Path:
    """Where generated files are kept between runs."""
    path = Path(tempfile.gettempdir()) / "timeline-benchmarks"
    path.mkdir(exist_ok=True)
    return path


def events(count: int, keys: int) -> Events:
    """The events as a batch, with positions of a file."""
    sessions = generate(count, keys)
    position = np.column_stack((np.ones(count, np.int64), np.arange(1, count + 1)))
    column = EventColumn(sessions.state + 1, [None, *STATES])
    return Events(sessions.names().tolist(), sessions.key, sessions.tick, {"state": column}, position)


def parquet(count: int, keys: int) -> Path:
    """The events as a Parquet file."""
    path = folder() / f"sessions-{count}-{keys}.parquet"
    if not path.exists():
        sessions = generate(count, keys)
        table = pa.table(
            {
                "key": pa.DictionaryArray.from_arrays(sessions.key, sessions.names()).cast(pa.string()),
                "time": sessions.tick,
                "state": pa.DictionaryArray.from_arrays(sessions.state, pa.array(STATES)).cast(pa.string()),
            }
        )
        pq.write_table(table, path)
    return path


def json_lines(count: int, keys: int) -> Path:
    """The events as JSON Lines."""
    path = folder() / f"sessions-{count}-{keys}.jsonl"
    if not path.exists():
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file, pq.ParquetFile(parquet(count, keys)) as table:
            for batch in table.iter_batches(200_000):
                file.writelines(orjson.dumps(row) + b"\n" for row in batch.to_pylist())
        partial.rename(path)
    return path

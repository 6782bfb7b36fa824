"""The standard input of the benchmarks: generated sessions, as Parquet and JSON Lines, made once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from producer.sessions import STATES, generate
from timeline.tables.events import EventColumn, Events

CIRR = (
    'duration_where(has_existed(state == "play") && !has_existed_within(state == "seek", 5s) '
    '&& latest_event_to_state(state) == "buffer")'
)


#: The same over the real traces.
PLAYBACK = CIRR.replace("state ==", "playerStateChange ==").replace("(state)", "(playerStateChange)")
TRACES = Path(__file__).parents[2] / "shared" / "data" / "playback"


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


def playback(count: int) -> Path | None:
    """About so many events: the real traces, all their sessions many times over, in order of time; as a
    Parquet file. None where the traces are not."""
    files = sorted(TRACES.glob("*.jsonl"))
    if not files:
        return None
    path = folder() / f"playback-{count}.parquet"
    if not path.exists():
        rows = [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]
        rows.sort(key=lambda row: row["time"])
        times = max(1, count // len(rows))
        # Copies follow each other event by event, as if all had begun together.
        copy = np.tile(np.arange(times).astype(str), len(rows))
        sessions = np.char.add(np.repeat([f"{row['session']}-" for row in rows], times), copy)
        tick = np.repeat([row["time"] for row in rows], times)
        states = [row.get("playerStateChange") for row in rows]
        state = pa.array(states, pa.string()).take(np.repeat(np.arange(len(rows)), times))
        pq.write_table(pa.table({"key": sessions, "time": tick, "playerStateChange": state}), path)
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

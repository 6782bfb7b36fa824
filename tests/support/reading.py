"""What the tests of `timeline.reading` share. (No tests, but pytest explains asserts in test_*.py.)"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from timeline.reading import Block, TimeUnit, read_events
from timeline.values.scalars import canonical

Row = tuple[int, str, int, dict[str, Any]]


def rows_of(blocks: Sequence[Block]) -> list[Row]:
    """(line, key, tick, {column: value}) of every event; checks what holds of every block."""
    rows: list[Row] = []
    last = 0
    for block in blocks:
        events = block.events
        assert events.position.shape == (len(events), 1)
        assert len(set(events.keys)) == len(events.keys)
        assert set(events.key.tolist()) == set(range(len(events.keys)))
        for column in events.columns.values():
            assert column.values[0] is None
            assert None not in column.values[1:]
            assert len({(type(v) is bool, v) for v in column.values}) == len(column.values)
            assert all(canonical(cast(Any, v)) is v for v in column.values)
            assert column.codes.dtype == np.int64
        lines = events.position[:, 0].tolist()
        everything = sorted([*lines, *(r.line for r in block.rejected)])
        assert all(last < line <= block.last for line in everything)
        assert lines == sorted(set(lines))
        last = block.last
        for i, line in enumerate(lines):
            values = {n: c.values[c.codes[i]] for n, c in events.columns.items()}
            rows.append((line, events.keys[events.key[i]], int(events.tick[i]), values))
    return rows


def read(
    path: Path,
    columns: Sequence[str] = ("x",),
    unit: TimeUnit = "ms",
    after: int = 0,
    block_bytes: int = 1 << 24,
) -> tuple[list[Row], list[tuple[int, str]]]:
    blocks = list(
        read_events(
            path,
            key="k",
            time="t",
            columns=columns,
            unit=unit,
            after=after,
            block_bytes=block_bytes,
        )
    )
    return rows_of(blocks), [(r.line, r.reason) for b in blocks for r in b.rejected]


def jsonl(tmp_path: Path, *lines: str | bytes, name: str = "e.jsonl") -> Path:
    path = tmp_path / name
    path.write_bytes(b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in lines))
    return path


def values(tmp_path: Path, *texts: str) -> list[Any]:
    """What ``x`` comes to for each JSON text, all in one file."""
    lines = [f'{{"k": "a", "t": 1, "x": {text}}}' for text in texts]
    rows, rejected = read(jsonl(tmp_path, *lines))
    assert rejected == []
    return [row[3]["x"] for row in rows]


def ticks(tmp_path: Path, *texts: str, unit: TimeUnit = "ms") -> list[Any]:
    """The tick of each JSON text as a time, or the reason why it is none; each in its own file."""
    out: list[Any] = []
    for text in texts:
        rows, rejected = read(jsonl(tmp_path, f'{{"k": "a", "t": {text}}}'), unit=unit)
        out.append(rows[0][2] if rows else rejected[0][1])
    return out


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def text_file(tmp_path: Path, text: str | bytes, name: str = "e.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def parquet(tmp_path: Path, row_group_size: int | None = None, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), tmp_path / "e.parquet", row_group_size=row_group_size)
    return tmp_path / "e.parquet"


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    else:
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            text = {n: json.dumps(v) if isinstance(v, bool) else v for n, v in row.items()}
            writer.writerow(text)
        path.write_text(out.getvalue())
    return path

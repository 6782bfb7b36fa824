"""Files that sinks write: a batch that is written again changes nothing."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import orjson
import pytest

from tests.support.sinks import batch, written_parquet
from timeline.errors import ServiceError
from timeline.sinks.batches import write_batch
from workflows.writing.files import JsonLines, Parquet

write_jsonl, write_parquet = partial(write_batch, JsonLines), partial(write_batch, Parquet)


def test_a_batch_that_is_written_again_changes_nothing(tmp_path: Path) -> None:
    first = batch(str(tmp_path), 0, 30)
    end = write_jsonl(first)["offset"]
    path = tmp_path / "t-0-name.jsonl"
    whole = path.read_bytes()
    # Killed while it was writing.
    path.write_bytes(whole[: end // 2])
    assert write_jsonl(first) == {"offset": end, "exactly_once": True}
    assert path.read_bytes() == whole
    second = batch(str(tmp_path), 1, 20, end)
    write_jsonl(second)
    whole = path.read_bytes()
    # By a worker that was thought dead: what came behind stays.
    write_jsonl(first)
    write_jsonl(second)
    assert path.read_bytes() == whole
    ids = [orjson.loads(line)["id"] for line in whole.splitlines()]
    assert ids == [f"i/{n}" for n in [*range(30), *range(100, 120)]]
    path.write_bytes(whole[: end - 1])
    with pytest.raises(ServiceError, match=f"has {end - 1} bytes, and the sink has written {end}"):
        write_jsonl(second)
    write_parquet(first)
    write_parquet(first)
    assert [row["id"] for row in written_parquet(tmp_path)] == [f"i/{n}" for n in range(30)]
    assert {path.name for path in tmp_path.iterdir()} == {"t-0-name.jsonl", "t-0-name-00000000.parquet"}


def test_large_whole_numbers_are_the_nearest_float(tmp_path: Path) -> None:
    """Arrow takes none of which no float is the same; a batch that cannot be written is tried for ever."""
    made = batch(str(tmp_path), 0, 2)
    made["types"] = {**made["types"], "sum": "float"}
    for row, value in zip(made["rows"], [2**53 + 1, None], strict=True):
        row["sum"] = value
    write_parquet(made)
    assert [row["sum"] for row in written_parquet(tmp_path)] == [float(2**53), None]

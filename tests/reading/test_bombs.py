"""Files that are small and would fill the memory are refused, with what is wrong with them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timeline.errors import EventError
from timeline.reading import read_events

BIG = "x" * (1 << 20)


def refused(path: Path) -> str:
    with pytest.raises(EventError) as caught:
        for _ in read_events(path, key="key", time="time", columns=["s"]):
            pass
    return str(caught.value)


def keys(count: int) -> Any:
    return pa.array([f"k{i % 5}" for i in range(count)])


@pytest.mark.parametrize("text", [BIG, BIG.encode()], ids=["text", "bytes"])
@pytest.mark.parametrize("column", ["s", "key"])
def test_a_value_of_a_dictionary_in_many_rows(tmp_path: Path, text: str | bytes, column: str) -> None:
    count = 5_000
    repeated = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([text]))
    table = {"key": keys(count), "time": pa.array(range(count)), "s": keys(count)} | {column: repeated}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(table), path, compression="zstd")
    assert "rows have 5242" in refused(path)


def test_pages_that_unpack_to_far_more(tmp_path: Path) -> None:
    table = {"key": keys(300), "time": pa.array(range(300)), "s": pa.array([BIG] * 300)}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(table), path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 20_000
    assert " bytes a group of rows would become 3145" in refused(path)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz"])
def test_a_line_without_an_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'{"key": "' if "json" in name else b'key,time,s\na,1,"')
        for _ in range(120):
            file.write(b"x" * (1 << 20))
    assert "it has a line of more than 16777216 bytes; is it text?" in refused(path)

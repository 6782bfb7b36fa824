"""Events that carry no column at all keep a key alive, whatever file they come from."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.graphs import POLICIES, WireGraph
from timeline.engine.answers import Answers
from timeline.fragments import Policy
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.reading import read_events
from timeline.tables.events import from_rows

TIMES = (1_000, 2_000, 9_000)
SILENT = make_plan("{alive: alive(5s), gaps: gaps(5s), silent: !alive(5s)}")
#: At 6 999 ms, 7 s and 9 s.
WANTED = [
    {"alive": True, "gaps": 0, "silent": False},
    {"alive": False, "gaps": 1, "silent": True},
    {"alive": True, "gaps": 1, "silent": False},
]


def write(folder: Path, name: str) -> Path:
    path = folder / name
    lines = "".join(f'{{"key": "a", "time": {time}, "other": {time}}}\n' for time in TIMES)
    match name:
        case "e.jsonl":
            path.write_text(lines)
        case "e.jsonl.gz":
            path.write_bytes(gzip.compress(lines.encode()))
        case "e.csv":
            path.write_text("key,time\n" + "".join(f"a,{time}\n" for time in TIMES))
        case "e.parquet":
            pq.write_table(pa.table({"key": ["a"] * 3, "time": TIMES}), path)
    return path


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz", "e.csv", "e.parquet"])
def test_events_of_files(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name)
    (block,) = read_events(path, key="key", time="time", columns=SILENT.columns)
    rows = evaluate(SILENT, block.events).values(at=[6_999, 7_000, 9_000], keys=["a"])
    assert [row.value for row in rows] == WANTED


@pytest.mark.parametrize("policy", POLICIES)
def test_batches_without_columns(policy: Policy) -> None:
    limits = Limits()
    graph = WireGraph(SILENT, limits, policy)
    for number, time in enumerate(TIMES):
        graph.feed(from_rows([("a", time, {})], (number,)), (number,))
        graph.continue_as_new(limits)
    answers = Answers(graph.result.state)
    assert [answers.value("a", at)[0] for at in (6_999, 7_000, 9_000)] == WANTED

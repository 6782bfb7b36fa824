"""Tables in memory are fed durably: each of their rows once, however often."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import timeline as tl
import workflows
from feeder import Client
from feeder.files import Progress
from feeder.files.frames import write_frame
from timeline.errors import EventError, NotFoundError
from timeline.spec.spec import Spec

BEGIN = datetime(2026, 3, 1, 20, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {
        "viewer": f"v{i % 3}",
        "when": BEGIN + timedelta(milliseconds=1500 * i),
        "state": ("play", "buffer", None, "007")[i % 4],
        "paid": Decimal("0.1") * i,
        "unused": float("nan"),
        "nested": [1],
    }
    for i in range(40)
]
EXPRESSION = (
    '{state: latest_event_to_state(state), paid: sum(paid), odd: latest_event_to_state(state) == "007"}'
)


def spec(name: str, **source: Any) -> Spec:
    return Spec.model_validate(
        {
            "name": name,
            "outputs": {
                "state": "latest_event_to_state(state)",
                "paid": "sum(paid)",
                "odd": '@state == "007"',
            },
            "source": {"name": name, "key": "viewer", "time": "when", **source},
        }
    )


def names_in(folder: Path) -> list[str]:
    return [path.suffix for path in folder.iterdir()]


@pytest.fixture
def feeding(timelines: workflows.Client) -> Client:
    return Client(timelines.temporal)


async def values(feeding: Client, name: str) -> list[tuple[str, int | None, Any]]:
    return [(a.key, a.at, a.value) for a in await feeding.query(name, ["v0", "v1", "v2"])]


@pytest.mark.parametrize("unit", ["ms", "s"])
async def test_a_table_says_durably_what_it_says_here(feeding: Client, tmp_path: Path, unit: str) -> None:
    wanted = spec(f"frames-{unit}", unit=unit)
    await feeding.register(wanted)
    table = pa.Table.from_pylist(ROWS)
    local = tl.evaluate(
        EXPRESSION, table.select(["viewer", "when", "state", "paid"]), key="viewer", time="when"
    )
    first = await feeding.feed(wanted.name, table.slice(0, 25), folder=tmp_path)
    assert (first.accepted, first.rejected) == (25, [])
    # The same rows again, in pieces and from elsewhere; then with more behind them.
    pieces = pa.concat_tables([table.slice(0, 7), table.slice(7, 18)])
    again = await feeding.feed(wanted.name, pl.DataFrame(pieces), folder=tmp_path)
    assert (again.events, again.accepted) == (0, 0)
    relation = duckdb.from_arrow(table)
    longer = await feeding.feed(wanted.name, relation, folder=tmp_path)
    assert longer.accepted == 15
    assert await values(feeding, wanted.name) == [(r.key, r.at, r.value) for r in local.values()]
    # Who comes later reads it from where it is.
    later = wanted.model_copy(update={"name": f"later-{unit}"})
    await feeding.register(later, wait=False)
    assert (await feeding.feed(later.name, table, folder=tmp_path)).rejected == []
    assert await values(feeding, later.name) == await values(feeding, wanted.name)
    for name in (wanted.name, later.name):
        await feeding.remove(name)


async def test_rows_that_hold_no_event_are_told(feeding: Client, tmp_path: Path) -> None:
    wanted = spec("frames-bad")
    await feeding.register(wanted)
    frame = pd.DataFrame(
        {"viewer": ["v0", None, "v0"], "when": [1000.0, 2000.0, 3000.0], "paid": [1.0, 1.0, float("inf")]}
    )
    report = await feeding.feed(wanted.name, frame, folder=tmp_path)
    assert report.accepted == 1
    assert [str(one).split(": ")[:2] for one in report.rejected] == [
        ["DataFrame:2", "no key"],
        ["DataFrame:3", "column 'paid' holds NaN or an infinity"],
    ]
    assert names_in(tmp_path) == [".jsonl"]
    with pytest.raises(NotFoundError, match="no timeline 'nobody' is registered"):
        await feeding.feed("nobody", frame, folder=tmp_path)
    await feeding.remove(wanted.name)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ([{"viewer": "v0"}], "events are a table that speaks Arrow"),
        (
            pa.table({"viewer": ["v0"], "time": [1]}),
            "no column 'when' in the Table; its columns are viewer, time",
        ),
    ],
)
def test_what_is_no_table_of_events_says_what_to_do(tmp_path: Path, frame: Any, message: str) -> None:
    with pytest.raises(EventError, match=message):
        write_frame(spec("frames"), frame, tmp_path, [])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(EventError, match=r"cannot write the table to .*taken: File exists"):
        write_frame(spec("frames"), pa.Table.from_pylist(ROWS), tmp_path / "taken", [])


async def test_files_are_fed_by_their_paths_or_those_of_the_spec(feeding: Client, tmp_path: Path) -> None:
    rows = [{"viewer": "v0", "when": 1_000 * i, "state": "play"} for i in range(3)]
    for name, part in (("a", rows[:1]), ("b", rows[1:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    wanted = spec("frames-files", files=[str(tmp_path / "a.jsonl")])
    await feeding.register(wanted)
    assert (await feeding.feed(wanted.name)).accepted == 1
    seen = list[Progress]()
    assert (await feeding.feed(wanted.name, tmp_path, on_progress=seen.append)).accepted == 2
    assert seen[-1].lines == seen[-1].of_lines
    assert (await feeding.feed(wanted.name, tmp_path / "a.jsonl", again=True)).events == 1
    with pytest.raises(EventError, match="no file fits the pattern"):
        await feeding.feed(wanted.name, str(tmp_path / "*.csv"))
    with pytest.raises(EventError, match="one table at a time"):
        await feeding.feed(wanted.name, pa.table({}), pa.table({}))
    await feeding.remove(wanted.name)
    without = spec("frames-none")
    await feeding.register(without)
    with pytest.raises(EventError, match="has no files in its spec; say which files, or a table"):
        await feeding.feed(without.name)
    await feeding.remove(without.name)

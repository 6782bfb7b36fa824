"""Tables in memory are fed durably: each of their rows once, however often."""

from __future__ import annotations

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
from feeder.files.frames import feed_frame, write_frame
from timeline.errors import EventError, NotFoundError
from timeline.spec.spec import Spec
from workflows import Client

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


async def values(timelines: Client, name: str) -> list[tuple[str, int | None, Any]]:
    return [(a.key, a.at, a.value) for a in await timelines.query(name, ["v0", "v1", "v2"])]


@pytest.mark.parametrize("unit", ["ms", "s"])
async def test_a_table_says_durably_what_it_says_here(timelines: Client, tmp_path: Path, unit: str) -> None:
    wanted = spec(f"frames-{unit}", unit=unit)
    await timelines.register(wanted)
    table = pa.Table.from_pylist(ROWS)
    local = tl.evaluate(
        EXPRESSION, table.select(["viewer", "when", "state", "paid"]), key="viewer", time="when"
    )
    first = await feed_frame(timelines, wanted.name, table.slice(0, 25), folder=tmp_path)
    assert (first.accepted, first.rejected) == (25, [])
    # The same rows again, in pieces and from elsewhere; then with more behind them.
    pieces = pa.concat_tables([table.slice(0, 7), table.slice(7, 18)])
    again = await feed_frame(timelines, wanted.name, pl.DataFrame(pieces), folder=tmp_path)
    assert (again.events, again.accepted) == (0, 0)
    relation = duckdb.from_arrow(table)
    longer = await feed_frame(timelines, wanted.name, relation, folder=tmp_path)
    assert longer.accepted == 15
    assert await values(timelines, wanted.name) == [(r.key, r.at, r.value) for r in local.values()]
    # Who comes later reads it from where it is.
    later = wanted.model_copy(update={"name": f"later-{unit}"})
    await timelines.register(later, wait=False)
    assert (await feed_frame(timelines, later.name, table, folder=tmp_path)).rejected == []
    assert await values(timelines, later.name) == await values(timelines, wanted.name)
    for name in (wanted.name, later.name):
        await timelines.remove(name)


async def test_rows_that_hold_no_event_are_told(timelines: Client, tmp_path: Path) -> None:
    wanted = spec("frames-bad")
    await timelines.register(wanted)
    frame = pd.DataFrame(
        {"viewer": ["v0", None, "v0"], "when": [1000.0, 2000.0, 3000.0], "paid": [1.0, 1.0, float("inf")]}
    )
    report = await feed_frame(timelines, wanted.name, frame, folder=tmp_path)
    assert report.accepted == 1
    assert [str(one).split(": ")[:2] for one in report.rejected] == [
        ["DataFrame:2", "no key"],
        ["DataFrame:3", "column 'paid' holds NaN or an infinity"],
    ]
    assert names_in(tmp_path) == [".jsonl"]
    with pytest.raises(NotFoundError, match="no timeline 'nobody' is registered"):
        await feed_frame(timelines, "nobody", frame, folder=tmp_path)
    await timelines.remove(wanted.name)


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

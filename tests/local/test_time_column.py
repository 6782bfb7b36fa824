"""What the column of the time is called, in everything that answers with rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.cli import Cli
from tests.support.sinks import batch, written, written_parquet
from timeline.aggregate import Request, Result, kinds_of, merge, partial
from timeline.cli.serving.page.answers import chart
from timeline.local.evaluate import evaluate
from timeline.local.evaluation import Evaluation
from timeline.sinks.batches import write_batch
from timeline.tables.events import from_rows
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from workflows.client import Answer, Values
from workflows.writing.files import JsonLines, Parquet

EVENTS: list[tuple[str, int, dict[str, Scalar]]] = [
    ("s", 1_000, {"x": 1, "day": "mon"}),
    ("t", 2_000, {"x": 2, "day": "tue"}),
]
#: As a timeline may run that has an output of that name.
CLASH = "{time: latest_event_to_state(day), n: count(x > 0)}"


def selected(what: str, source: pa.Table | Path) -> list[Any]:
    """What DuckDB finds in a table, or in the Parquet files of a folder."""
    with duckdb.connect() as database:
        if isinstance(source, Path):
            read = f"read_parquet('{source}/*.parquet', union_by_name = true)"
        else:
            read = "answers"
            database.register(read, source)
        return database.execute(f"select {what} from {read} order by all").fetchall()


def local(expression: str) -> Evaluation:
    return evaluate(expression, from_rows(EVENTS))


def asked(evaluation: Evaluation, **words: Any) -> Result:
    kinds = kinds_of(evaluation.plan)
    request = Request.parse(kinds, **words)
    return merge(request, [partial(evaluation, request)], kinds)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    lines = (json.dumps({"key": key, "time": time, **values}) + "\n" for key, time, values in EVENTS)
    (tmp_path / "a.jsonl").write_text("".join(lines))
    return Cli(None, tmp_path)


def test_sql_needs_no_quotes(tmp_path: Path) -> None:
    answers = local("sum(x)")
    assert selected("key, time, value", answers.to_arrow(2_000)) == [("s", 2_000, 1.0), ("t", 2_000, 2.0)]
    series = asked(answers, agg="count", at=[1_000, 2_000])
    assert selected("time, count", series.to_arrow()) == [(1_000, 1), (2_000, 2)]
    each = asked(answers, at=[2_000], where="value == 2")
    assert selected("time, key, value", each.to_arrow()) == [(2_000, "t", 2.0)]
    values = Values((Answer("s", 2_000, 1, (1, 1), False),), {"value": Kind.NUMERIC})
    assert selected("time, value, final", values.to_arrow()) == [(2_000, 1.0, False)]
    write_batch(Parquet, batch(str(tmp_path), 0, 2, kind="parquet"))
    assert selected("time, x", tmp_path) == [(0, 0.0), (1, 0.5)]


def test_rows_of_before_are_read_with_those_of_now(tmp_path: Path) -> None:
    before = pa.table({"key": ["s"], "at": [0], "x": [0.0]})
    pq.write_table(before, tmp_path / "before.parquet")
    write_batch(Parquet, batch(str(tmp_path), 1, 2, kind="parquet"))
    found = selected('coalesce(time, "at") as time, x', tmp_path)
    assert found == [(0, 0.0), (0, 0.0), (1, 0.5)]


def test_beside_an_output_named_time_it_is_at(cli: Cli) -> None:
    evaluation = local(CLASH)
    assert evaluation.to_arrow(2_000).to_pylist()[1] == {"key": "t", "at": 2_000, "time": "tue", "n": 1.0}
    # Of the other output alone nothing clashes.
    assert evaluation.to_arrow(node=evaluation.plan.outputs["n"]).column_names == ["key", "time", "value"]
    jsonl = cli.good("eval", "-e", CLASH, "a.jsonl", "--key", "s", "--format", "jsonl")
    assert jsonl == '{"key":"s","at":1000,"time":"mon","n":1}\n'
    csv = cli.good("eval", "-e", CLASH, "a.jsonl", "--key", "s", "--format", "csv", "--times", "iso")
    assert csv == "key,at,time,n\ns,1970-01-01T00:00:01Z,mon,1\n"
    assert cli.good("eval", "-e", CLASH, "a.jsonl").splitlines()[0].split() == [
        "key",
        "at",
        "(ms)",
        "time",
        "n",
    ]
    values = Values((Answer("s", 1, {"time": "mon"}, None, True),), {"time": Kind.STATE})
    assert values.to_arrow().column_names[:3] == ["key", "at", "time"]


def test_so_it_is_in_answers_over_all_keys(cli: Cli) -> None:
    evaluation = local(CLASH)
    each = asked(evaluation, at=[2_000], where='time == "tue"')
    assert (each.columns, each.timed) == (("key", "at", "time", "n"), ("at",))
    assert each.rows == [{"key": "t", "at": 2_000, "time": "tue", "n": 1}]
    grouped = asked(evaluation, agg="count", group_by=["time"], at=[1_000, 2_000])
    assert [(row["at"], row["time"]) for row in grouped.rows] == [
        (1_000, "mon"),
        (2_000, "mon"),
        (2_000, "tue"),
    ]
    assert grouped.to_arrow().schema.types == [pa.int64(), pa.string(), pa.int64()]
    options = chart(grouped.columns, grouped.rows, ["time"], grouped.timed)
    assert options is not None
    assert options["series"][0]["data"] == [[1.0, 1], [2.0, 1]]
    # What no row of the answer has clashes with nothing.
    assert asked(evaluation, agg="avg(n)", at=[2_000]).columns == ("time", "avg(n)")
    # Without a moment the group is no time, though it is called so.
    newest = asked(evaluation, agg="count", group_by=["time"])
    assert (newest.columns, newest.timed) == (("time", "count"), ())
    piped = f"{CLASH} | aggregate(group_by(time), count)"
    out = cli.good("eval", "-e", piped, "a.jsonl", "--every", "1s", "--format", "csv", "--times", "iso")
    assert out.splitlines()[:2] == ["at,time,count", "1970-01-01T00:00:01Z,mon,1"]


def test_so_it_is_in_rows_of_sinks(tmp_path: Path) -> None:
    given = batch(str(tmp_path), 0, 1)
    given["types"] = {"time": "text", "x": "float"}
    given["rows"] = [row | {"time": "mon"} for row in given["rows"]]
    wanted = [{"id": "i/0", "timeline": "t", "stream": 0, "key": "k", "at": 0, "x": 0.0, "time": "mon"}]
    for writer in (JsonLines, Parquet):
        write_batch(writer, given)
    assert written(tmp_path) == written_parquet(tmp_path) == wanted
    # What the workflow has is as it was.
    assert given["rows"][0]["at"] == 0

"""Data in memory: whatever speaks Arrow is read without a loop over its rows, and answers are such data."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import timeline as tl
from tests.support.places import ROOT
from timeline.errors import DurationError, EventError, NotFoundError, RequestError
from timeline.reading.frames import GROUP_ROWS

EXPRESSION = "{place: latest_event_to_state(place), late: duration_where(latest_event_to_state(delay) > 1.5)}"
ROWS: list[dict[str, Any]] = [
    {"tail": "N1", "when": datetime(2013, 1, 1, 10, tzinfo=UTC), "place": "JFK", "delay": 1.25},
    {"tail": "N2", "when": datetime(2013, 1, 1, 11, tzinfo=UTC), "place": None, "delay": 2.5},
    {"tail": "N1", "when": datetime(2013, 1, 1, 12, tzinfo=UTC), "place": "LAX", "delay": 3.0},
    {"tail": "N2", "when": datetime(2013, 1, 2, 11, tzinfo=UTC), "place": "JFK", "delay": None},
]
TABLE = pa.Table.from_pylist(ROWS)
FRAMES: dict[str, Callable[[], Any]] = {
    "pyarrow table": lambda: TABLE,
    "pyarrow table in pieces": lambda: pa.concat_tables([TABLE.slice(i, 1) for i in range(4)]),
    "pyarrow dictionaries": lambda: TABLE.set_column(2, "place", TABLE["place"].dictionary_encode()),
    "pyarrow reader": TABLE.to_reader,
    "pyarrow batch": lambda: TABLE.to_batches()[0],
    "pyarrow struct array": lambda: TABLE.to_struct_array().combine_chunks(),
    "pandas": lambda: pd.DataFrame(ROWS),
    "pandas objects": lambda: pd.DataFrame(ROWS).astype({"tail": object, "place": object}),
    "pandas categories": lambda: pd.DataFrame(ROWS).astype({"tail": "category", "place": "category"}),
    "Polars": lambda: pl.DataFrame(ROWS),
    "Polars categories": lambda: pl.DataFrame(ROWS).with_columns(pl.col("place").cast(pl.Categorical)),
    "Polars texts": lambda: pl.DataFrame(ROWS).with_columns(pl.col("when").dt.strftime("%+")),
    "DuckDB": lambda: duckdb.sql('select * from "TABLE"'),
    "DuckDB decimals": lambda: duckdb.sql('select * replace (delay::decimal(9, 2) as delay) from "TABLE"'),
}
EVENTS = tl.from_rows(
    [
        (row["tail"], int(row["when"].timestamp() * 1000), {"place": row["place"], "delay": row["delay"]})
        for row in ROWS
    ]
)


@pytest.mark.parametrize("name", FRAMES)
def test_every_frame_says_what_its_rows_say(name: str) -> None:
    result = tl.evaluate(EXPRESSION, FRAMES[name](), key="tail", time="when")
    wanted = tl.evaluate(EXPRESSION, EVENTS)
    assert result.accepted == 4
    assert list(result.values()) == list(wanted.values())
    hourly = {"start": "2013-01-01", "end": "2013-01-03", "every": "1h"}
    assert list(result.values(**hourly)) == list(wanted.values(**hourly))  # type: ignore[arg-type]
    assert result.rejected == []


def test_many_groups_of_rows_are_one_stream() -> None:
    count = 2 * GROUP_ROWS + 3
    table = pa.table(
        {
            "key": pa.array(["a", "b", None]).take(pa.array([*(i % 2 for i in range(count - 1)), 2])),
            "time": pa.array(range(count)),
            "n": pa.repeat(1, count),
        }
    )
    with pytest.warns(tl.TimelineWarning, match=f"1 row was skipped .* is Table:{count}: no key: "):
        result = tl.evaluate("sum(n)", table, unit="ms", jobs=2)
    half = (count - 1) // 2
    assert [(row.key, row.at, row.value) for row in result.values()] == [
        ("a", count - 3, half),
        ("b", count - 2, half),
    ]


@pytest.mark.parametrize(
    ("times", "unit", "zone"),
    [
        ([1_000, 2_500], "ms", None),
        ([1.0, 2.5], "s", None),
        (pa.array([1_000_000, 2_500_000], pa.timestamp("us")), "ms", ""),
        (pa.array([1_000, 2_500], pa.timestamp("ms", "America/New_York")), "s", "America/New_York"),
        (["1970-01-01T00:00:01Z", "1970-01-01T01:00:02.5+01:00"], "ms", "UTC"),
        (pa.array(["1970-01-01T00:00:01Z", "1970-01-01T00:00:02.5Z"]).dictionary_encode(), "ms", "UTC"),
        (pa.array(["1970-01-01T00:00:01Z", "1970-01-01T00:00:02.5Z"], pa.string_view()), "ms", "UTC"),
    ],
)
def test_answers_have_times_as_the_events_had(times: Any, unit: Any, zone: str | None) -> None:
    result = tl.evaluate(
        "count(a == 1)", pa.table({"key": ["k", "k"], "time": times, "a": [1, 1]}), unit=unit
    )
    assert result.span("k") == (1_000, 2_500)
    column = result.to_arrow([1_000, 2_500])["time"]
    assert column.type == (pa.int64() if zone is None else pa.timestamp("ms", zone or None))
    assert column.cast(pa.int64()).to_pylist() == [1_000, 2_500]


def test_dates_are_midnight_in_utc() -> None:
    table = pa.table({"key": ["k"], "time": pa.array([15_706], pa.date32()), "a": [1]})
    result = tl.evaluate("count(a == 1)", table)
    assert result.to_arrow()["time"].to_pylist() == [datetime(2013, 1, 1)]


def test_times_are_asked_for_as_people_say_them() -> None:
    aware = tl.evaluate("latest_event_to_state(place)", TABLE, key="tail", time="when")
    noon = datetime(2013, 1, 1, 12, tzinfo=UTC)
    in_berlin = noon.astimezone(ZoneInfo("Europe/Berlin"))
    for at in (noon, in_berlin, "2013-01-01T12:00:00Z", int(noon.timestamp() * 1000), pd.Timestamp(noon)):
        assert [row.value for row in aware.values(at, keys=["N1"])] == ["LAX"]
        assert [row.value for row in aware.values([at], keys=["N1"])] == ["LAX"]
    every = aware.values(every=timedelta(hours=1), start=noon - timedelta(hours=1), end=noon, keys=["N1"])
    assert [row.value for row in every] == ["JFK", "LAX"]
    assert [row.value for row in aware.values("2013-01-02", keys=["N1", "N2"])] == ["LAX", None]
    with pytest.raises(DurationError, match="a datetime needs a zone"):
        list(aware.values(datetime(2013, 1, 1, 12)))
    with pytest.raises(DurationError, match="has no offset"):
        list(aware.values("2013-01-01T12:00:00"))
    with pytest.raises(RequestError, match="a time is ms"):
        list(aware.values([1.5]))  # type: ignore[list-item]
    naive = pd.DataFrame(ROWS).assign(when=lambda frame: frame["when"].dt.tz_localize(None))
    without = tl.evaluate("latest_event_to_state(place)", naive, key="tail", time="when")
    for at in (datetime(2013, 1, 1, 12), "2013-01-01T12:00:00", noon):
        assert [row.value for row in without.values(at, keys=["N1"])] == ["LAX"]


def test_what_is_no_event_is_kept_and_told() -> None:
    table = pa.table(
        {
            "key": ["a", None, "a", "a", "a"],
            "time": [1.0, 2.0, None, 4.0, 5.0],
            "n": [1.0, 1.0, 1.0, float("inf"), None],
        }
    )
    with pytest.warns(tl.TimelineWarning, match="3 rows were skipped .* the first is Table:2: no key"):
        result = tl.evaluate("sum(n)", table, unit="s")
    assert [str(one).split(": ")[:2] for one in result.rejected] == [
        ["Table:2", "no key"],
        ["Table:3", "no time"],
        ["Table:4", "column 'n' holds NaN or an infinity"],
    ]
    assert (result.accepted, [row.value for row in result.values()]) == (2, [1])
    assert "1 key, 2 events, 3 rows skipped" in repr(result)


def test_mistakes_are_told() -> None:
    seconds = pa.table({"key": ["k"], "time": [1_700_000_000], "place": ["x"]})
    with pytest.warns(tl.TimelineWarning) as told:
        tl.evaluate('latest_event_to_state(plaze) == "x"', seconds)
    texts = [str(one.message) for one in told]
    assert len(texts) == 2
    assert texts[0].endswith('did you mean unit="s"?')
    assert "no event carries the column plaze (1 event looked at); did you mean place?" in texts[1]
    assert {one.filename for one in told} == {__file__}, "the line that is to be looked at"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            [("k", 1, {})],
            "events are a table that speaks Arrow .*Events, got list; of rows make",
        ),
        (pl.DataFrame(ROWS).lazy(), "got LazyFrame"),
        (
            pa.table({"tail": ["k"], "time": [1]}),
            "no column 'key' in the Table; its columns are tail, time",
        ),
        (pa.table({"key": ["k"], "when": [1]}), "name that of the time with time="),
        (pa.table([["k"], [1], [2]], ["key", "time", "time"]), "more than one column 'time'; rename"),
        (pa.table([["k"], [1], [2], [3]], ["key", "time", "a", "a"]), "more than one column 'a'"),
        (pa.array([1, 2]), "cannot read the Int64Array"),
        (pd.DataFrame({"key": ["k"], "time": [1], "a": [object()]}), "choose the columns that are needed"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(frame: Any, message: str) -> None:
    with pytest.raises(EventError, match=message):
        tl.evaluate("count(a == 1)", frame)


def test_a_reader_that_fails_on_the_way() -> None:
    def batches() -> Any:
        yield TABLE.to_batches()[0]
        raise OSError("the disk is gone")

    with pytest.raises(EventError, match=r"cannot read the RecordBatchReader: IOError: the disk is gone$"):
        tl.evaluate(
            EXPRESSION, pa.RecordBatchReader.from_batches(TABLE.schema, batches()), key="tail", time="when"
        )


def test_answers_go_to_pandas_polars_and_duckdb() -> None:
    result = tl.evaluate(EXPRESSION, TABLE, key="tail", time="when")
    at = datetime(2013, 1, 2, 12, tzinfo=UTC)
    wanted = [
        {"key": "N1", "time": at, "place": "LAX", "late": 86_400.0},
        {"key": "N2", "time": at, "place": "JFK", "late": 90_000.0},
    ]
    table = result.to_arrow(at)
    assert table.to_pylist() == wanted
    texts = pa.dictionary(pa.int32(), pa.string())
    assert table.schema.types == [texts, pa.timestamp("ms", "UTC"), texts, pa.float64()]
    assert result.to_pandas(at=at).to_dict("records") == wanted
    assert result.to_polars(at=at).to_dicts() == wanted
    assert pl.DataFrame(result).height == pa.table(result).num_rows == 2
    assert pl.DataFrame(duckdb.sql("select sum(late) as late from result"))["late"].to_list() == [86_400.0]
    assert result.to_arrow(at, node=result.plan.outputs["late"]).column_names == ["key", "time", "value"]
    nothing = result.to_arrow(keys=[])
    assert (nothing.num_rows, nothing.column_names) == (0, ["key", "time", "place", "late"])


def test_without_pandas_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    result = tl.evaluate(EXPRESSION, EVENTS)
    for package in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(NotFoundError, match=f"{package} is not installed; pip install {package}"):
            getattr(result, f"to_{package}")()


def test_an_answer_fits_a_screen() -> None:
    frame = pa.table(
        {
            "key": [f"<k{i:02}>\n" for i in range(25)],
            "time": pa.array(range(25), pa.timestamp("s")),
            "a": ["x" * 100] * 25,
        }
    )
    result = tl.evaluate("latest_event_to_state(a)", frame)
    lines = repr(result).split("\n")
    assert lines[:3] == [
        "latest_event_to_state(a): 25 keys, 25 events",
        "key      time                 value",
        "<k00>\\n  1970-01-01T00:00:00  " + "x" * 39 + "…",
    ]
    assert (len(lines), lines[-1]) == (13, "... and 15 more rows")
    page = result._repr_html_()
    assert "<td>&lt;k00&gt;\\n</td>" in page
    assert page.count("<tr>") == 11
    assert len(repr(tl.evaluate(f"count({' || '.join(['a == 1'] * 200)})", EVENTS)).split("\n")[0]) < 110


def test_no_function_is_called_for_each_row() -> None:
    count = 50_000
    table = pa.table(
        {
            "key": pa.array([f"k{i % 97}" for i in range(count)]),
            "time": pa.array(range(count), pa.timestamp("ms")),
            "state": pa.array([f"s{i % 7}" for i in range(count)]),
        }
    )
    expression = 'duration_where(latest_event_to_state(state) == "s1")'
    calls = 0

    def counted(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tl.evaluate(expression, table.slice(0, 100), jobs=1)  # what is imported once is no part of it
        sys.setprofile(counted)
        try:
            tl.evaluate(expression, table, jobs=1)
        finally:
            sys.setprofile(None)
    assert 100 < calls < count / 4


def test_the_examples_of_the_page() -> None:
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    code = "".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == re.findall(r"print\(.*\)  # (.*)", code)


def test_a_frame_without_rows_has_answers_without_rows() -> None:
    for frame in (pd.DataFrame({"tail": [], "when": [], "place": []}), TABLE.slice(0, 0)):
        result = tl.evaluate("latest_event_to_state(place)", frame, key="tail", time="when")
        assert repr(result) == "latest_event_to_state(place): 0 keys, 0 events\nkey  time  value"
        assert (result.to_polars().shape, list(result.values()), list(result.intervals())) == ((0, 3), [], [])

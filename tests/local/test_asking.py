"""Questions over all keys of a local evaluation, and texts that are piped into one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

import timeline as tl
from timeline.aggregate import Request, Result, partial
from timeline.errors import DurationError, ExpressionError, LimitError, NotFoundError, RequestError
from timeline.values.kinds import Kind

BUFFERED = 'duration_where(latest_event_to_state(state) == "buffer")'
PIPED = f"{BUFFERED} | aggregate(group_by(cdn), count, sum, avg)"
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
FRAME = pl.DataFrame(
    {
        "session": ["a", "b", "b", "c"],
        "time": [
            "2013-01-01T12:00:00Z",
            "2013-01-01T12:00:01Z",
            "2013-01-01T12:00:05Z",
            "2013-01-01T12:00:02Z",
        ],
        "cdn": ["A", "B", None, "B"],
        "state": ["play", "buffer", "play", "buffer"],
    }
)


def asked(text: str, frame: Any = FRAME, **when: Any) -> Result:
    result = tl.evaluate(text, frame, key="session", **when)
    assert isinstance(result, Result)
    return result


def test_a_piped_text_gives_the_answer() -> None:
    result = asked(PIPED)
    assert result.rows == [
        {"cdn": "A", "count": 1, "sum(value)": 0, "avg(value)": 0},
        {"cdn": "B", "count": 2, "sum(value)": 4, "avg(value)": 2},
    ]
    assert repr(result).splitlines() == [
        "2 rows of 3 keys",
        "cdn  count  sum(value)  avg(value)",
        "A    1      0.0         0.0",
        "B    2      4.0         2.0",
    ]
    assert result.to_pandas()["sum(value)"].tolist() == pl.DataFrame(result)["sum(value)"].to_list() == [0, 4]


def test_times_are_said_as_ever_and_come_back_as_they_were() -> None:
    for at in ("2013-01-01T12:00:04Z", datetime(2013, 1, 1, 12, 0, 4, tzinfo=UTC), 1357041604000):
        assert asked(PIPED, at=at).rows[1] == {
            "time": 1357041604000,
            "cdn": "B",
            "count": 2,
            "sum(value)": 5,
            "avg(value)": 2.5,
        }
    table = asked(PIPED, at=[NOON, "2013-01-02"]).to_arrow()
    assert str(table.schema.field("time").type) == "timestamp[ms, tz=UTC]"
    assert table["time"].to_pylist() == [NOON, *[datetime(2013, 1, 2, tzinfo=UTC)] * 2]
    naive = FRAME.with_columns(pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%SZ"))
    per = asked(f"{BUFFERED} | aggregate(change)", naive, per="2s", end="2013-01-01T12:00:05").to_polars()
    assert per.rows() == [
        (datetime(2013, 1, 1, 12), datetime(2013, 1, 1, 12, 0, 2), 1.0),
        (datetime(2013, 1, 1, 12, 0, 2), datetime(2013, 1, 1, 12, 0, 4), 4.0),
        (datetime(2013, 1, 1, 12, 0, 4), datetime(2013, 1, 1, 12, 0, 5), 2.0),
    ]
    numbers = FRAME.with_columns(time=pl.Series([1, 2, 3, 4]))
    assert asked(PIPED, numbers, unit="s", at="3s").to_arrow()["time"].to_pylist() == [3_000, 3_000]


def test_an_evaluation_is_asked_too() -> None:
    outputs = f"{{cdn: latest_event_to_state(cdn), value: {BUFFERED}}}"
    result = tl.evaluate(outputs, FRAME, key="session")
    assert result.aggregate("count, sum(value), avg(value)", "cdn").rows == asked(PIPED).rows
    assert result.aggregate(group_by=["cdn"], where="value > 0").rows == [{"cdn": "B", "count": 1}]
    rows = result.aggregate(top=1, by="value", at="2013-01-01T12:00:10Z").rows
    assert [(row["key"], row["value"]) for row in rows] == [("c", 8)]
    every = result.aggregate("sum(value)", every="2s", start=NOON, end="2013-01-01T12:00:05Z").rows
    assert [row["sum(value)"] for row in every] == [0, 1, 5]
    built = tl.evaluate(
        tl.duration_where(tl.latest_event_to_state("state") == "buffer"), FRAME, key="session"
    )
    assert built.aggregate("max").rows == [{"max(value)": 4}]


def test_lives_and_jobs() -> None:
    rows = [("a", 0, {"n": 1}), ("a", 1_000, {"n": 2}), ("a", 60_000, {"n": 4}), ("b", 60_000, {"n": 8})]
    text = "sum(n) | aggregate(count, sum)"
    for jobs in (1, 2):
        for lives, counted in ((False, 2), (True, 3)):
            result = tl.evaluate(text, tl.from_rows(rows), tl.Limits(key_ttl=10_000), jobs, lives=lives)
            assert isinstance(result, Result)
            assert result.rows == [{"count": counted, "sum(value)": 15 if lives else 12}]


def test_an_answer_that_no_message_carries_may_be_longer() -> None:
    events = tl.from_rows([(f"k{i}", 0, {"n": i}) for i in range(10_001)])
    result = tl.evaluate("{n: sum(n)}", events)
    assert sum(row["count"] for row in result.aggregate(group_by="n").rows) == 10_001
    assert len(result.aggregate(at=5).rows) == 10_001
    assert len(result.aggregate("change(n)", "key", start=0, end=10).rows) == 10_001
    request = Request.parse({"n": Kind.NUMERIC}, group_by=["n"])
    with pytest.raises(LimitError, match="more than 10000 groups"):
        partial(result, request)


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda: asked("count(a == 1)", at="1s"), RequestError, r"^at: a question over all keys may say so"),
        (lambda: asked(PIPED, sta=1), TypeError, "sta"),
        (lambda: asked("count(a == 1)", sta=1), TypeError, "unexpected keyword argument 'sta'"),
        (
            lambda: asked("sum(a) | aggregate(sun)"),
            RequestError,
            "line 1, column 20: there is no aggregate sun",
        ),
        (lambda: asked(f"({PIPED})"), ExpressionError, "or the only output of a spec"),
        (lambda: asked(PIPED, at="12:00"), DurationError, "not a time: '12:00'"),
        (lambda: asked(PIPED, at=1, per="5m"), RequestError, "give one or the other"),
        (lambda: asked(PIPED, every="5m", where="valu > 1"), ExpressionError, "there is no output valu"),
        (
            lambda: asked("sum(a) | aggregate(change)", FRAME.clear()),
            NotFoundError,
            "nothing says from when to when: give start and end",
        ),
    ],
)
def test_what_cannot_be_asked(ask: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ask()

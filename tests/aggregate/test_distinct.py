"""``distinct(output)`` over keys: exact while there are few, then one estimate, however they are divided."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.aggregates import through_json
from timeline.aggregate import Request, kinds_of, merge, partial
from timeline.aggregate.different import ACCURACY
from timeline.errors import LimitError
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.operators.distinct import EXACT
from timeline.tables.events import from_rows

Rows = list[tuple[str, int, dict[str, Any]]]


def carrying(values: list[Any]) -> Rows:
    return [(f"k{i}", i, {"a": value, "g": i % 2}) for i, value in enumerate(values)]


def answer(rows: Rows, streams: int = 1, **words: Any) -> Any:
    divided = [
        evaluate("{a: latest_event_to_state(a), g: first(g)}", from_rows(rows[s::streams]))
        for s in range(streams)
    ]
    request = Request.parse(kinds_of(divided[0].plan), **{"agg": "distinct(a)", **words})
    return through_json(request, [partial(one, request) for one in divided])


def test_values_are_one_where_they_are_equal() -> None:
    values = [1, 1.0, True, "1", "true", None, 0.5, "0.5", 1, "1"]
    got = answer(carrying(values), 3)
    # 1, true, "1", "true", 0.5, "0.5"; null is none.
    assert got.rows == [{"distinct(a)": 6}]
    assert got.to_arrow().schema.field("distinct(a)").type == "int64"
    assert answer(carrying([None]), group_by=["a"]).rows == [{"a": None, "distinct(a)": 0}]
    assert answer([], 1).rows == [{"distinct(a)": 0}]


def test_numbers_of_several_units_are_compared_as_users_see_them() -> None:
    plan = "sum(n)"
    parts: list[Rows] = [
        [("a", 1, {"n": 0.5}), ("b", 1, {"n": 2})],
        [("c", 1, {"n": 0.5}), ("d", 1, {"n": 1e-9})],
    ]
    request = Request.parse(kinds_of(evaluate(plan, from_rows(parts[0])).plan), agg="distinct")
    partials = [partial(evaluate(plan, from_rows(rows)), request) for rows in parts]
    assert through_json(request, partials).rows == [{"distinct(value)": 3}]


def test_exact_up_to_its_bound_then_an_estimate_that_no_division_changes() -> None:
    for many in (EXACT, EXACT + 1, 20_000):
        rows = carrying([f"v{i}" for i in range(many)] * 2)
        [one, *others] = [answer(rows, streams) for streams in (1, 2, 5)]
        assert all(other.rows == one.rows for other in others)
        assert one.rows[0]["distinct(a)"] == pytest.approx(many, rel=0 if many == EXACT else ACCURACY)
        assert one.errors == ({} if many == EXACT else {"distinct(a)": ACCURACY})


def test_in_a_series_and_over_intervals() -> None:
    rows: Rows = [
        ("s", 1_000, {"a": "x"}),
        ("t", 2_000, {"a": "x"}),
        ("s", 3_000, {"a": "y"}),
        ("t", 5_500, {"a": "z"}),
    ]
    series = answer(rows, start=1_000, end=5_000, every=1_000).rows
    assert [row["distinct(a)"] for row in series] == [1, 1, 2, 2, 2]
    # At 3 s x goes on; what begins at 5.5 s is in the last piece only.
    per = answer(rows, start=0, end=6_000, per=2_000, agg="distinct(a), count").rows
    assert [(row["distinct(a)"], row["count"]) for row in per] == [(1, 1), (2, 2), (3, 2)]
    kept = answer(rows, start=0, end=6_000, where='a != "x"').rows
    assert kept == [{"from": 0, "to": 6_000, "distinct(a)": 2}]


def test_users_of_lives() -> None:
    rows: Rows = [("u", 0, {"a": 1}), ("u", 60_000, {"a": 2}), ("v", 60_000, {"a": 2})]
    result = evaluate("latest_event_to_state(a)", from_rows(rows), Limits(key_ttl=1_000))
    request = Request.parse(kinds_of(result.plan), agg="count, distinct(key), distinct(value)", lives=True)
    assert merge(request, [partial(result, request)]).rows == [
        {"count": 3, "distinct(key)": 2, "distinct(value)": 2}
    ]


def test_too_many_sketches_for_a_message() -> None:
    rows = [(f"k{i}", 1, {"a": f"v{i}", "g": i % 60}) for i in range(60 * (EXACT + 1))]
    with pytest.raises(LimitError, match="leave out quantiles, histograms and distinct"):
        answer(rows, group_by=["g"])

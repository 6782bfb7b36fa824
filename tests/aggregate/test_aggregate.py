"""Questions over all keys: what they answer at the edges, and what cannot be asked."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

import pytest

from tests.support.aggregates import KINDS, PLAN, shown, through_json
from tests.support.cases import cases
from tests.support.graphs import WireGraph
from tests.support.places import ROOT
from tests.support.poison import poison
from tests.support.streams import batches
from timeline.aggregate import Partial, Request, Result, kinds_of, merge, partial
from timeline.errors import BusyError, ExpressionError, LimitError, RequestError, TimelineError
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.tables.events import from_rows
from timeline.values.kinds import Kind


def test_groups_by_their_columns_and_the_largest_first() -> None:
    events: list[Any] = [(f"k{i}", 1, {"cdn": f"C{i % 3}", "n": i}) for i in range(9)]
    result = evaluate(PLAN, from_rows(events))
    request = Request.parse(KINDS, agg="sum(n), count", group_by=["cdn"], top=2, by="sum(n)")
    got = merge(request, [partial(result, request)])
    assert got.columns == ("cdn", "sum(n)", "count")
    assert got.rows == [
        {"cdn": "C2", "sum(n)": 7.5, "count": 3},
        {"cdn": "C1", "sum(n)": 6, "count": 3},
    ]


def test_groups_are_told_apart_and_ordered_by_type_then_value_first_by_the_first() -> None:
    values = [True, 1, "x", None, False, 2.5, "1"]
    events: list[Any] = [(f"{a!r} {i}", 1, {"a": a, "b": i // 4}) for a in values for i in range(6)]
    plan = make_plan("{a: latest_event_to_state(a), b: latest_event_to_state(b)}")
    request = Request.parse(kinds_of(plan), group_by=["b", "a"])
    parts = [partial(evaluate(plan, from_rows(events[stream::2])), request) for stream in (0, 1)]
    ordered = [None, False, True, 1, 2.5, "1", "x"]
    want = [[b, a, 4 - 2 * b] for b in (0, 1) for a in ordered]
    # In JSON, where true and 1 differ.
    assert json.dumps([list(row.values()) for row in through_json(request, parts).rows]) == json.dumps(want)


def test_a_series_begins_when_sessions_begin_and_has_a_row_where_there_are_none() -> None:
    result = evaluate("count(a == 1)", from_rows([("k", 1500, {"a": 1}), ("l", 3000, {"a": 1})]))
    request = Request.parse(kinds_of(result.plan), agg="count, sum", start=900, end=4000, every=1000)
    got = merge(request, [partial(result, request)])
    assert got.rows == [
        {"time": 1000, "count": 0, "sum(value)": None},
        {"time": 2000, "count": 1, "sum(value)": 1},
        {"time": 3000, "count": 2, "sum(value)": 2},
        {"time": 4000, "count": 2, "sum(value)": 2},
    ]


def test_numbers_finer_and_larger_than_64_bits_hold_are_added_exactly() -> None:
    events: list[Any] = [
        ("a", 0, {"n": 9e15}),
        ("b", 0, {"n": 0.0001}),
        ("c", 0, {"n": 1e300}),
        ("d", 0, {"n": 1e-300}),
    ]
    request = Request.parse(KINDS, agg="sum(n), min, max, p50, p100, histogram", at=[5])
    parts = [partial(evaluate(PLAN, from_rows([e])), request) for e in events]
    [row] = through_json(request, parts).rows
    half = [Fraction(x) / 2 for x in ("9e15", "0.0001", "1e300", "1e-300")]
    assert row["sum(n)"] == shown(sum(half, Fraction(0)))
    assert (row["min(n)"], row["max(n)"], row["p50(n)"]) == (5e-301, 5e299, 0.00005)
    assert [count for *_, count in row["histogram(n)"]] == [1, 1, 1, 1]
    ratios: list[Any] = [("a", 0, {"n": 1e300}), ("b", 0, {"n": 1}), ("c", 0, {"n": -1e300})]
    request = Request.parse(KINDS, agg="sum(share)", at=[1000])
    for order in (ratios, ratios[::-1]):
        result = evaluate(PLAN, from_rows(order))
        assert merge(request, [partial(result, request)]).rows[0]["sum(share)"] == 1, "no float lost the 1"


def test_a_sum_that_int64_does_not_hold() -> None:
    result = evaluate("sum(n)", from_rows([(f"k{i}", 0, {"n": 4e15}) for i in range(5)]))
    request = Request.parse(kinds_of(result.plan), agg="sum, avg")
    assert merge(request, [partial(result, request)]).rows == [
        {"sum(value)": 2 * 10**16, "avg(value)": 4 * 10**15}
    ]


def test_open_and_closed_keys() -> None:
    graph = WireGraph(PLAN, Limits(1_000, 100_000, 10_000))
    events = from_rows([("old", 1_000, {"cdn": "A"}), ("new", 8_000, {"cdn": "B"}), ("new", 15_000, {})])
    graph.feed(events, (2,))
    for at, wanted in ((None, [False, True]), ([10_999], [False]), ([11_000], [False])):
        request = Request.parse(KINDS, agg="count", group_by=["closed"], at=at)
        got = merge(request, [partial(graph.answers, request)])
        assert [row["closed"] for row in got.rows] == wanted, at
        assert got.positions == [(2,)]
    request = Request.parse(KINDS, where="!closed")
    [row] = merge(request, [partial(graph.answers, request)]).rows
    assert (row["key"], row["time"], row["closed"], row["cdn"]) == ("new", 15_000, False, "B")


def test_who_is_left_out_is_counted() -> None:
    limits = Limits(0, 1_000, 5_000)
    graph = WireGraph(PLAN, limits)
    poison(graph.nodes[PLAN.outputs["cdn"].index], {"bad"}, reading=True)
    events: list[Any] = [("bad", 2_000, {"cdn": "A"}), ("gone", 1, {})]
    events += [(f"k{t % 3}", 2_000 + t, {"cdn": "ABCD"[t % 4]}) for t in range(3_600)]
    *sent, late = batches(from_rows([*events, ("late", 60_000, {"cdn": "A"})]), [2, 1_800, len(events)])
    for batch in sent:
        graph.feed(batch, tuple(batch.position[-1].tolist()))
    request = Request.parse(KINDS, agg="count, count(cdn)", at=[1_999, 2_100, 5_500])
    got = merge(request, [partial(graph.answers, request)])
    counted = {row["time"]: row["count"] for row in got.rows}
    left_out = {(e.at, e.reason): e.keys for e in got.excluded}
    assert left_out[5_500, "quarantined"] == left_out[2_100, "quarantined"] == 1
    assert left_out[2_100, "older than retention"] == 3
    assert counted[2_100] == 1, "gone, which has had no event since"
    assert counted[5_500] == 3, "gone's life ended at 5 001"
    assert counted[1_999] == 1
    assert got.forgotten_before is None
    graph.feed(late, (len(events),))
    got = merge(request, [partial(graph.answers, request)])
    assert (got.forgotten_before, got.keys) == (50_001, 1)


def test_the_only_output_is_meant_where_none_is_named() -> None:
    """The key, which lives may be asked by, is no output."""
    for lives in False, True:
        request = Request.parse({"value": Kind.NUMERIC}, agg="avg", lives=lives)
        assert [one.label for one in request.aggregates] == ["avg(value)"]
    with pytest.raises(RequestError, match="avg of what"):
        Request.parse({"a": Kind.NUMERIC, "b": Kind.NUMERIC}, agg="avg", lives=True)


@pytest.mark.parametrize(("asked", "message"), cases("request_errors", "asked", "error"))
def test_what_cannot_be_asked(asked: dict[str, Any], message: str) -> None:
    with pytest.raises((RequestError, ExpressionError)) as caught:
        Request.parse(KINDS, **asked)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("agg", "place"),
    [
        ("count, median(n)", "median"),
        ("count, sum(m)", "m"),
        ("max(playing)", "playing"),
        ("sum(n, 3)", "3"),
        ("p50(n, 1)", "1"),
        ("histogram(n, 0, a)", "a"),
        ("histogram(n, 0, 2, 1)", "1"),
        ("sum(n", ""),
        ("count, ", ""),
        ("count,, sum(n)", ","),
        ("sum(n)) , count", ")"),
        ("count;", ";"),
        ("sum(n,)", ")"),
    ],
)
def test_a_caret_stands_under_what_is_wrong_in_a_list(agg: str, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        Request.parse(KINDS, agg=agg)
    line, marks = caught.value.caret().split("\n")
    assert line == agg
    assert line[marks.index("^") :][: marks.count("^")] == place
    assert str(caught.value).startswith(f"line 1, column {marks.index('^') + 1}: ")


def test_a_list_may_have_spaces_and_lines() -> None:
    wanted = Request.parse(KINDS, agg="count, count(n), sum(n), p99.9(n), histogram(n, -0.5, 1, 10)")
    spaced = " count ( )\n,count(n), sum\t( n ), p99.9,histogram( n ,-0.5,1 ,\n10 ) , sum(n) "
    assert Request.parse(KINDS, agg=spaced) == wanted
    with pytest.raises(RequestError) as caught:
        Request.parse(KINDS, agg="count,\n sum(no such)")
    assert str(caught.value).startswith(
        "line 2, column 6: sum(no such): there is no output no such; expected"
    )
    assert caught.value.caret() == " sum(no such)\n     ^^^^^^^"


def test_what_is_too_much_says_what_to_do() -> None:
    events = from_rows([(f"k{i}", 0, {"cdn": i, "n": i}) for i in range(10_001)])
    result = evaluate(PLAN, events)

    def asked(**words: Any) -> Result:
        request = Request.parse(KINDS, **words)
        return merge(request, [Partial.from_wire(partial(result, request).to_wire(request), request)])

    def problem(**words: Any) -> str:
        with pytest.raises(TimelineError) as caught:
            asked(**words)
        assert isinstance(caught.value, LimitError)
        return str(caught.value)

    assert "more than 10000 groups (times the ticks asked for)" in problem(group_by=["cdn"])
    assert "more than 10000 rows; choose some with where or top" in problem()
    assert "10001 keys at 2000 times are" in problem(agg="count", start=0, end=1999, every=1)
    assert "bytes, and a message takes 1000000" in problem(
        agg="p50(n), p50(share), p50(when), histogram(n), histogram(share), histogram(when)",
        group_by=["cdn"],
        where="n < 4990",
    )
    assert len(asked(where="n < 4999.5", top=10_000, by="n").rows) == 9_999


def test_a_state_that_is_asked_for_numbers_and_a_condition_of_one_output() -> None:
    events: list[Any] = [
        ("a", 0, {"cdn": 5, "n": 1}),
        ("b", 0, {"cdn": "x", "n": 1}),
        ("c", 0, {"cdn": True, "n": 2}),
    ]
    result = evaluate(PLAN, from_rows(events))
    request = Request.parse(KINDS, agg="count, sum(cdn), count(cdn), p50(cdn)", where="playing")
    assert merge(request, [partial(result, request)]).rows == [
        {"count": 2, "sum(cdn)": 5, "count(cdn)": 1, "p50(cdn)": 5}
    ]


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("cdn in ('eu-1', 7)", ["a", "c"]),
        ("cdn not in ('eu-1', 7)", ["b", "d"]),
        ("cdn is null", ["d"]),
        ("cdn is not null && !starts_with(cdn, 'eu-')", ["c"]),
        ("matches(cdn, '[12]$')", ["a", "b"]),
        ("n in (0.5, 1.5)", ["a", "c"]),
    ],
)
def test_conditions_of_several_values_and_of_texts(where: str, keys: list[str]) -> None:
    events: list[Any] = [
        ("a", 0, {"cdn": "eu-1", "n": 1}),
        ("b", 0, {"cdn": "eu-2", "n": 2}),
        ("c", 0, {"cdn": 7, "n": 3}),
        ("d", 0, {"n": 4}),
    ]
    result = evaluate(PLAN, from_rows(events))
    got = merge(request := Request.parse(KINDS, where=where), [partial(result, request)])
    assert [row["key"] for row in got.rows] == keys


def test_the_example_of_the_page() -> None:
    page = ROOT / "docs" / "aggregates.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert code.rstrip().endswith(f"# {names['result'].rows}")


def test_a_question_ends_when_its_time_is_over() -> None:
    result = evaluate(PLAN, from_rows([("k", 1, {"cdn": "A"})]))
    request = Request.parse(KINDS, agg="count")
    asked: list[bool] = [True, False]
    assert partial(result, request, lambda: asked.pop(0)).keys == 1
    with pytest.raises(BusyError, match=r"a question over 1 keys of a stream takes longer .* ask for fewer"):
        partial(result, request, lambda: asked.pop(0))

"""Questions over all keys: against plain Python a key at a time, and against DuckDB."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.graphs import WireGraph
from tests.support.places import ROOT
from tests.support.poison import poison
from tests.support.streams import batches
from timeline.aggregate import Partial, Request, Result, kinds_of, merge, partial
from timeline.aggregate.samples import ACCURACY, EXACT_VALUES
from timeline.errors import BusyError, ExpressionError, LimitError, RequestError, TimelineError
from timeline.limits import Limits
from timeline.local.evaluate import Evaluation, evaluate
from timeline.plan import make_plan
from timeline.tables.events import from_rows
from timeline.values.exact import user_fraction

OUTPUTS = """{
  cdn: latest_event_to_state(cdn), playing: latest_event_to_state(n) == 1,
  n: sum(n) * 0.5, share: sum(n) / duration_where(has_existed(n != 0)), when: duration_in_cur_state(
  latest_event_to_state(cdn))}"""
PLAN = make_plan(OUTPUTS)
KINDS = kinds_of(PLAN)

rows = st.lists(
    st.tuples(
        st.sampled_from([f"k{i}" for i in range(8)]),
        st.integers(0, 20),
        st.fixed_dictionaries(
            {},
            optional={
                "cdn": st.sampled_from(["C1", "C2", 1, 2.5, True, None]),
                "n": st.sampled_from([-3, 0, 1, 2.5, 0.001, "x"]),
            },
        ),
    ),
    min_size=1,
    max_size=40,
)


def number(value: Any) -> Fraction | None:
    """What an output's value is as a number; of a Ratio, the float itself."""
    if value is None or isinstance(value, str):
        return None
    return Fraction(value) if isinstance(value, bool) else Fraction(str(value))


def shown(value: Fraction | None) -> Any:
    return None if value is None else user_fraction(value.numerator, value.denominator)


def nearest_rank(values: list[Fraction], percent: Fraction) -> Fraction | None:
    return sorted(values)[max(math.ceil(percent * len(values) / 100), 1) - 1] if values else None


def reference(
    result: Evaluation,
    ticks: Iterable[int],
    where: Callable[[dict[str, Any]], bool],
    group_by: list[str],
) -> dict[tuple[int, str], list[dict[str, Any]]]:
    """The values of every key by tick and group (as JSON, in which true and 1 differ)."""
    found: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in result.values(sorted(set(ticks))):
        assert isinstance(row.value, dict)
        if row.at >= result.span(row.key)[0] and where(row.value):
            group = json.dumps([row.value[name] for name in group_by])
            found.setdefault((row.at, group), []).append(row.value | {"key": row.key})
    return found


def through_json(request: Request, parts: Iterable[Partial]) -> Result:
    again = Request.from_wire(json.loads(json.dumps(request.to_wire())))
    assert again == request
    wires = [json.loads(json.dumps(part.to_wire(request))) for part in parts]
    return merge(again, [Partial.from_wire(wire, again) for wire in wires])


CONDITIONS: list[tuple[str | None, Callable[[dict[str, Any]], bool]]] = [
    (None, lambda v: True),
    ("n > 0.5", lambda v: v["n"] > 0.5),
    ('cdn == "C1" || playing', lambda v: v["cdn"] == "C1" or v["playing"]),
    ("!(when >= 0.005) && cdn != null", lambda v: v["when"] is not None and v["when"] < 0.005),
    ("n + 1 <= 2 * n", lambda v: v["n"] + 1 <= 2 * v["n"]),
    ("share >= 100", lambda v: v["share"] is not None and v["share"] >= 100),
]


@settings(max_examples=200)
@given(
    rows,
    st.lists(st.integers(0, 30), min_size=1, max_size=4),
    st.sampled_from(CONDITIONS),
    st.lists(st.sampled_from(["cdn", "playing", "n"]), max_size=2, unique=True),
    st.lists(st.integers(0, 3), min_size=8, max_size=8),
    st.sampled_from([0, 3, EXACT_VALUES]),
)
def test_any_partition_of_the_keys_gives_what_a_loop_over_all_keys_gives(
    events: Any, ticks: list[int], condition: Any, group_by: list[str], streams: list[int], few: int
) -> None:
    text, where = condition
    agg = (
        "count, count(cdn), sum(n), avg, min, max, sum(playing), avg(share), max, p50(n), p99.9, p0(share), "
    )
    agg += "sum(cdn), histogram(n, -1, 0, 0.5), histogram(when)"
    request = Request.parse(KINDS, agg=agg, group_by=group_by, where=text, at=ticks)
    whole = evaluate(PLAN, from_rows(events))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("timeline.aggregate.samples.EXACT_VALUES", few)
        one = through_json(request, [partial(whole, request)])
        parts = []
        for stream in range(4):
            mine = [e for e in events if streams[int(e[0][1:])] == stream]
            parts.append(partial(evaluate(PLAN, from_rows(mine)), request))
        many = through_json(request, parts)
    assert (one.rows, one.columns, one.errors, one.keys) == (many.rows, many.columns, many.errors, many.keys)
    expected = reference(whole, ticks, where, group_by)
    if not group_by:
        expected = {(tick, "[]"): [] for tick in ticks} | expected
    got = {(row["at"], json.dumps([row[name] for name in group_by])): row for row in one.rows}
    assert got.keys() == expected.keys()
    assert len(one.rows) == len(got)
    for place, values in expected.items():
        row = got[place]
        n = [Fraction(str(v["n"])) for v in values]
        share = [Fraction(v["share"]) for v in values if v["share"] is not None]
        cdn = [x for x in (number(v["cdn"]) for v in values if v["cdn"] is not True) if x is not None]
        when = [Fraction(str(v["when"])) for v in values if v["when"] is not None]
        assert row["count"] == len(values)
        assert row["count(cdn)"] == len(cdn)
        assert row["sum(n)"] == (shown(sum(n, Fraction(0))) if n else None)
        assert row["avg(n)"] == (shown(sum(n, Fraction(0)) / len(n)) if n else None)
        assert (row["min(n)"], row["max(n)"]) == (shown(min(n, default=None)), shown(max(n, default=None)))
        assert row["sum(playing)"] == (sum(v["playing"] for v in values) if values else None)
        assert row["avg(share)"] == (shown(sum(share, Fraction(0)) / len(share)) if share else None)
        assert row["max(share)"] == shown(max(share, default=None))
        assert row["sum(cdn)"] == (shown(sum(cdn, Fraction(0))) if cdn else None)
        bounds = [-1, 0, 0.5]
        assert row["histogram(n, -1, 0, 0.5)"] == [
            [low, high, sum((low is None or x >= low) and (high is None or x < high) for x in n)]
            for low, high in zip([None, *bounds], [*bounds, None], strict=True)
        ]
        for low, high, count in row["histogram(when)"]:
            assert count == sum(low <= x < high for x in map(shown, when)) > 0
        for label, of, percent in (("p50(n)", n, "50"), ("p99.9(n)", n, "99.9"), ("p0(share)", share, "0")):
            exact = nearest_rank(of, Fraction(percent))
            if label in one.errors and exact is not None:
                assert row[label] == pytest.approx(shown(exact), rel=ACCURACY)
            else:
                assert row[label] == shown(exact)


def sessions(count: int) -> list[tuple[str, int, dict[str, Any]]]:
    chance = random.Random(7)
    events = []
    for number in range(count):
        tick = chance.randrange(60_000)
        for _ in range(6):
            state, cdn = chance.choice(["play", "buffer", "seek"]), chance.choice(["A", "B", "C"])
            events.append((f"s{number}", tick, {"state": state, "cdn": cdn}))
            tick += chance.randrange(1, 30_000)
    return sorted(events, key=lambda e: e[1])


@pytest.fixture(scope="module")
def quality() -> tuple[list[Any], Evaluation]:
    events = sessions(12_000)
    rebuffering = "duration_where(latest_event_to_state(state) == 'buffer')"
    plan = make_plan(f"{{cdn: latest_event_to_state(cdn), rebuffering: {rebuffering}}}")
    return events, evaluate(plan, from_rows(events))


def test_equal_to_duckdb_over_the_local_evaluation(quality: tuple[list[Any], Evaluation]) -> None:
    events, whole = quality
    ticks = list(range(30_000, 180_000, 15_000))
    agg = "count, sum(rebuffering), avg, min, max, p50, p99"
    request = Request.parse(kinds_of(whole.plan), agg=agg, group_by=["cdn"], at=ticks)
    parts = []
    for stream in range(4):
        mine = [e for e in events if int(e[0][1:]) % 4 == stream]
        parts.append(partial(evaluate(whole.plan, from_rows(mine)), request))
    got = merge(request, parts)
    assert got.errors == {"p50(rebuffering)": ACCURACY, "p99(rebuffering)": ACCURACY}
    at, cdn, ms = [], [], []
    for (tick, _), values in reference(whole, ticks, lambda v: True, []).items():
        at += [tick] * len(values)
        cdn += [v["cdn"] for v in values]
        ms += [round(v["rebuffering"] * 1000) for v in values]
    truth = pa.table({"t": at, "cdn": cdn, "ms": ms})
    wanted = duckdb.execute(
        "SELECT t, cdn, count(*), sum(ms)::BIGINT, min(ms), max(ms), quantile_disc(ms, 0.5), "
        "quantile_disc(ms, 0.99) FROM truth GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert len(got.rows) == len(wanted) == 30
    for row, (t, group, count, total, least, most, median, high) in zip(got.rows, wanted, strict=True):
        assert (row["at"], row["cdn"], row["count"]) == (t, group, count)
        assert row["sum(rebuffering)"] == total / 1000
        assert row["avg(rebuffering)"] == float(Fraction(total, 1000 * count))
        assert (row["min(rebuffering)"], row["max(rebuffering)"]) == (least / 1000, most / 1000)
        assert row["p50(rebuffering)"] == pytest.approx(median / 1000, rel=ACCURACY, abs=0)
        assert row["p99(rebuffering)"] == pytest.approx(high / 1000, rel=ACCURACY, abs=0)
    assert truth.num_rows > EXACT_VALUES


def test_the_worst_keys_of_each_time_with_ties_by_name(quality: tuple[list[Any], Evaluation]) -> None:
    events, whole = quality
    request = Request.parse(
        kinds_of(whole.plan), where="cdn == 'A'", at=[10_000, 90_000], top=7, by="rebuffering"
    )
    parts = [
        partial(evaluate(whole.plan, from_rows([e for e in events if int(e[0][1:]) % 3 == s])), request)
        for s in range(3)
    ]
    got = through_json(request, parts)
    assert got.columns == ("key", "at", "cdn", "rebuffering")
    wanted = []
    for tick in (10_000, 90_000):
        rows = reference(whole, [tick], lambda v: v["cdn"] == "A", [])[tick, "[]"]
        best = sorted(rows, key=lambda v: (-v["rebuffering"], v["key"]))[:7]
        wanted += [{"key": v["key"], "at": tick, "cdn": "A", "rebuffering": v["rebuffering"]} for v in best]
    assert got.rows == wanted == merge(request, [partial(whole, request)]).rows
    assert wanted[0]["rebuffering"] == 0 or wanted[0]["rebuffering"] > wanted[6]["rebuffering"]


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


def test_a_series_begins_when_sessions_begin_and_has_a_row_where_there_are_none() -> None:
    result = evaluate("count(a == 1)", from_rows([("k", 1500, {"a": 1}), ("l", 3000, {"a": 1})]))
    request = Request.parse(kinds_of(result.plan), agg="count, sum", start=900, end=4000, every=1000)
    got = merge(request, [partial(result, request)])
    assert got.rows == [
        {"at": 1000, "count": 0, "sum(value)": None},
        {"at": 2000, "count": 1, "sum(value)": 1},
        {"at": 3000, "count": 2, "sum(value)": 2},
        {"at": 4000, "count": 2, "sum(value)": 2},
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
    for at, wanted in ((None, [False, True]), ([10_999], [False]), ([11_000], [False, True])):
        request = Request.parse(KINDS, agg="count", group_by=["closed"], at=at)
        got = merge(request, [partial(graph.result, request)])
        assert [row["closed"] for row in got.rows] == wanted, at
        assert got.positions == [(2,)]
    request = Request.parse(KINDS, where="!closed")
    [row] = merge(request, [partial(graph.result, request)]).rows
    assert (row["key"], row["at"], row["closed"], row["cdn"]) == ("new", 15_000, False, "B")


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
    got = merge(request, [partial(graph.result, request)])
    counted = {row["at"]: row["count"] for row in got.rows}
    left_out = {(e.at, e.reason): e.keys for e in got.excluded}
    assert left_out[5_500, "quarantined"] == left_out[2_100, "quarantined"] == 1
    assert left_out[2_100, "older than retention"] == 3
    assert counted[2_100] == 1, "gone, which has had no event since"
    assert counted[5_500] == 4
    assert counted[1_999] == 1
    assert got.forgotten_before is None
    graph.feed(late, (len(events),))
    got = merge(request, [partial(graph.result, request)])
    assert (got.forgotten_before, got.keys) == (54_001, 1)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"agg": "median(n)"}, "there is no aggregate median; expected count, sum, avg, min, max, p50"),
        ({"agg": "cuont"}, "did you mean count?"),
        ({"agg": "sum"}, "sum of what? expected sum(OUTPUT)"),
        ({"agg": "sum(m)"}, "sum(m): there is no output m; expected cdn, playing, n, share, when, closed"),
        ({"agg": "max(playing)"}, "playing is a Bool; expected a Numeric, a Ratio, a State; for how many"),
        ({"agg": "sum(n, 3)"}, "sum takes one output, got 3 besides"),
        ({"agg": "p50(n, 1)"}, "p50 takes one output, got n, 1"),
        ({"agg": "p101(n)"}, "there is no aggregate p101"),
        ({"agg": "count, "}, "nothing is no aggregate"),
        ({"agg": "sum(n"}, "sum(n is no aggregate"),
        ({"agg": "histogram(n, a)"}, "a histogram's bounds are numbers such as 0.5, got a"),
        ({"agg": "histogram(n, 2, 1)"}, "a histogram's bounds grow, got 2, 1"),
        ({"group_by": ["cnd"]}, "group by: there is no output cnd"),
        ({"group_by": ["share"]}, "cannot group by share, a Ratio"),
        ({"where": "n > 5 && cdn = 'A'"}, "= is not an operator; did you mean ==?"),
        ({"where": "cdn == C1"}, "there is no output C1; expected cdn, playing, n, share, when, closed; did"),
        ({"where": "n"}, "a condition cannot be n, a Numeric; expected a Bool; did you mean n > ...?"),
        ({"where": "duration_where(playing) > 5"}, "a condition looks at outputs at one time only"),
        ({"where": "n == 'x'"}, "a Numeric can never equal a string"),
        ({"where": 'col("n") > 5'}, "there is no output n"),
        ({"top": 5}, "top needs by"),
        ({"by": "n"}, "by needs top"),
        ({"top": 0, "by": "n"}, "top is a number from 1 to 10000, got 0"),
        ({"top": 5, "by": "m"}, "order by: there is no output m"),
        ({"agg": "sum(n)", "top": 5, "by": "n"}, "groups are ordered by one of their columns, got n"),
        ({"start": 0, "end": 5}, "which needs every"),
        ({"every": 5}, "a series of times needs all of from, to and every"),
        ({"start": 0, "end": 5, "every": 0}, "every is at least 1ms, got 0ms"),
        ({"start": 0, "end": 10_000, "every": 1}, "a series has at most 10000 times, got 10001"),
        ({"start": 6, "end": 9, "every": 5}, "no multiple of every (5ms) lies from 6 to 9 ms"),
        ({"start": 0, "end": 5, "every": 1, "at": [1]}, "not both"),
        ({"at": [-1]}, "a time lies between 0 and"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, Any], message: str) -> None:
    with pytest.raises((RequestError, ExpressionError)) as caught:
        Request.parse(KINDS, **asked)
    assert message in str(caught.value)


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

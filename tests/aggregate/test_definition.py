"""Questions over all keys: against plain Python a key at a time, and against DuckDB."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.aggregates import KINDS, PLAN, shown, through_json
from timeline.aggregate import Request, kinds_of, merge, partial
from timeline.aggregate.parsing import parse_aggregates
from timeline.aggregate.samples import ACCURACY, EXACT_VALUES
from timeline.errors import RequestError
from timeline.local.evaluate import evaluate
from timeline.local.evaluation import Evaluation
from timeline.plan import make_plan
from timeline.tables.events import from_rows
from timeline.values.kinds import Kind

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
    agg += (
        "sum(cdn), histogram(n, -1, 0, 0.5), histogram(when), distinct(cdn), distinct(n), distinct(playing)"
    )
    request = Request.parse(KINDS, agg=agg, group_by=group_by, where=text, at=ticks)
    whole = evaluate(PLAN, from_rows(events))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("timeline.aggregate.samples.EXACT_VALUES", few)
        patch.setattr("timeline.aggregate.different.EXACT", few)
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
    got = {(row["time"], json.dumps([row[name] for name in group_by])): row for row in one.rows}
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
        for name in ("cdn", "n", "playing"):
            if f"distinct({name})" not in one.errors:
                different = {json.dumps(v[name]) for v in values if v[name] is not None}
                assert row[f"distinct({name})"] == len(different)
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
    agg = "count, sum(rebuffering), avg, min, max, p50, p99, distinct, distinct(cdn)"
    request = Request.parse(kinds_of(whole.plan), agg=agg, group_by=["cdn"], at=ticks)
    parts = []
    for stream in range(4):
        mine = [e for e in events if int(e[0][1:]) % 4 == stream]
        parts.append(partial(evaluate(whole.plan, from_rows(mine)), request))
    got = merge(request, parts)
    estimated = {"p50(rebuffering)": ACCURACY, "p99(rebuffering)": ACCURACY, "distinct(rebuffering)": 0.044}
    assert got.errors == estimated
    assert got.inexact()[1:] == [
        "p99(rebuffering) is within 0.5% of its value",
        "distinct(rebuffering) is within 4.4% of its value, in 95 of 100 answers",
    ]
    at, cdn, ms = [], [], []
    for (tick, _), values in reference(whole, ticks, lambda v: True, []).items():
        at += [tick] * len(values)
        cdn += [v["cdn"] for v in values]
        ms += [round(v["rebuffering"] * 1000) for v in values]
    truth = pa.table({"t": at, "cdn": cdn, "ms": ms})
    wanted = duckdb.execute(
        "SELECT t, cdn, count(*), sum(ms)::BIGINT, min(ms), max(ms), quantile_disc(ms, 0.5), "
        "quantile_disc(ms, 0.99), count(DISTINCT ms), count(DISTINCT cdn) FROM truth "
        "GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert len(got.rows) == len(wanted) == 30
    for row, (t, group, count, total, least, most, median, high, different, one) in zip(
        got.rows, wanted, strict=True
    ):
        assert (row["time"], row["cdn"], row["count"]) == (t, group, count)
        assert row["sum(rebuffering)"] == total / 1000
        assert row["avg(rebuffering)"] == float(Fraction(total, 1000 * count))
        assert (row["min(rebuffering)"], row["max(rebuffering)"]) == (least / 1000, most / 1000)
        assert row["p50(rebuffering)"] == pytest.approx(median / 1000, rel=ACCURACY, abs=0)
        assert row["p99(rebuffering)"] == pytest.approx(high / 1000, rel=ACCURACY, abs=0)
        # Two standard errors are 4.4 %; of these 30 none is further than three.
        assert row["distinct(rebuffering)"] == pytest.approx(different, rel=0.066 if different > 2_048 else 0)
        assert row["distinct(cdn)"] == one == 1
    assert sum(row[8] > 2_048 for row in wanted) > 5
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
    assert got.columns == ("key", "time", "cdn", "rebuffering")
    wanted = []
    for tick in (10_000, 90_000):
        rows = reference(whole, [tick], lambda v: v["cdn"] == "A", [])[tick, "[]"]
        best = sorted(rows, key=lambda v: (-v["rebuffering"], v["key"]))[:7]
        wanted += [{"key": v["key"], "time": tick, "cdn": "A", "rebuffering": v["rebuffering"]} for v in best]
    assert got.rows == wanted == merge(request, [partial(whole, request)]).rows
    assert wanted[0]["rebuffering"] == 0 or wanted[0]["rebuffering"] > wanted[6]["rebuffering"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",".join(["count"] * 20_001), "has at most 20000 characters, got 120005"),
        (f"histogram(n, {'9' * 5_000})", "bounds are numbers such as 0.5, got 999"),
        ("x" * 15_000, "there is no aggregate xxx"),
    ],
    ids=["parts", "digits", "name"],
)
def test_what_is_far_too_long_is_refused_in_few_words(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as refused:
        parse_aggregates(text, {"n": Kind.NUMERIC})
    assert len(str(refused.value)) < 1_500

"""The operators that count, choose and look at texts beside plain SQL of DuckDB, over the same events."""

from __future__ import annotations

import random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from timeline.aggregate import Request, merge, partial
from timeline.aggregate.request import needs_span
from timeline.local.evaluate import evaluate
from timeline.plan import kinds_of

END = 2_000_000
ALL = "with rows as (from events)"
#: Of each key, the time of its last login, and the events from then on.
SINCE = """
with last as (select key, max(time) as login from events where step = 'login' group by key),
rows as (select events.* from events join last using (key) where time >= login)
"""
#: From when to when each number was the latest of its key, up to the end.
SPELLS = f"""
with said as (select key, time, arg_max(n, row) as n from events where n is not null group by key, time),
rows as (select *, lead(time, 1, {END}) over (partition by key order by time) - time as ms from said)
"""
#: An expression, the same in SQL of each key, and of what.
EACH = [
    ("count(cdn in ('eu-1', 'us-2'))", "count(*) filter (cdn in ('eu-1', 'us-2'))", ""),
    ("count(cdn not in ('eu-1', 'us-2'))", "count(*) filter (cdn not in ('eu-1', 'us-2'))", ""),
    ("count(cdn is null)", "count(*) filter (cdn is null)", ""),
    ("count(cdn is not null && n is null)", "count(*) filter (cdn is not null and n is null)", ""),
    ("count(starts_with(cdn, 'eu-'))", "count(*) filter (starts_with(cdn, 'eu-'))", ""),
    (
        "count(matches(cdn, '^(eu|us)-[13]$'))",
        "count(*) filter (regexp_matches(cdn, '^(eu|us)-[13]$'))",
        "",
    ),
    ("first(cdn)", "arg_min(cdn, (time, -row)) filter (cdn is not null)", ""),
    ("distinct(ip)", "count(distinct ip)", ""),
    ("since(step == 'login', count(step == 'error'))", "count(*) filter (step = 'error')", SINCE),
    ("since(step == 'login', sum(n))", "coalesce(sum(n), 0)", SINCE),
    ("time_since(step == 'login')", f"({END} - min(time)) / 1000", SINCE),
    ("integral(latest_event_to_state(n))", "sum(n * ms) / 1000", SPELLS),
    ("time_weighted_avg(latest_event_to_state(n))", "sum(n * ms) / sum(ms)", SPELLS),
]


def events() -> pa.Table:
    """Some visitors, at times of which some are the same."""
    dice = random.Random(7)
    cdns = ["eu-1", "eu-2", "eu-3", "us-1", "us-2", None]
    rows = [
        {
            "row": row,
            "key": f"k{dice.randrange(40)}",
            "time": row // 3 * 300,
            "cdn": dice.choice(cdns),
            "step": dice.choice(["login", "page", "page", "page", "error", "page", None]),
            "n": dice.choice([1, 5, 20, None]),
            "ip": f"10.0.0.{dice.randrange(60)}",
        }
        for row in range(6_000)
    ]
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return events()


@pytest.mark.parametrize(("expression", "sql", "of"), EACH)
def test_each_key(table: pa.Table, expression: str, sql: str, of: str) -> None:
    got = {row.key: row.value for row in evaluate(expression, table).values(at=[END])}
    with duckdb.connect() as connection:
        connection.register("events", table)
        want = dict(connection.sql(f"{of or ALL} select key, {sql} from rows group by key").fetchall())
    assert len(want) == 40
    assert got == {key: pytest.approx(v, rel=1e-12) if isinstance(v, float) else v for key, v in want.items()}


def test_changes_of_intervals_and_groups(table: pa.Table) -> None:
    result = evaluate("{n: sum(n), errors: count(step == 'error'), cdn: latest_event_to_state(cdn)}", table)
    kinds = kinds_of(result.plan)
    words: dict[str, Any] = {"agg": "change(n), change(errors)", "group_by": ["cdn"], "per": 100_000}
    assert needs_span(kinds, **words)
    request = Request.parse(kinds, start=0, end=600_000, **words)
    got = {(r["from"], r["cdn"]): (r["change(n)"], r["change(errors)"]) for r in _rows(result, request)}
    with duckdb.connect() as connection:
        connection.register("events", table)
        said = connection.sql(
            """
            with now as (
              select *, last_value(cdn ignore nulls) over (
                partition by key order by time range between unbounded preceding and current row) as place
              from (select key, time, max(row) as row, arg_max(cdn, row) filter (cdn is not null) as cdn,
                    coalesce(sum(n), 0) as n, count(*) filter (step = 'error') as errors
                    from events group by key, time))
            select time // 100000 * 100000, place, sum(n), sum(errors) from now
            where time < 600000 group by all
            """
        ).fetchall()
    assert got == {(start, cdn): (n, errors) for start, cdn, n, errors in said}


def _rows(result: Any, request: Request) -> list[dict[str, Any]]:
    return merge(request, [partial(result, request)]).rows

"""What people ask of a year of flights, each question beside plain SQL: ``python examples/flights.py``.

The flights are made here: arrivals of aircraft at airports, with their delay. Needs DuckDB, for the SQL.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import duckdb
import pyarrow as pa

import timeline as tl

AIRPORTS = ("ATL", "BOS", "DEN", "EWR", "JFK", "LAX", "LGA", "MIA", "ORD", "SFO")
BEGIN, END = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC)
MONTHS = [datetime(2013, month, 1, tzinfo=UTC) for month in range(1, 5)]


def flights(count: int, aircraft: int, seed: int = 7) -> pa.Table:
    """Arrivals in order of time. Every hundredth or so is noted at another airport within minutes, which no
    aircraft can."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    pause = (END - BEGIN) / (count / aircraft)
    for number in range(aircraft):
        moment = BEGIN + timedelta(minutes=chance.randrange(1, 2_000))
        while len(rows) < count * (number + 1) // aircraft and moment < END:
            place, delay = chance.choice(AIRPORTS), max(0, round(chance.gauss(5, 25)))
            rows.append({"tail": f"N{100 + number}", "time": moment, "place": place, "delay": delay})
            often = timedelta(minutes=10) if chance.random() < 0.001 else pause * chance.uniform(0.3, 1.6)
            moment += timedelta(seconds=int(often.total_seconds()))
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["time"]))


def evaluate(table: pa.Table) -> tl.Evaluation:
    """All that is asked of below, in one pass."""
    place = "latest_event_to_state(place)"
    return tl.evaluate(
        f"{{place: {place}, late: latest_event_to_state(delay) > 15, "
        f"twice: has_existed(duration_in_prior_state({place}) <= 30m)}}",
        table,
        key="tail",
    )


def at_airports(result: tl.Evaluation) -> list[tuple[Any, ...]]:
    """How long was each aircraft at each airport, by month?"""
    return [
        (month, row["key"], row["place"], row["duration_by(place)"])
        for month, after in pairwise(MONTHS)
        for row in result.aggregate("duration_by(place)", "key", start=month, end=after).rows
    ]


def at_two_places(result: tl.Evaluation) -> list[tuple[Any, ...]]:
    """Which aircraft were at two airports within 30 minutes?"""
    return [(row.key,) for row in result.values(END, node=result.plan.outputs["twice"]) if row.value]


def share_delayed(result: tl.Evaluation) -> list[tuple[Any, ...]]:
    """Which share of the time was the latest arrival of an aircraft delayed, by day?"""
    days = result.aggregate("duration(late), duration", start=BEGIN, end=END, per="1d").rows
    return [
        (datetime.fromtimestamp(day["from"] / 1000, UTC), day["duration(late)"] / day["duration"])
        for day in days
    ]


AT_AIRPORTS = """
with arrivals as (
  select *, lag(place) over (partition by tail order by time) as before from flights),
stays as (
  select tail, place, time as begin,
    coalesce(lead(time) over (partition by tail order by time), $last) as until
  from arrivals where place is distinct from before),
months as (
  select month, month + interval 1 month as next from
    (select unnest(generate_series($first, $last - interval 1 day, interval 1 month)) as month))
select month, tail, place, sum(epoch(least(until, next)) - epoch(greatest(begin, month)))
from stays join months on begin < next and until > month
group by all having sum(epoch(least(until, next)) - epoch(greatest(begin, month))) > 0
"""
AT_TWO_PLACES = """
with arrivals as (
  select *, lag(place) over (partition by tail order by time) as before from flights),
changes as (
  select tail, time, lag(time) over (partition by tail order by time) as since
  from arrivals where place is distinct from before)
select distinct tail from changes where time - since <= interval 30 minutes
"""
SHARE_DELAYED = """
with stretches as (
  select tail, delay > 15 as late, time as begin,
    coalesce(lead(time) over (partition by tail order by time), $last) as until
  from flights),
days as (
  select day, day + interval 1 day as next from
    (select unnest(generate_series($first, $last - interval 1 day, interval 1 day)) as day)),
parts as (
  select day, late, epoch(least(until, next)) - epoch(greatest(begin, day)) as seconds
  from stretches join days on begin < next and until > day)
select day, coalesce(sum(seconds) filter (late), 0) / sum(seconds) from parts group by day
"""
QUESTIONS: dict[str, tuple[Callable[[tl.Evaluation], list[tuple[Any, ...]]], str]] = {
    "time at each airport, by aircraft and month": (at_airports, AT_AIRPORTS),
    "at two airports within 30 minutes": (at_two_places, AT_TWO_PLACES),
    "share of time delayed, by day": (share_delayed, SHARE_DELAYED),
}


def by_sql(table: pa.Table, query: str) -> list[tuple[Any, ...]]:
    """What DuckDB says."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("flights", table)
        known = {name: value for name, value in (("first", BEGIN), ("last", END)) if f"${name}" in query}
        found = pa.table(connection.sql(query, params=known))
        return list(zip(*(column.to_pylist() for column in found.columns), strict=True))


def main() -> None:
    table = flights(100_000, 1_000)
    begun = time.perf_counter()
    result = evaluate(table)
    print(f"{table.num_rows:,} flights, evaluated in {time.perf_counter() - begun:.2f} s")
    for question, (answer, query) in QUESTIONS.items():
        begun = time.perf_counter()
        mine = answer(result)
        between = time.perf_counter()
        theirs = by_sql(table, query)
        spent = f"{between - begun:.2f} s, SQL {time.perf_counter() - between:.2f} s"
        print(f"{question}: {len(mine):,} rows in {spent}; SQL says {len(theirs):,}")
    print(result.plot(result.names()[0]))


if __name__ == "__main__":
    main()

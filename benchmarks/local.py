"""Local evaluation of CIRR against DuckDB, on the same file in the same run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import duckdb

from benchmarks.generate import CIRR, json_lines, parquet
from benchmarks.measure import Figure, interleaved
from timeline.evaluate import evaluate
from timeline.events import concat
from timeline.plan import make_plan
from timeline.reading import read_events

#: CIRR by hand: the state between two events of a session counts from when the last seek is 5 s ago.
SQL = """
with e as (
  select key, time, state,
    lead(time) over w as until,
    max(case when state = 'seek' then time end) over w as sought,
    min(case when state = 'play' then time end) over w as played
  from {source}
  window w as (partition by key order by time rows unbounded preceding)
), last as (select key, max(time) as newest from e group by key)
select key, sum(case when state = 'buffer' and played is not null
    then greatest(0, coalesce(until, newest) - greatest(time, coalesce(sought + 5000, 0)))
    else 0 end) as ms
from e join last using (key)
group by key
"""


def by_timeline(path: Path) -> float:
    """The sum of all sessions' rebuffering at their newest events, in seconds."""
    plan = make_plan(CIRR)
    blocks = read_events(path, key="key", time="time", columns=plan.columns)
    result = evaluate(plan, concat([block.events for block in blocks]))
    return sum(float(row.value) for row in result.values() if isinstance(row.value, int | float))


def by_duckdb(path: Path) -> float:
    """The same by SQL window functions."""
    reader = "read_parquet" if path.suffix == ".parquet" else "read_json"
    source = f"{reader}('{path}')"
    with duckdb.connect() as connection:
        rows = connection.execute(f"select sum(ms) from ({SQL.format(source=source)})").fetchall()
    return float(rows[0][0]) / 1000


def run(quick: bool) -> list[Figure]:
    """Figures for Parquet and JSON Lines; marks: within 2x of DuckDB, and the same sums."""
    count, keys = (200_000, 2_000) if quick else (1_000_000, 10_000)
    figures = []
    for name, path in (("parquet", parquet(count, keys)), ("jsonl", json_lines(count, keys))):
        sums = by_timeline(path), by_duckdb(path)
        mine, theirs = interleaved(partial(by_timeline, path), partial(by_duckdb, path))
        figures.append(
            Figure(
                f"local-{name}-{count}",
                mine.median,
                "s",
                mine.median / theirs.median,
                f"DuckDB {theirs}",
                "ratio at most 2, sums equal",
                mine.median <= 2 * theirs.median and abs(sums[0] - sums[1]) < 0.001 * max(sums),
                f"{mine}; sums {sums[0]:.3f} and {sums[1]:.3f} s",
            )
        )
    return figures

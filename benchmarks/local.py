"""Local evaluation of CIRR against DuckDB and Polars, on the same file in the same run."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import duckdb
import polars as pl

from benchmarks.generate import CIRR, PLAYBACK, folder, json_lines, parquet, playback
from benchmarks.measure import Figure, at_most, interleaved, say
from timeline.cli.commands.local import BLOCK_BYTES
from timeline.jobs import cores
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.reading import read_events
from timeline.tables.events import concat

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
#: Twenty questions of the same events that have parts in common.
SHARED = [
    f'duration_where({"!" * (i % 2)}has_existed_within(state == "seek", {1 + i // 2}s) '
    '&& has_existed(state == "play") && latest_event_to_state(state) == "buffer")'
    for i in range(20)
]


def by_timeline(path: Path, expression: str = CIRR) -> float:
    """The sum of all sessions' rebuffering at their newest events, in seconds."""
    plan = make_plan(expression)
    blocks = read_events(
        path, key="key", time="time", columns=plan.columns, block_bytes=BLOCK_BYTES, jobs=cores()
    )
    result = evaluate(plan, concat([block.events for block in blocks]))
    return sum(float(row.value) for row in result.values() if isinstance(row.value, int | float))


def by_duckdb(path: Path) -> float:
    """The same by SQL window functions."""
    reader = "read_parquet" if path.suffix == ".parquet" else "read_json"
    source = f"{reader}('{path}')"
    with duckdb.connect() as connection:
        rows = connection.execute(f"select sum(ms) from ({SQL.format(source=source)})").fetchall()
    return float(rows[0][0]) / 1000


def by_polars(path: Path) -> float:
    """The same by a lazy query: sorted once, then expressions over each session."""
    scan = pl.scan_parquet if path.suffix == ".parquet" else pl.scan_ndjson
    time, state = pl.col("time"), pl.col("state")
    found = (
        scan(path)
        .sort("key", "time")
        .with_columns(
            until=time.shift(-1).over("key").fill_null(time),
            sought=pl.when(state == "seek").then(time).forward_fill().over("key"),
            played=pl.when(state == "play").then(time).forward_fill().over("key"),
        )
        .filter((state == "buffer") & pl.col("played").is_not_null())
        .select((pl.col("until") - pl.max_horizontal(time, pl.col("sought") + 5000)).clip(0).sum())
        .collect()
    )
    return float(found.item()) / 1000


def run(quick: bool) -> list[Figure]:
    """Figures for Parquet and JSON Lines; for many questions at once, for large files and for real traces."""
    count, keys = (200_000, 2_000) if quick else (1_000_000, 10_000)
    figures = []
    for name, path in (("parquet", parquet(count, keys)), ("jsonl", json_lines(count, keys))):
        say(f"local: {path.name} by Timeline, DuckDB and Polars")
        works = [partial(by_timeline, path), partial(by_duckdb, path), partial(by_polars, path)]
        sums = [work() for work in works]
        mine, duck, polar = interleaved(*works)
        same = max(sums) - min(sums) < 0.001
        for other, theirs, mark in (("DuckDB", duck, 0.6), ("Polars", polar, 0.8)):
            ratio = mine.median / theirs.median
            figures.append(
                Figure(
                    f"local-{name}-{count}-{other.lower()}",
                    mine.median,
                    "s",
                    ratio,
                    f"{other} {theirs}",
                    f"ratio at most {mark}, sums equal",
                    ratio <= mark and same,
                    f"{mine}; sums {', '.join(f'{s:.3f}' for s in sums)} s",
                )
            )
    figures += [_shared(parquet(count, keys)), *_real(parquet(count, keys), count)]
    return figures + _large(quick)


def _shared(path: Path) -> Figure:
    say("local: 20 expressions at once, and one by one")
    texts = [f"{text} == 1" for text in SHARED]
    together = " && ".join(texts)
    both, single = interleaved(
        partial(by_timeline, path, together),
        lambda: [by_timeline(path, text) for text in texts],
        repetitions=3,
    )
    nodes = len(make_plan(together).nodes), sum(len(make_plan(text).nodes) for text in texts)
    detail = f"{both}; {nodes[0]} nodes, not {nodes[1]}"
    other = f"one by one {single}"
    return at_most("local-20-expressions", both.median, "s", single.median, other, 0.5, detail)


def _real(generated: Path, count: int) -> list[Figure]:
    path = playback(count)
    if path is None:
        return []
    say("local: real traces, many times over")
    mine, theirs = interleaved(partial(by_timeline, path, PLAYBACK), partial(by_timeline, generated))
    other = f"as many generated events {theirs}"
    return [at_most(f"local-playback-{count}", mine.median, "s", theirs.median, other, 1.5, str(mine))]


#: What `timeline eval` does with a file, and then its peak memory.
LARGE = """
import sys, time
from timeline.cli.commands.local import BLOCK_BYTES
from timeline.jobs import cores
from timeline.plan import make_plan
from timeline.reading import read_events
from timeline.local.spilling import Spill

plan = make_plan(sys.argv[2])
begin = time.perf_counter()
with Spill(plan) as spill:
    for block in read_events(
        sys.argv[1], key="key", time="time", columns=plan.columns, block_bytes=BLOCK_BYTES, jobs=cores()
    ):
        spill.add(block.events)
    total = sum(row.value for row in spill.values())
seconds = time.perf_counter() - begin
# Of this program alone: what getrusage says begins with its parent's.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) * 1024, total)
"""


def _large(quick: bool) -> list[Figure]:
    """A process for each file; of times the best of three, of memory the most."""
    small, large = ((1_000_000, 10_000), (2_000_000, 20_000) if quick else (10_000_000, 100_000))
    found = {}
    for count, keys in (small, large):
        path = json_lines(count, keys)
        say(f"local: {path.name}, {path.stat().st_size >> 20} MiB")
        runs = [_measured(path) for _ in range(1 if quick else 3)]
        found[count] = min(seconds for seconds, _ in runs) / count, max(peak for _, peak in runs)
    each, peak = found[large[0]]
    size = json_lines(*large).stat().st_size
    name = f"local-large-{large[0]}"
    detail = f"{each * large[0]:.1f} s for {large[1]} keys"
    return [
        at_most(name, each * 1e6, "us/event", found[small[0]][0] * 1e6, "1M events", 1.5, detail),
        Figure(
            f"{name}-memory",
            peak / 2**20,
            "MiB",
            peak / size,
            f"the file: {size >> 20} MiB",
            "less than the file",
            peak < size,
            f"1M events: {found[small[0]][1] / 2**20:.0f} MiB",
        ),
    ]


def _measured(path: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", LARGE, path, CIRR],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(folder())},
    )
    seconds, peak, _ = map(float, done.stdout.split())
    return seconds, peak

"""What is written when fragments continue as new, of what they keep."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.generate import CIRR, events
from benchmarks.measure import Figure, at_most, say
from timeline.engine.fragment import LiveFragment
from timeline.engine.frozen import Frozen
from timeline.engine.state_wire import to_state
from timeline.fragments import fragments_of
from timeline.limits import Limits
from timeline.plan import make_plan
from timeline.tables.events import Events

#: Of what is kept, this much becomes new between two runs (a share), for so many runs.
STEP, RUNS = 0.002, 60
PLAN = make_plan(CIRR)


def run(quick: bool) -> list[Figure]:
    """Of CIRR over one stream in one fragment, with a store."""
    count = 40_000 if quick else 400_000
    say(f"carried: {RUNS} runs after {count} events")
    every = events(count, 400 if quick else 4_000)
    live = LiveFragment(PLAN, fragments_of(PLAN, "stream")[-1], Limits(10_000, 3_600_000))
    frozen = Frozen(live.states)
    step = int(count * STEP)
    begin = count - RUNS * step
    for first in range(0, begin, 20_000):
        _take(live, every, first, min(first + 20_000, begin))
    frozen.carry()
    shares, took = [], []
    for first in range(begin, count, step):
        _take(live, every, first, min(first + step, count))
        had = set(map(id, frozen.pieces))
        at = time.perf_counter()
        active = frozen.carry()
        took.append(time.perf_counter() - at)
        written = len(active) + sum(len(piece.data) for piece in frozen.pieces if id(piece) not in had)
        shares.append(written / len(to_state(live.states)))
    rows = sum(len(table) for state in live.states for table in state.tables)
    whole = len(to_state(live.states))
    detail = f"{rows:,} rows, {whole / 2**20:.1f} MiB; the most at once {max(shares):.2f}, the median "
    detail += f"{np.median(shares):.3f}; {1e3 * np.median(took):.0f} ms each; {len(frozen.pieces)} pieces"
    mean = float(np.mean(shares)) * whole
    return [
        at_most("carried-written", mean / 1024, "KiB a run", whole / 1024, "all that is kept", 0.05, detail)
    ]


def _take(live: LiveFragment, every: Events, first: int, end: int) -> None:
    batch = every.take(slice(first, end)).compact()
    live.accept(batch, tuple(batch.position[-1].tolist()))

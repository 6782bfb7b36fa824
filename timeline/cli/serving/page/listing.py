"""The view of all timelines: what each asks, its state, how fast it goes, what was not taken."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from nicegui import ui

from timeline.cli.serving.page.figures import age_text, trouble_of
from timeline.cli.serving.page.lanes import moment
from timeline.cli.serving.page.shell import Service, complain, frame, watching
from timeline.cli.serving.page.tables import columns, fill
from timeline.errors import TimelineError
from workflows.client import Client, Timeline

#: Timelines that are asked at one time, looks that a spark line remembers, and between two of which events
#: are counted for a rate.
AT_ONCE, SPARKS, SPAN = 4, 60, 5
NAMES = ("timeline", "asks", "state", "keys", "events", "events/s", "spark", "lag", "stream time")
NUMBERS = ("keys", "events", "events/s", "refused", "quarantined")
COLUMNS = columns(
    *NAMES,
    *("refused", "quarantined"),
    wrapped=("asks",),
    numbers=NUMBERS,
    wide=("asks", "keys", "events", "lag", "stream time"),
)
LINK = """<q-td :props="props">
  <a class="text-primary" :href="'/t/' + props.value">{{ props.value }}</a>
</q-td>"""
SPARK = """<q-td :props="props">
  <svg width="60" height="20" role="img" :aria-label="'events a second over the last minute'">
    <polyline :points="props.value" fill="none" stroke="#3b82f6" stroke-width="1.5" /></svg>
</q-td>"""


def install(service: Service) -> None:
    """Adds the view."""

    @ui.page("/")
    async def listing() -> None:
        async with frame(service, "All timelines"):
            table = ui.table(columns=COLUMNS, rows=[], row_key="timeline", pagination=50).classes("w-full")
            table.props("flat bordered dense").add_slot("body-cell-timeline", LINK)
            table.add_slot("body-cell-spark", SPARK)
            none = "No timelines are registered: timeline register SPEC"
            table.add_slot("no-data", none if service.read_only else f"{none}, or New above")
            trouble = ui.column()
            rates = _Looks()

            async def look() -> None:
                trouble.clear()
                try:
                    every = await service.timelines.timelines()
                    gate = asyncio.Semaphore(AT_ONCE)
                    rows = [_row(service.timelines, one, rates, gate) for one in every.values()]
                    fill(table, list(await asyncio.gather(*rows)))
                except TimelineError as error:
                    with trouble:
                        complain(error)

            await look()
            watching(look)


class _Looks:
    """What the looks so far say: events a second, and who is caught up."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, int]]] = {}
        self._sparks: dict[str, deque[float]] = {}
        self._caught_up: set[tuple[str, int]] = set()

    async def is_late(self, timelines: Client, known: Timeline) -> bool:
        """Whether a timeline has still to reach what others had; once it has, it is not asked again."""
        version = known.name, known.version
        if version not in self._caught_up and not await timelines.catching_up.behind([known.spec]):
            self._caught_up.add(version)
        return version not in self._caught_up

    def note(self, name: str, accepted: int) -> float:
        """The rate over the last looks, now that so many events were accepted."""
        now = time.monotonic()
        seen = self._seen.setdefault(name, deque(maxlen=SPAN))
        seen.append((now, accepted))
        begun, before = seen[0]
        rate = 0.0 if now <= begun else max(0, accepted - before) / (now - begun)
        self._sparks.setdefault(name, deque(maxlen=SPARKS)).append(rate)
        return rate

    def spark(self, name: str) -> str:
        """The rates so far as a line of 60 by 20."""
        return spark(list(self._sparks[name]))


def spark(rates: list[float]) -> str:
    """Rates as the points of a line of 60 by 20, the newest at its right end.

    >>> spark([0.0, 10.0])
    '59.0,19.0 60.0,1.0'
    """
    top, step = max([*rates, 1.0]), 60 / (SPARKS - 1)
    first = 60 - step * (len(rates) - 1)
    return " ".join(f"{first + i * step:.1f},{19 - 18 * rate / top:.1f}" for i, rate in enumerate(rates))


async def _row(timelines: Client, known: Timeline, rates: _Looks, gate: asyncio.Semaphore) -> dict[str, Any]:
    spec = known.spec
    asks = spec.description or " ".join(spec.definition.split())
    row: dict[str, Any] = {"timeline": known.name, "asks": asks if len(asks) <= 80 else asks[:79] + "…"}
    row |= {"state": "", "spark": ""}
    try:
        async with gate:
            found = await timelines.nodes.of_timeline(spec)
            late = await rates.is_late(timelines, known)
    except TimelineError as error:
        # One that waits for something is no reason not to show the others.
        return row | {"state": str(error).split(";")[0][:60]}
    leaves = [status for node, _, status in found if node is spec.plan.leaves[0]]
    results = [status for node, _, status in found if node is spec.plan.result]
    hosts = {workflow: status for _, workflow, status in found}
    newest = max(leaf["newest"] for leaf in leaves)
    accepted = sum(leaf["accepted"] for leaf in leaves)
    rate = rates.note(known.name, accepted)
    full = any(status["full"] for status in hosts.values())
    stuck = any("missing" in status for status in hosts.values())
    state = (
        "full"
        if full
        else "stuck"
        if stuck
        else "paused"
        if known.paused
        else "catching up"
        if late
        else "running"
    )
    odd = next((trouble for status in hosts.values() if (trouble := trouble_of(status))), "")
    return row | {
        "state": f"{state}: {odd}"[:40] if stuck else state,
        "keys": sum(result["keys"] for result in results),
        "events": accepted,
        "events/s": round(rate, 1),
        "spark": rates.spark(known.name),
        "lag": age_text(newest, time.time()),
        "stream time": "-" if newest < 0 else moment(newest),
        "refused": sum(leaf["refused"] for leaf in leaves),
        "quarantined": sum(status["quarantined"] for status in hosts.values()),
    }

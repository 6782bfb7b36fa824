"""The view of all timelines: what each asks, its state, how many keys and events it has had, how fast."""

from __future__ import annotations

import time
from typing import Any

from nicegui import ui

from timeline.cli.serving.page.shell import complain, frame
from timeline.errors import TimelineError
from workflows.client import Client, Timeline

#: Seconds between two looks while somebody looks.
EVERY = 1.0
COLUMNS: list[dict[str, Any]] = [
    {"name": "name", "label": "timeline", "field": "name", "align": "left", "sortable": True},
    {"name": "asks", "label": "asks", "field": "asks", "align": "left"},
    {"name": "state", "label": "state", "field": "state", "align": "left", "sortable": True},
    {"name": "keys", "label": "keys", "field": "keys", "sortable": True},
    {"name": "accepted", "label": "events", "field": "accepted", "sortable": True},
    {"name": "rate", "label": "events/s", "field": "rate", "sortable": True},
    {"name": "refused", "label": "refused", "field": "refused", "sortable": True},
]
LINK = """<q-td :props="props">
  <a class="text-primary" :href="'/t/' + props.value">{{ props.value }}</a>
</q-td>"""


def install(timelines: Client) -> None:
    """Adds the view."""

    @ui.page("/")
    async def listing() -> None:
        with frame("All timelines"):
            table = ui.table(columns=COLUMNS, rows=[], row_key="name").classes("w-full")
            table.props("flat bordered").add_slot("body-cell-name", LINK)
            table.add_slot("no-data", "No timelines are registered: timeline register SPEC")
            trouble = ui.column()
            rates = _Rates()

            async def look() -> None:
                trouble.clear()
                try:
                    every = await timelines.timelines()
                    table.rows = [await _row(timelines, one, rates) for one in every.values()]
                except TimelineError as error:
                    with trouble:
                        complain(error)

            await look()
            ui.timer(EVERY, look)


class _Rates:
    """Events a second since the look before."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, int]] = {}

    def note(self, name: str, accepted: int) -> float:
        now = time.monotonic()
        then, before = self._before.get(name, (now, accepted))
        self._before[name] = now, accepted
        return 0.0 if now <= then else max(0, accepted - before) / (now - then)


async def _row(timelines: Client, known: Timeline, rates: _Rates) -> dict[str, Any]:
    asks = known.spec.description or " ".join(known.spec.definition.split())
    row: dict[str, Any] = {"name": known.name, "asks": asks if len(asks) <= 80 else asks[:79] + "…"}
    try:
        seen = await timelines.questions.look(known.spec, 1)
    except TimelineError as error:
        # One that waits for something is no reason not to show the others.
        return row | {"state": str(error).split(";")[0][:60]}
    rate = rates.note(known.name, seen.accepted)
    return row | {
        "state": "paused" if known.paused else "running",
        "keys": seen.count,
        "accepted": seen.accepted,
        "refused": seen.refused,
        "rate": round(rate, 1),
    }

"""Lanes with a cursor: put by mouse, arrow keys or a time, it reads every lane at one moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from timeline.cli.serving.page import lanes
from timeline.cli.serving.page.drawn import Drawn
from timeline.errors import TimelineError
from timeline.values.ticks import parse_time

#: Of the cursor, from end to end, by the arrow keys.
STEPS = 200
#: Seconds between two readings while the cursor is dragged.
OFTEN = 0.1


class Lanes:
    """The lanes of a key. ``about`` says what stands behind the values at a moment, ``moved`` hears where the
    cursor is and what the lanes are there."""

    def __init__(
        self,
        labels: Sequence[str],
        drawn: Drawn,
        at: int | None,
        about: Callable[[int], Awaitable[str]],
        moved: Callable[[int, list[str]], None] = lambda tick, values: None,
    ) -> None:
        self._labels, self._drawn = labels, drawn
        self._about, self._moved = about, moved
        self._end = max(drawn.end, at or 0)
        self._tick = max(drawn.start, self._end if at is None else at)
        self._chart = ui.echart({}).classes("tl-lanes")
        self._chart.style(f"height: {lanes.height(drawn.lanes)}px").props("role=img")
        self._chart.on("cursor", lambda event: self._pressed(event.args), throttle=OFTEN)
        with ui.row().classes("tl-cursors"):
            self._slider = ui.slider(min=drawn.start, max=self._end, value=self._tick)
            self._slider.props('aria-label="cursor"')
            self._slider.on("change", lambda: self.put(int(self._slider.value)))
            self._exact = ui.input("Cursor at", placeholder="8s").props("dense").style("width: 9rem")
            self._exact.on("keydown.enter", self._typed)
        self._said = ui.label().classes("tl-mono").props("role=status aria-live=polite")
        columns = [
            {"name": "node", "label": "node", "field": "node", "align": "left", "classes": "tl-wrap"},
            {"name": "value", "label": "value", "field": "value", "align": "left", "classes": "tl-wrap"},
        ]
        with ui.expansion("As a table").classes("w-full"):
            self._table = ui.table(columns=columns, rows=[], row_key="id").classes("w-full")
            self._table.props("flat dense wrap-cells")
        ui.run_javascript(f"tlLanes({self._chart.id})")

    async def begin(self) -> None:
        """Draws them for the first time."""
        self._draw()
        await self.put(self._tick)

    @property
    def follows(self) -> bool:
        """Whether the cursor is at the end."""
        return self._tick >= self._end

    async def show(self, drawn: Drawn) -> None:
        """Draws lanes that have gone on; a cursor at their end goes with it."""
        follows = self.follows
        self._drawn, self._end = drawn, max(self._end, drawn.end)
        self._draw()
        await self.put(self._end if follows else self._tick)

    def _draw(self) -> None:
        drawn = self._drawn
        self._slider.props(f"min={drawn.start} max={self._end} step={self._step}")
        self._chart.options.clear()
        whole = Drawn(drawn.lanes, drawn.position, drawn.start, self._end, drawn.newest)
        self._chart.options.update(lanes.chart(whole, self._labels, self._tick))
        self._chart.update()

    @property
    def _step(self) -> int:
        return max(1, (self._end - self._drawn.start) // STEPS)

    async def put(self, tick: int) -> None:
        """Puts the cursor, and reads the lanes there."""
        self._tick = min(max(self._drawn.start, tick), self._end)
        self._slider.value = self._tick
        values = lanes.values(self._drawn.lanes, self._tick)
        titles = lanes.titles(self._labels, values)
        self._chart.run_chart_method("setOption", {"title": titles})
        ui.run_javascript(f"tlPut({self._chart.id}, {self._tick / lanes.scale(self._drawn)})")
        self._table.rows = [
            {"id": i, "node": label, "value": value}
            for i, (label, value) in enumerate(zip(self._labels, values, strict=True))
        ]
        self._moved(self._tick, values)
        try:
            self._said.text = await self._about(self._tick)
        except TimelineError as error:
            self._said.text = str(error)

    async def _pressed(self, at: float) -> None:
        await self.put(round(at * lanes.scale(self._drawn)))

    async def _typed(self) -> None:
        try:
            await self.put(parse_time(self._exact.value or ""))
        except TimelineError as error:
            self._said.text = str(error)

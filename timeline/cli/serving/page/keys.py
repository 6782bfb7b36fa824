"""Which key is looked at: found by its name, of the newest events, or of the largest values."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from timeline.errors import TimelineError
from timeline.pictures.texts import value_text
from timeline.spec.spec import Spec
from timeline.values.kinds import Kind
from workflows.client import Client

#: Keys that are shown at once.
MOST = 20
NEWEST = "newest"


class Keys:
    """A choice of keys. ``chosen`` is called with the one that is."""

    def __init__(self, timelines: Client, spec: Spec, key: str, chosen: Callable[[str], None]) -> None:
        self._timelines, self._spec, self._chosen = timelines, spec, chosen
        self._names: list[str] | None = None
        numbers = [n for n, node in spec.plan.outputs.items() if node.kind in (Kind.NUMERIC, Kind.RATIO)]
        ways = {NEWEST: "newest events"} | {name: f"largest {name}" for name in numbers}
        with ui.row().classes("tl-fields no-wrap"):
            self._key = ui.input("Key", value=key, placeholder="search").classes("grow").props("clearable")
            self._key.on("keydown.enter", self._enter)
            self._key.on("update:model-value", self._search, throttle=0.2, leading_events=False)
            self._way = ui.select(ways, value=NEWEST, label="Keys by", on_change=self.look)
            self._way.style("min-width: 9rem")
        self._found = ui.row().classes("items-center gap-x-3 gap-y-0")
        self._about = ui.label().classes("tl-note")

    async def look(self) -> None:
        """Shows keys the way that was chosen."""
        try:
            if self._way.value == NEWEST:
                await self._newest()
            else:
                await self._largest(self._way.value)
        except TimelineError as error:
            self._show([], str(error))

    async def _newest(self) -> None:
        seen = await self._timelines.questions.look(self._spec, MOST)
        said = f"{seen.count} {'key' if seen.count == 1 else 'keys'}; those with the newest events"
        self._show([(one.key, one.key) for one in seen.keys], said)

    async def _largest(self, output: str) -> None:
        asked = await self._timelines.questions.request(
            self._spec, agg=None, group_by=[], where=None, at=None, every=None, top=MOST, by=output
        )
        result = await self._timelines.questions.aggregate(self._spec, asked)
        rows = [(row["key"], f"{row['key']}: {value_text(row[output])}") for row in result.rows]
        self._show(rows, f"{result.keys} {'key' if result.keys == 1 else 'keys'}; the largest {output}")

    async def _search(self) -> None:
        wanted = (self._key.value or "").lower()
        if not wanted:
            await self.look()
            return
        try:
            if self._names is None:
                # Once a view: those that come later are found by their whole name.
                self._names = await self._timelines.questions.keys(self._spec)
        except TimelineError as error:
            self._show([], str(error))
            return
        found = [name for name in self._names if wanted in name.lower()]
        more = f", the first {MOST} shown" if len(found) > MOST else ""
        said = f"{len(found)} of {len(self._names)} keys have {self._key.value!r} in their name{more}"
        self._show([(name, name) for name in found[:MOST]], said)

    def _show(self, rows: list[tuple[str, str]], said: str) -> None:
        self._about.text = said
        self._found.clear()
        with self._found:
            for key, text in rows:
                ui.link(text).on("click", lambda key=key: self._choose(key)).props("href=#").classes(
                    "tl-mono"
                )

    def _enter(self) -> None:
        if self._key.value:
            self._chosen(self._key.value)

    def _choose(self, key: str) -> None:
        self._key.value = key
        self._chosen(key)

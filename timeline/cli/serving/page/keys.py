"""Which key is looked at: found by its name, of the newest events, or of the largest values."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from nicegui import ui

from timeline.errors import TimelineError
from timeline.pictures.texts import value_text
from timeline.spec.spec import Spec
from timeline.values.kinds import Kind
from workflows.client import Client

#: Keys that are shown at once.
MOST = 20
NEWEST = "newest"
#: Keys with what their links say, and what is said of all.
Found = tuple[list[tuple[str, str]], str]


class Keys:
    """A choice of keys. ``chosen`` is called with the one that is."""

    def __init__(self, timelines: Client, spec: Spec, key: str, chosen: Callable[[str], None]) -> None:
        self._timelines, self._spec, self._chosen = timelines, spec, chosen
        self._names: list[str] | None = None
        self._asked = 0
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
        await self._tell(self._newest() if self._way.value == NEWEST else self._largest(self._way.value))

    async def _search(self) -> None:
        wanted = self._key.value or ""
        await (self._tell(self._named(wanted)) if wanted else self.look())

    async def _newest(self) -> Found:
        seen = await self._timelines.questions.look(self._spec, MOST)
        said = f"{seen.count} {'key' if seen.count == 1 else 'keys'}; those with the newest events"
        return [(one.key, one.key) for one in seen.keys], said

    async def _largest(self, output: str) -> Found:
        asked = await self._timelines.questions.request(
            self._spec, agg=None, group_by=[], where=None, at=None, every=None, top=MOST, by=output
        )
        result = await self._timelines.questions.aggregate(self._spec, asked)
        rows = [(row["key"], f"{row['key']}: {value_text(row[output])}") for row in result.rows]
        return rows, f"{result.keys} {'key' if result.keys == 1 else 'keys'}; the largest {output}"

    async def _named(self, wanted: str) -> Found:
        if self._names is None:
            # Once a view: those that come later are found by their whole name.
            self._names = await self._timelines.questions.keys(self._spec)
        found = [name for name in self._names if wanted.lower() in name.lower()]
        more = f", the first {MOST} shown" if len(found) > MOST else ""
        said = f"{len(found)} of {len(self._names)} keys have {wanted!r} in their name{more}"
        return [(name, name) for name in found[:MOST]], said

    async def _tell(self, finding: Coroutine[None, None, Found]) -> None:
        """Shows what is found, unless something else was asked meanwhile."""
        self._asked += 1
        mine = self._asked
        try:
            rows, said = await finding
        except TimelineError as error:
            rows, said = [], str(error)
        if mine != self._asked:
            return
        self._about.text = said
        self._found.clear()
        with self._found:
            for key, text in rows:
                link = ui.link(text).on("click", lambda key=key: self._choose(key))
                link.props("href=#").classes("tl-mono")

    def _enter(self) -> None:
        if self._key.value:
            self._chosen(self._key.value)

    def _choose(self, key: str) -> None:
        self._key.value = key
        self._chosen(key)

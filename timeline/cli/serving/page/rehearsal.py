"""The dry run of a draft: events that are pasted or uploaded, and what each node would say of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nicegui import ui

from timeline.cli.serving.page.cursor import Lanes
from timeline.cli.serving.page.drawn import labels_of, nodes_of
from timeline.cli.serving.page.lanes import moment
from timeline.cli.serving.page.shell import heading
from timeline.cli.serving.page.trying import MAX_BYTES, SUFFIXES, Given, Tried, columns_in, try_out
from timeline.errors import SpecError, TimelineError
from timeline.language.mistakes import Seen
from timeline.pictures.texts import value_text
from timeline.spec.spec import Spec

#: Characters that are pasted: more comes as a file.
MAX_PASTED = 200_000
#: Dry runs at one time, of all who look.
AT_ONCE = asyncio.Semaphore(2)
HINT = 'Lines such as {"key": "a", "time": 1000, "state": "play"}, or CSV'


class Rehearsal:
    """Events, and a dry run on them. ``spec`` says what is tried; ``heard`` is called when more is known of
    the events, which is in ``seen``."""

    def __init__(self, spec: Callable[[bool], Spec], heard: Callable[[], None]) -> None:
        self._spec, self._heard = spec, heard
        self._file: Given | None = None
        self.seen: Seen | None = None
        with ui.column().classes("tl-card"):
            heading("Dry run")
            ui.label("Evaluated here, on events that you give; nothing is registered.").classes("tl-note")
            self._text = ui.textarea("Events", on_change=self._pasted).classes("w-full tl-mono")
            self._text.props(f"maxlength={MAX_PASTED} debounce=300 rows=4 placeholder={HINT!r}")
            with ui.row().classes("items-center w-full"):
                upload = ui.upload(
                    label="or a file of events",
                    auto_upload=True,
                    max_file_size=MAX_BYTES,
                    on_upload=self._uploaded,
                    on_rejected=lambda: self._refuse(f"a file of at most {MAX_BYTES // 1000} kB is taken"),
                )
                upload.props(f'flat bordered accept="{",".join(SUFFIXES)}"').classes("tl-upload")
                ui.button("Dry run", icon="play_arrow", on_click=self.run).props("no-caps")
            self._place = ui.column().classes("w-full")

    def _given(self) -> Given:
        text = self._text.value or ""
        return Given.pasted(text) if text.strip() or self._file is None else self._file

    def _pasted(self) -> None:
        self._know()

    async def _uploaded(self, event: Any) -> None:
        try:
            self._file = Given.named(event.file.name, await event.file.read())
        except TimelineError as error:
            self._refuse(str(error))
            return
        self._text.value = ""
        self._know()
        self._place.clear()
        with self._place:
            columns = ", ".join(self.seen.names) if self.seen else "none that can be read"
            ui.label(f"{event.file.name}: columns {columns}").classes("tl-note")

    def _refuse(self, why: str) -> None:
        self._place.clear()
        with self._place:
            ui.label(why).classes("tl-mono text-negative").props("role=alert")

    def _know(self) -> None:
        """The names of the columns, for those who write; of their types the dry run says more."""
        given = self._given()
        names = columns_in(given, self._time()) if given.data.strip() else ()
        self.seen = Seen(0, {}, names) if names else None
        self._heard()

    def _time(self) -> str:
        try:
            return self._spec(False).source.time
        except TimelineError:
            return "time"

    async def run(self) -> None:
        """Tries what is written on the events."""
        try:
            spec = self._spec(False)
            async with AT_ONCE:
                tried = await asyncio.to_thread(try_out, spec, self._given())
        except SpecError:
            self._refuse("First mend what is told above.")
            return
        except TimelineError as error:
            self._refuse(str(error))
            return
        self.seen = tried.seen
        self._heard()
        self._place.clear()
        with self._place:
            for line in tried.told:
                ui.label(line).classes("tl-mono text-warning")
            keys = tried.keys
            evaluation = tried.evaluation
            count = len(evaluation.names())
            ui.label(f"events: {evaluation.accepted}, keys: {count}").classes("tl-note")
            chosen = ui.select(keys, value=keys[0], label="Key", with_input=True).style("min-width: 14rem")
            lanes = ui.column().classes("w-full")
            chosen.on_value_change(lambda: _draw(spec, tried, chosen.value, lanes))
            await _draw(spec, tried, keys[0], lanes)


async def _draw(spec: Spec, tried: Tried, key: str | None, place: ui.column) -> None:
    if key is None:
        return

    async def about(tick: int) -> str:
        found = list(tried.evaluation.values(at=tick, keys=[key]))
        value = value_text(found[0].value) if found else "no life"
        return f"{key} at {moment(tick)}: {value}  (dry run)"

    nodes = nodes_of(spec.plan)
    place.clear()
    with place:
        lanes = Lanes(labels_of(spec.plan, nodes), tried.drawn(key, nodes), None, about)
        await lanes.begin()

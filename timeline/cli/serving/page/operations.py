"""The view of a timeline's operations: nodes, partitions, sinks, quarantined keys, dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from nicegui import ui

from feeder.sources.base import Reading
from feeder.topics.source import feeding
from timeline.cli.render import place_text
from timeline.cli.serving.page.figures import (
    Stream,
    bytes_text,
    feeder_rows,
    node_rows,
    place_of_sink,
    stream_rows,
    streams_of,
)
from timeline.cli.serving.page.letterbox import Letterbox, ends
from timeline.cli.serving.page.removing import Removing
from timeline.cli.serving.page.shell import Service, complain, frame, heading, watching
from timeline.cli.serving.page.tables import ROWS, columns, fill
from timeline.cli.serving.topics import of_topic
from timeline.errors import TimelineError
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from workflows.names import node_id

OF_NODES = ("node", "stream", "position", "lag", "keys", "rows", "bytes", "waiting", "trouble")
OF_STREAMS = (
    *("stream", "partition", "newest message", "result at", "lag"),
    *("stream time", "accepted", "refused", "feeder"),
)
OF_FEEDERS = ("partition", "feeder", "since", "state", "acknowledged")
OF_SINKS = ("sink", "stream", "position", "rows", "waiting", "bytes", "trouble")
OF_KEYS = ("key", "node", "since", "error")
UNKNOWN = "Pulsar's admin API knows them: set PULSAR_ADMIN_URL for the page."
#: A cell with a link into Temporal's UI where there is one.
LINKED = """<q-td :props="props" class="tl-wrap">
  <a v-if="props.row.link" class="text-primary" :href="props.row.link" target="_blank" rel="noopener">
    {{ props.value }}</a><span v-else>{{ props.value }}</span>
</q-td>"""
AGAIN = """<q-td :props="props">
  <q-btn dense outline no-caps size="sm" label="Try again" @click="$parent.$emit('again', props.row.key)" />
</q-td>"""


def install(service: Service) -> None:
    """Adds the view."""

    @ui.page("/t/{name}/operations")
    async def operations(name: str) -> None:
        async with frame(service, name, name, "Operations"):
            spec = await service.timelines.registry.spec(name)
            await _View(service, spec).show()


class _View:
    def __init__(self, service: Service, spec: Spec) -> None:
        self.service, self.timelines, self.spec = service, service.timelines, spec
        self.ends: list[Position | None] | None = None
        self.leaders: list[str | None] = []
        self.streams: list[Stream] = []

    async def show(self) -> None:
        """All of it, anew every second."""
        with ui.row().classes("items-center"):
            self.state = ui.label()
            if not self.service.read_only:
                self.rest = ui.button("Pause", on_click=self._rest).props("dense outline no-caps size=sm")
        self.trouble = ui.column().classes("w-full")
        self.nodes = self._table(
            "Nodes", columns(*OF_NODES, wrapped=("node", "trouble"), wide=("keys", "rows"))
        )
        self.nodes.add_slot("body-cell-node", LINKED)
        self.parts = self._table("Streams", columns(*OF_STREAMS))
        self.feeders = None
        if self.spec.source.topic is not None:
            self.feeders = self._table("Feeders", columns(*OF_FEEDERS))
            self.feeders.add_slot("no-data", UNKNOWN)
        self.sinks = None
        if self.spec.sinks:
            self.sinks = self._table("Sinks", columns(*OF_SINKS, wrapped=("sink", "trouble")))
            self.sinks.add_slot("body-cell-sink", LINKED)
        more = () if self.service.read_only else ("again",)
        self.held = self._table("Quarantined keys", columns(*OF_KEYS, *more, wrapped=("node", "error")))
        self.held.add_slot("no-data", "None: no operator has failed on a key.")
        self.held.add_slot("body-cell-again", AGAIN)
        self.held.on("again", lambda event: self._release(event.args))
        if self.spec.source.topic is not None:
            Letterbox(self.spec, self.service.read_only)
            watching(self._look_at_topic)
        if not self.service.read_only:
            Removing(self.timelines, self.spec)
        await self._look()
        watching(self._look)

    def _table(self, title: str, names: list[dict[str, Any]]) -> ui.table:
        with ui.column().classes("tl-card"):
            heading(title)
            table = ui.table(columns=names, rows=[], row_key="id", pagination=ROWS)
            table.classes("w-full").props("flat dense")
        return table

    async def _look(self) -> None:
        spec, timelines = self.spec, self.timelines
        try:
            paused = spec.name in await timelines.registry.paused()
            found = await timelines.nodes.of_timeline(spec)
            # Each asks every node again: only where there is something to hear.
            any_held = any(status["quarantined"] for _, _, status in found)
            held = await timelines.nodes.quarantined(spec) if any_held else []
            sinks = [] if self.sinks is None else await timelines.nodes.sinks(spec)
        except TimelineError as error:
            self.trouble.clear()
            with self.trouble:
                complain(error)
            return
        self.trouble.clear()
        self.state.text = "paused: no events are brought to it" if paused else "running"
        if not self.service.read_only:
            self.rest.text = "Resume" if paused else "Pause"
        self.streams = streams_of(spec, found)
        fill(self.nodes, node_rows(spec, found, self.service.link))
        self._show_streams()
        rows: list[dict[str, Any]] = [
            {"id": i, "key": one["key"], "node": one["node"], "error": one["error"], "again": ""}
            | {"since": place_text(one["position"])}
            for i, one in enumerate(held)
        ]
        fill(self.held, rows)
        if self.sinks is not None:
            rows = [
                {"id": i, "sink": place_of_sink(one), "link": self.service.link(one["workflow"])}
                | {"stream": one["stream"], "rows": one["rows"], "waiting": one["waiting"]}
                | {"position": place_text(one["position"])}
                | {"bytes": bytes_text(one["state_bytes"])}
                | {"trouble": one.get("error") or one["full"] or one.get("missing") or ""}
                for i, one in enumerate(sinks)
            ]
            fill(self.sinks, rows)

    def _show_streams(self) -> None:
        fill(self.parts, stream_rows(self.spec, self.streams, self.ends, self.leaders))

    async def _look_at_topic(self) -> None:
        """Where the topic's partitions end, which only the broker knows, and who feeds them."""
        spec = self.spec
        try:
            self.ends = await ends(spec)
            leaves = [node_id(spec, spec.plan.leaves[0], stream.number) for stream in self.streams]
            self.leaders = [(await self.timelines.leaves.stands(leaf)).leader for leaf in leaves]
            self._show_feeders(await of_topic(spec, partial(feeding, spec)))
        except TimelineError:
            self.ends = None
        self._show_streams()

    def _show_feeders(self, found: Sequence[Reading | None]) -> None:
        assert self.feeders is not None
        if None not in found:
            self.feeders.slots.pop("no-data", None)
        fill(self.feeders, feeder_rows(found))

    async def _rest(self) -> None:
        name = self.spec.name
        try:
            if name in await self.timelines.registry.paused():
                await self.timelines.resume(name)
            else:
                await self.timelines.pause(name)
        except TimelineError as error:
            ui.notify(str(error), type="negative")
        await self._look()

    async def _release(self, key: str) -> None:
        try:
            await self.timelines.nodes.release(self.spec, key)
        except TimelineError as error:
            ui.notify(str(error), type="negative")
            return
        await self._look()

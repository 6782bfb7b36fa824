"""The view of one timeline: its graph with the values of a key, and the key's lanes with a cursor."""

from __future__ import annotations

import asyncio
import json

from nicegui import ui
from starlette.requests import Request

from timeline.cli.serving.models import Lane
from timeline.cli.serving.page import graph
from timeline.cli.serving.page.cursor import Lanes
from timeline.cli.serving.page.drawn import Drawn, labels_of, lanes_of, nodes_of
from timeline.cli.serving.page.intervals import Intervals
from timeline.cli.serving.page.keys import Keys
from timeline.cli.serving.page.lanes import moment
from timeline.cli.serving.page.lives import Lives
from timeline.cli.serving.page.shell import Service, address, complain, frame, watching
from timeline.cli.serving.pieces import pieces
from timeline.errors import NotFoundError, TimelineError
from timeline.pictures.texts import value_text
from timeline.plan import PlanNode
from timeline.spec.spec import Spec
from timeline.values.ticks import parse_time
from workflows.client.answers import KeyTimeline

#: Longer values are cut in the graph; so many nodes are asked at one time.
LONGEST, AT_ONCE = 16, 8


def install(service: Service) -> None:
    """Adds the view."""

    @ui.page("/t/{name}")
    async def one(request: Request, name: str, key: str = "", at: str = "", node: str = "") -> None:
        async with frame(service, name, name, "A key"):
            spec = await service.timelines.registry.spec(name)
            tick = parse_time(at) if at else None
            await _View(service, spec).show(key, tick, node, f"{request.base_url}api/v1")


class _View:
    def __init__(self, service: Service, spec: Spec) -> None:
        self.timelines, self.spec = service.timelines, spec
        self.nodes = nodes_of(spec.plan)
        self.labels = labels_of(spec.plan, self.nodes)
        self.key = ""
        self.drawn: Drawn | None = None
        self.lanes: Lanes | None = None

    async def show(self, key: str, at: int | None, node: str, api: str) -> None:
        """The whole view, with the lanes of a key if one is said, and its intervals of a ``node``."""
        known = await self.timelines.timeline(self.spec.name)
        state = "paused" if known.paused else "running"
        about = f"version {known.version}, {state}. {self.spec.description}"
        ui.label(about).classes("tl-note")
        ui.label(self.spec.definition).classes("tl-mono")
        with ui.column().classes("tl-card"):
            self.graph = graph.drawing(graph.graph(self.spec, values=True))
            ui.label("One colour, one workflow; arrows go to what is computed from it.").classes("tl-note")
        with ui.column().classes("tl-card"):
            keys = Keys(self.timelines, self.spec, key, lambda name: self._go(name))
            await keys.look()
            self.above = ui.column().classes("w-full")
            self.place = ui.column().classes("w-full")
            self.below = ui.column().classes("w-full")
        if key:
            self.key = key
            with self.above:
                self.lives = Lives(self.timelines, self.spec, key, at, self._turn)
            with self.below:
                nodes = list(zip(self.nodes, self.labels, strict=True))
                self.intervals = Intervals(self.timelines, self.spec, api, nodes, node, self._tell_address)
            await self._draw(at)
        watching(self._look)

    def _go(self, key: str) -> None:
        ui.navigate.to(address(f"/t/{self.spec.name}", key=key))

    async def _turn(self) -> None:
        """Another life was chosen: its lanes have another axis of time."""
        self.place.clear()
        await self._draw(self.lives.within)

    async def _draw(self, at: int | None) -> None:
        with self.place:
            try:
                self.drawn = await self._read()
                self.lanes = Lanes(self.labels, self.drawn, at, self._about, self._moved)
                await self.lanes.begin()
            except TimelineError as error:
                complain(error)
                return
        await self.intervals.look(self.key, self.lives)

    async def _look(self) -> None:
        """Anew whenever the result has gone on."""
        if self.lanes is None or self.drawn is None:
            return
        try:
            [answer] = await self.timelines.questions.values(
                self.spec, self.spec.plan.result, [(self.key, None)]
            )
            if answer.position != self.drawn.position:
                self.drawn = await self._read()
                await self.lanes.show(self.drawn)
                await self.intervals.look(self.key, self.lives)
        except TimelineError:
            # Who moves the cursor is told; the next look may be answered.
            return

    def _moved(self, tick: int, values: list[str]) -> None:
        shown = {
            f"n{node.index}": value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
            for node, value in zip(self.nodes, values, strict=True)
        }
        ui.run_javascript(f"tlValues({self.graph.id}, {json.dumps(shown)})")
        # Who goes with the end shares no moment, and sees the next life when that begins.
        follows = (self.lanes is None or self.lanes.follows) and self.lives.is_newest
        self.lives.within = None if follows else tick
        self._tell_address()

    def _tell_address(self) -> None:
        at = "" if self.lives.within is None else str(self.lives.within)
        here = address(f"/t/{self.spec.name}", key=self.key, at=at, node=self.intervals.asked)
        ui.navigate.history.replace(here)

    async def _read(self) -> Drawn:
        timelines, spec, key = self.timelines, self.spec, self.key
        # Before the lanes: what came between is read again. And it says which keys are near an unknown one.
        [answer] = await timelines.questions.values(spec, spec.plan.result, [(key, None)])
        await self.lives.look()
        gate = asyncio.Semaphore(AT_ONCE)

        async def lane(node: PlanNode) -> Lane:
            async with gate:
                held = await self._timeline(node)
            return Lane(
                node=node.text,
                operator=node.operator.name,
                kind=node.kind.value,
                origin=held.origin,
                newest=held.newest,
                pieces=pieces(held.rows),
                error=held.error,
            )

        found = list(await asyncio.gather(*map(lane, self.nodes)))
        return lanes_of(found, answer.position, self.lives.over)

    async def _timeline(self, node: PlanNode) -> KeyTimeline:
        """A node's whole timeline of the key, or of one of its lives."""
        if not self.lives.is_newest:
            return await self.lives.of(node)
        held = (await self.timelines.questions.timelines(self.spec, node, [self.key])).get(self.key)
        if held is None:
            raise NotFoundError(f"node {node.text!r} has not heard of key {self.key!r} yet; look again later")
        return held

    async def _about(self, tick: int) -> str:
        """What stands behind the values at the cursor: which prefix, and whether it can change."""
        spec, key = self.spec, self.key
        [answer] = await self.timelines.questions.values(spec, spec.plan.result, [(key, tick)])
        place = ".".join(map(str, answer.position or ("-",)))
        if answer.error is not None:
            return answer.error
        final = "final" if answer.final else "not final"
        return f"{key} at {moment(tick)}: {value_text(answer.value)}  (position {place}, {final})"

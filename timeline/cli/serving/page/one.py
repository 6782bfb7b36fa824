"""The view of one timeline: its graph, the lanes of a key with a cursor, questions over all keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from nicegui import ui

from timeline.cli.render import short_text, value_text
from timeline.cli.serving.models import Lane
from timeline.cli.serving.page import asking, graph, lanes
from timeline.cli.serving.page.shell import complain, frame
from timeline.cli.serving.pieces import pieces, value_at
from timeline.errors import NotFoundError, TimelineError
from timeline.plan import PlanNode
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.values.kinds import Kind
from timeline.values.ticks import parse_time
from workflows.client import Client

#: Keys that are offered.
KEYS = 20
#: Seconds between two looks while somebody looks.
EVERY = 1.0
#: Of the cursor, from end to end.
STEPS = 200


def install(timelines: Client) -> None:
    """Adds the view."""

    @ui.page("/t/{name}")
    async def one(name: str, key: str = "", at: str = "") -> None:
        with frame(name):
            try:
                spec = await timelines.registry.spec(name)
                await _show(timelines, spec, key, None if not at else parse_time(at))
            except TimelineError as error:
                complain(error)


async def _show(timelines: Client, spec: Spec, key: str, at: int | None) -> None:
    known = await timelines.timeline(spec.name)
    state = "paused" if known.paused else "running"
    ui.label(f"version {known.version}, {state}. {spec.description}")
    ui.label(spec.definition).classes("tl-mono")
    with ui.expansion("Nodes", value=True).classes("w-full"):
        ui.mermaid(graph.graph(spec)).classes("w-full overflow-auto")
        ui.label("One colour, one workflow; arrows go to what is computed.").classes("text-caption")
    with ui.expansion("A key", value=True).classes("w-full"):
        seen = await timelines.questions.look(spec, KEYS)
        with ui.row().classes("items-center"):
            chosen = ui.input("Key", value=key, autocomplete=[recent.key for recent in seen.keys])
            ui.button("Show", on_click=lambda: _go(spec, chosen.value))
            chosen.on("keydown.enter", lambda: _go(spec, chosen.value))
            ui.label(f"{seen.count} {'key' if seen.count == 1 else 'keys'}; the newest:")
            for recent in seen.keys[:8]:
                ui.link(recent.key, f"/t/{spec.name}?key={quote(recent.key, safe='')}")
        if key:
            await _lanes(timelines, spec, key, at)
    with ui.expansion("All keys", value=True).classes("w-full"):
        asking.form(timelines, spec)


def _go(spec: Spec, key: str) -> None:
    ui.navigate.to(f"/t/{spec.name}?key={quote(key, safe='')}")


async def _lanes(timelines: Client, spec: Spec, key: str, at: int | None) -> None:
    """The lanes of a key, and what they are at the cursor; anew whenever the result has gone on."""
    kinds = (Kind.STATE, Kind.BOOL, Kind.NUMERIC, Kind.RATIO)
    nodes = [node for node in spec.plan.nodes[::-1] if node.kind in kinds]  # results first
    outputs = {node.index: name for name, node in spec.plan.outputs.items() if spec.outputs}
    labels = [
        (f"{outputs[node.index]}: " if node.index in outputs else "") + short_text(node, spec.plan)
        for node in nodes
    ]
    drawn = await _read(timelines, spec, nodes, key)
    end = max(drawn.end, at or 0)
    chart = ui.echart({}).classes("w-full").style(f"height: {lanes.height(drawn.lanes)}px")
    with ui.row().classes("w-full items-center no-wrap"):
        slider = ui.slider(min=drawn.start, max=end, value=max(drawn.start, end if at is None else at))
        slider.props(f'aria-label="cursor" step={max(1, (end - drawn.start) // STEPS)}').classes("grow")
        exact = ui.input("Cursor at", placeholder="8s").props("dense")
    said = ui.label().classes("tl-mono")
    columns = [
        {"name": "node", "label": "node", "field": "node", "align": "left"},
        {"name": "value", "label": "value", "field": "value", "align": "left"},
    ]
    table = ui.table(columns=columns, rows=[], row_key="id").classes("w-full").props("flat dense wrap-cells")

    async def show() -> None:
        tick = int(slider.value)
        chart.options.clear()
        chart.options.update(lanes.chart(drawn.lanes, labels, drawn.start, end, tick))
        chart.update()
        table.rows = [
            {"id": i, "node": label, "value": lane.error or value_text(value_at(lane.pieces, tick))}
            for i, (label, lane) in enumerate(zip(labels, drawn.lanes, strict=True))
        ]
        said.text = await _about(timelines, spec, key, tick)

    async def look() -> None:
        nonlocal drawn, end
        try:
            [answer] = await timelines.questions.values(spec, spec.plan.result, [(key, None)])
            if answer.position == drawn.position:
                return
            follows = int(slider.value) == end
            drawn = await _read(timelines, spec, nodes, key)
            end = max(end, drawn.end)
            slider.props(f"min={drawn.start} max={end}")
            if follows:
                slider.value = end
            await show()
        except TimelineError as error:
            said.text = str(error)

    async def put() -> None:
        try:
            slider.value = min(max(drawn.start, parse_time(exact.value or "")), end)
            await show()
        except TimelineError as error:
            said.text = str(error)

    slider.on("change", show)
    exact.on("keydown.enter", put)
    await show()
    ui.timer(EVERY, look)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The lanes at one position, and from when to when (ms) they are drawn."""

    lanes: list[Lane]
    position: Position | None
    start: int
    end: int


async def _read(timelines: Client, spec: Spec, nodes: Sequence[PlanNode], key: str) -> _Drawn:
    # Before the lanes: what came between is read again. And it says which keys are near an unknown one.
    [answer] = await timelines.questions.values(spec, spec.plan.result, [(key, None)])
    found: list[Lane] = []
    for node in nodes:
        held = (await timelines.questions.timelines(spec, node, [key])).get(key)
        if held is None:
            raise NotFoundError(f"node {node.text!r} has not heard of key {key!r} yet; look again later")
        found.append(
            Lane(
                node=node.text,
                operator=node.operator.name,
                kind=node.kind.value,
                origin=held.origin,
                newest=held.newest,
                pieces=pieces(held.rows),
                error=held.error,
            )
        )
    start = min(lane.origin for lane in found)
    last = max([lane.newest for lane in found] + [piece.start for lane in found for piece in lane.pieces])
    return _Drawn(found, answer.position, start, last + max(1_000, (last - start) // 2))


async def _about(timelines: Client, spec: Spec, key: str, tick: int) -> str:
    """What stands behind the values at the cursor: which prefix, and whether it can change."""
    [answer] = await timelines.questions.values(spec, spec.plan.result, [(key, tick)])
    place = ".".join(map(str, answer.position or ("-",)))
    if answer.error is not None:
        return answer.error
    final = "final" if answer.final else "not final"
    return f"{key} at {tick} ms: {value_text(answer.value)}  (position {place}, {final})"

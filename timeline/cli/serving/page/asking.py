"""The view of all keys: a question over them, its rows and its chart, which go on while looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui
from starlette.requests import Request

from timeline.aggregate import Result
from timeline.cli.serving.page.answers import chart, command, height, request
from timeline.cli.serving.page.lanes import moment
from timeline.cli.serving.page.shell import (
    Service,
    address,
    complain,
    copyable,
    curl,
    frame,
    heading,
    watching,
)
from timeline.cli.serving.page.tables import ROWS, fill
from timeline.errors import RequestError, TimelineError
from timeline.pictures.texts import value_text
from timeline.spec.spec import Spec
from timeline.values.ticks import parse_duration, parse_time

#: Rows that are shown.
MOST = 1_000
#: The words of a question, each with what is said of it: those that most need, and the others.
FIRST = {"agg": ("Columns", "count, avg"), "group_by": ("Group by", ""), "where": ("Where", "")}
TIMES = {"at": ("At", "8s"), "every": ("Every", "5s"), "per": ("Per", "5m")}
MORE = {"start": ("From", "0s"), "end": ("To", "1h"), "top": ("Top", "10"), "by": ("By", "")}
FIELDS = FIRST | TIMES | MORE


def install(service: Service) -> None:
    """Adds the view."""

    @ui.page("/t/{name}/all")
    async def every_key(
        request: Request,
        name: str,
        agg: str = "",
        group_by: str = "",
        where: str = "",
        at: str = "",
        every: str = "",
        per: str = "",
        start: str = "",
        end: str = "",
        top: str = "",
        by: str = "",
    ) -> None:
        said = (agg, group_by, where, at, every, per, start, end, top, by)
        words = dict(zip(FIELDS, said, strict=True))
        async with frame(service, name, name, "All keys"):
            spec = await service.timelines.registry.spec(name)
            view = _View(service, spec, f"{request.base_url}api/v1")
            await view.show(words)


class _View:
    def __init__(self, service: Service, spec: Spec, api: str) -> None:
        self.timelines, self.spec, self.api = service.timelines, spec, api
        self.words: dict[str, str] = {}

    async def show(self, words: Mapping[str, str]) -> None:
        """The form, and the answer if something is asked."""
        outputs = ", ".join(f"{name} ({node.kind.value})" for name, node in self.spec.plan.outputs.items())
        with ui.column().classes("tl-card"):
            ui.label(f"Outputs: {outputs}").classes("tl-note")
            self.fields: dict[str, ui.input] = {}
            for part in (FIRST, TIMES | MORE):
                with ui.row().classes("tl-fields"):
                    for word, (label, hint) in part.items():
                        field = ui.input(label, value=words[word], placeholder=hint).props("dense")
                        field.on("keydown.enter", self._ask)
                        field.classes("grow" if word in FIRST else "").style("width: 6rem")
                        self.fields[word] = field
            if not any(words.values()):
                self.fields["agg"].value = "count"
            with ui.row().classes("items-center"):
                ui.button("Ask", on_click=self._ask).props("no-caps")
                self.live = ui.switch("Live", value=True).props("dense")
        self.trouble = ui.column().classes("w-full")
        self.answer = ui.column().classes("w-full gap-3")
        with self.answer:
            self.chart = ui.echart({}).classes("w-full").style("height: 260px")
            self.table = ui.table(columns=[], rows=[], row_key="id", pagination=ROWS).classes("w-full")
            self.table.props("flat dense bordered")
            self.about = ui.label().classes("tl-note")
            with ui.column().classes("tl-card"):
                heading("The same elsewhere")
                self.command, self.request = copyable(""), copyable("")
        self.answer.set_visibility(False)
        if any(words.values()):
            await self._ask()
        watching(self._again)

    async def _ask(self) -> None:
        """Asks what the form says, from now on."""
        self.words = {word: str(field.value or "").strip() for word, field in self.fields.items()}
        ui.navigate.history.replace(address(f"/t/{self.spec.name}/all", **self.words))
        await self._look()

    async def _again(self) -> None:
        if self.words and self.live.value:
            await self._look()

    async def _look(self) -> None:
        try:
            result = await self._result()
        except TimelineError as error:
            self.answer.set_visibility(False)
            self.trouble.clear()
            with self.trouble:
                complain(error)
            return
        self.trouble.clear()
        self.answer.set_visibility(True)
        self._draw(result)

    async def _result(self) -> Result:
        words = self.words
        asked = await self.timelines.questions.request(
            self.spec,
            agg=words["agg"] or None,
            group_by=self._groups(),
            where=words["where"] or None,
            top=_whole(words["top"]) if words["top"] else None,
            by=words["by"] or None,
            at=[parse_time(words["at"])] if words["at"] else None,
            every=parse_duration(words["every"]) if words["every"] else None,
            per=parse_duration(words["per"]) if words["per"] else None,
            start=parse_time(words["start"]) if words["start"] else None,
            end=parse_time(words["end"]) if words["end"] else None,
        )
        return await self.timelines.questions.aggregate(self.spec, asked)

    def _groups(self) -> list[str]:
        return [word.strip() for word in self.words["group_by"].split(",") if word.strip()]

    def _draw(self, result: Result) -> None:
        options = chart(result.columns, result.rows, self._groups(), result.timed)
        self.chart.set_visibility(options is not None)
        if options is not None:
            self.chart.style(f"height: {height(options)}px")
            self.chart.options.clear()
            self.chart.options.update(options)
            self.chart.update()
        self.table.columns = [
            {"name": name, "label": name, "field": name, "align": "left", "sortable": True}
            for name in result.columns
        ]
        rows: list[dict[str, Any]] = [
            {"id": i, **{name: value_text(row[name]) for name in result.columns}}
            for i, row in enumerate(result.rows[:MOST])
        ]
        fill(self.table, rows)
        places = ", ".join("-" if p is None else ".".join(map(str, p)) for p in result.positions)
        more = f"; the first {MOST} of {len(result.rows)} rows" if len(result.rows) > MOST else ""
        left = "".join(f"; {one.keys} keys left out: {one.reason}" for one in result.excluded[:3])
        alone = [] if result.request.over else result.timed
        times = [row[name] for row in result.rows for name in alone]
        when = f", at {moment(max(times))}" if times and not self.words["every"] else ""
        self.about.text = f"{result.keys} keys; positions {places}{when}{more}{left}"
        self.command.text = command(self.spec.name, self.words)
        self.request.text = curl(request(self.api, self.spec.name, self.words))


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > 6:
        raise RequestError(f"Top is how many rows, got {text!r}")
    return int(text)

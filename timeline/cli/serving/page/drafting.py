"""The views "new" and "change": write a timeline, try it on events, see what it comes to, deploy it."""

from __future__ import annotations

import asyncio

from nicegui import ui

from timeline.cli.serving.page import graph
from timeline.cli.serving.page.deploying import Deploying
from timeline.cli.serving.page.draft import WHAT, Draft
from timeline.cli.serving.page.editor import Editor
from timeline.cli.serving.page.rehearsal import Rehearsal
from timeline.cli.serving.page.shell import Service, complain, frame, heading
from timeline.cli.serving.page.writing import completions, name_wrong, wrong_in
from timeline.cli.serving.registering import spec_in
from timeline.errors import SpecError, TimelineError
from timeline.fragments import wave_of
from timeline.language.mistakes import Seen
from timeline.spec.spec import Spec

UNITS = ("ms", "s", "us", "ns", "rfc3339")
EXAMPLE = '[limits]\nallowed_lateness = "1m"\nretention = "1h"\n'
#: Seconds after the last stroke before what was written is looked at.
REST = 0.15


def install(service: Service) -> None:
    """Adds the views, unless nothing may be changed."""
    if service.read_only:
        return

    @ui.page("/new")
    async def new() -> None:
        async with frame(service, "New timeline"):
            await _View(service, Draft()).show()

    @ui.page("/t/{name}/change")
    async def change(name: str) -> None:
        async with frame(service, name, name, "Change"):
            spec = await service.timelines.registry.spec(name)
            await _View(service, Draft.of(spec)).show()


class _View:
    def __init__(self, service: Service, draft: Draft) -> None:
        self.service, self.draft = service, draft
        self.editors: list[Editor] = []
        self.columns: dict[str, set[str]] = {}
        self._pending: asyncio.Task[None] | None = None

    async def show(self) -> None:
        try:
            # What the events of a topic carry is known from those who read it.
            for spec in (await self.service.timelines.registry.specs()).values():
                self.columns.setdefault(spec.source.topic or "", set()).update(spec.plan.columns)
        except TimelineError as error:
            complain(error)
            return
        with ui.element("div").classes("tl-two"):
            with ui.column().classes("w-full gap-3"):
                self._form()
            with ui.column().classes("w-full gap-3"), ui.column().classes("tl-card"):
                heading("Plan")
                self.plan = graph.drawing("graph LR")
                self.plan.set_visibility(False)
                self.cost = ui.label("What is computed from what stands here.").classes("tl-note")
        self.rehearsal = Rehearsal(self.spec, self.typed)
        self.deploying = Deploying(self.service.timelines, self.spec)
        self.look()

    def _form(self) -> None:
        draft = self.draft
        with ui.column().classes("tl-card"):
            heading("What is asked")
            with ui.row().classes("tl-fields"):
                self.name = ui.input("Name", value=draft.name, on_change=self.typed)
                self.name.props("readonly" if draft.name else "").classes("grow")
                self.about = ui.input("Description", value=draft.description, on_change=self.typed)
                self.about.classes("grow")
            self.outputs = ui.column().classes("w-full gap-3")
            for name, text in draft.texts.items():
                self._add(name, text)
            more = ui.button("Another output", icon="add", on_click=lambda: self._another())
            more.props("flat dense no-caps size=sm")
        with ui.column().classes("tl-card"):
            heading("Of which events")
            with ui.row().classes("tl-fields"):
                self.topic = ui.input(
                    "Topic", value=draft.topic, on_change=self.typed, placeholder="none: files"
                )
                self.topic.classes("grow")
                self.key = ui.input("Key column", value=draft.key, on_change=self.typed)
                self.time = ui.input("Time column", value=draft.time, on_change=self.typed)
                self.unit = ui.select(
                    list(UNITS), value=draft.unit, label="Unit of times", on_change=self.typed
                )
            with ui.expansion("Limits, sinks and more").classes("w-full").props("dense"):
                self.settings = ui.textarea(value=draft.settings, on_change=self.typed)
                self.settings.props(f"autogrow aria-label='Settings, in TOML' placeholder={EXAMPLE!r}")
                self.settings.classes("w-full tl-mono")
                ui.label("The other tables of a spec's file, in TOML.").classes("tl-note")
        self.problems = ui.column().classes("w-full gap-0").props("role=status aria-live=polite")

    def _add(self, name: str, text: str) -> None:
        with self.outputs:
            editor = Editor(text, name, self.typed, lambda: self._remove(editor))
            self.editors.append(editor)
        for one in self.editors:
            one.named(len(self.editors) > 1 or bool(name))

    def _another(self) -> None:
        self._add("", "")
        self.typed()

    def _remove(self, editor: Editor) -> None:
        if len(self.editors) > 1:
            self.editors.remove(editor)
            editor.delete()
            self.typed()

    def read(self) -> Draft:
        """What the form holds now."""
        draft = self.draft
        draft.name, draft.description = (self.name.value or "").strip(), (self.about.value or "").strip()
        draft.texts = {editor.name: editor.text for editor in self.editors}
        draft.topic = (self.topic.value or "").strip()
        draft.key, draft.time = (self.key.value or "").strip(), (self.time.value or "").strip()
        draft.unit, draft.settings = self.unit.value, self.settings.value or ""
        return draft

    def spec(self, named: bool = True) -> Spec:
        """The spec that is written; where it need not be ``named``, another name stands for none.

        Raises:
            SpecError: all that is wrong with it.
        """
        data = self.read().data()
        return spec_in(data if named or data["name"] else {**data, "name": "draft"}, WHAT)

    def typed(self) -> None:
        """Looks at what was written, once the typing rests."""
        self.deploying.forget()
        if self._pending is not None:
            self._pending.cancel()
        self._pending = asyncio.create_task(self._soon())

    async def _soon(self) -> None:
        await asyncio.sleep(REST)
        with self.outputs:
            self.look()

    def look(self) -> None:
        """Tells what is wrong, offers what could be written, and draws the plan."""
        draft, seen = self.read(), self.rehearsal.seen
        self._offer(draft, seen)
        names = [editor.name for editor in self.editors]
        twice = {name for name in names if names.count(name) > 1}
        problem = next(filter(None, map(name_wrong, names)), None) if len(names) > 1 else None
        if problem or twice:
            self._say([problem or f"two outputs are called {min(twice)!r}; give each a name of its own"])
            return
        empty = not any(text.strip() for text in draft.texts.values())
        wrong = {} if empty else wrong_in(draft.texts, seen)
        for editor in self.editors:
            editor.tell(wrong.get(editor.name, []))
        if empty or any(one.sure for several in wrong.values() for one in several):
            self._say([])
            return
        try:
            spec = self.spec(named=False)
        except SpecError as error:
            self._say([f"{problem.place}: {problem.message}" for problem in error.problems])
            return
        self._say([])
        self.plan.set_visibility(True)
        self.plan.set_content(graph.graph(spec))
        wave = wave_of(spec.fragments)
        one = "1 workflow" if wave.workflows == 1 else f"{wave.workflows} workflows"
        nodes = len(spec.plan.nodes)
        many = "1 node" if nodes == 1 else f"{nodes} nodes"
        self.cost.text = f"{many} in {one} a stream; a wave is {wave.actions} Temporal actions"

    def _offer(self, draft: Draft, seen: Seen | None) -> None:
        known = self.columns.get(draft.topic, set()) if draft.topic else set()
        columns = [name for name in (seen.names if seen else ()) if name not in (draft.key, draft.time)]
        names = list(dict.fromkeys([*columns, *sorted(known)]))
        for editor in self.editors:
            others = [one.name for one in self.editors if one is not editor and one.name]
            editor.offer(completions(names, others))

    def _say(self, problems: list[str]) -> None:
        self.problems.clear()
        with self.problems:
            for problem in problems:
                ui.label(problem).classes("tl-mono text-negative")

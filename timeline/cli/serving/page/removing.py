"""Removing a timeline: what goes and what stays is said first, and its name has to be typed."""

from __future__ import annotations

from collections.abc import Iterable

from nicegui import ui

from timeline.cli.serving.page.deploying import lines
from timeline.cli.serving.page.shell import complain
from timeline.errors import TimelineError
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.names import node_id


def told(spec: Spec, every: Iterable[Spec]) -> tuple[list[str], list[str]]:
    """What goes with a timeline, and what stays, of ``every`` that is registered.

    >>> def plays(name, expression):
    ...     return Spec(name=name, expression=expression, source={"key": "session", "topic": "plays"})
    >>> one, two = plays("one", 'count(state == "a") > 1'), plays("two", 'count(state == "a") > 2')
    >>> for part in told(one.by_policy("node"), [one.by_policy("node"), two.by_policy("node")]):
    ...     print(part)
    ['count(state == "a") > 1', 'what its nodes know of every key, and its versions']
    ['count(state == "a")  (of two too)', 'the messages of the topic plays']
    """
    users: dict[str, list[str]] = {}
    for other in every:
        if other.name != spec.name:
            for host in {node_id(other, node, 0) for node in other.plan.nodes}:
                users.setdefault(host, []).append(other.name)
    goes, stays = [], []
    for node in spec.plan.nodes:
        if names := users.get(node_id(spec, node, 0)):
            stays.append(f"{node.text}  (of {', '.join(sorted(names))} too)")
        else:
            goes.append(node.text)
    topic = spec.source.topic
    stays += ["rows that its sinks have written"] * bool(spec.sinks)
    stays.append("the files that were fed" if topic is None else f"the messages of the topic {topic}")
    return [*goes, "what its nodes know of every key, and its versions"], stays


class Removing:
    """Where somebody opens it."""

    def __init__(self, timelines: Client, spec: Spec) -> None:
        self._timelines, self._spec = timelines, spec
        with ui.column().classes("tl-card"), ui.expansion("Remove this timeline").classes("w-full") as opened:
            self._place = ui.column().classes("w-full gap-1")
        opened.on_value_change(lambda event: self._look() if event.value else None)

    async def _look(self) -> None:
        name = self._spec.name
        self._place.clear()
        with self._place:
            try:
                every = (await self._timelines.registry.specs()).values()
            except TimelineError as error:
                complain(error)
                return
            goes, stays = told(self._spec, every)
            lines("goes", goes)
            lines("stays", stays)
            with ui.row().classes("tl-fields"):
                typed = ui.input(f"Type {name} to remove it").classes("grow")
                button = ui.button("Remove", icon="delete", color="negative").props("no-caps")
            button.bind_enabled_from(typed, "value", lambda text: text == name)
            self._trouble = ui.column()
        button.on_click(lambda: self._remove(str(typed.value)))

    async def _remove(self, typed: str) -> None:
        name = self._spec.name
        if typed != name:
            return
        try:
            await self._timelines.remove(name)
        except TimelineError as error:
            self._trouble.clear()
            with self._trouble:
                complain(error)
            return
        ui.navigate.to("/")

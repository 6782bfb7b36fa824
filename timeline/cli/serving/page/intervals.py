"""From when to when a node of a key has each of its values; and the question as a command and a request."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from timeline.cli.serving.page.lanes import moment
from timeline.cli.serving.page.lives import Lives
from timeline.cli.serving.page.shell import copyable, curl
from timeline.cli.serving.page.tables import ROWS, columns, fill
from timeline.errors import TimelineError
from timeline.pictures.texts import value_text
from timeline.plan import Plan, PlanNode
from timeline.spec.spec import Spec
from timeline.values.kinds import Kind
from workflows.client import Client

#: Intervals that are shown, the newest.
MOST = 1_000
#: Longer texts of nodes are too long for an address: the node's hash is said instead.
LONGEST = 200


def name_of(plan: Plan, node: PlanNode) -> str:
    """What a node is called where one asks of it."""
    outputs = [name for name, one in plan.outputs.items() if one is node and node is not plan.result]
    return outputs[0] if outputs else node.text if len(node.text) <= LONGEST else node.digest


def command(name: str, key: str, node: str, start: int | None, end: int | None) -> str:
    """The question as a command.

    >>> command("plays", "a b", "state", 1_000, None)
    "timeline intervals plays 'a b' --node state --from 1000"
    """
    options = {"--node": node, "--from": start, "--to": end}
    said = [f"{option} {shlex.quote(str(value))}" for option, value in options.items() if value is not None]
    return " ".join(["timeline intervals", name, shlex.quote(key), *said])


def request(api: str, name: str, key: str, node: str, start: int | None, end: int | None) -> str:
    """The question as an address.

    >>> request("http://127.0.0.1:8280/api/v1", "plays", "a b", "state", None, 5_000)
    'http://127.0.0.1:8280/api/v1/timelines/plays/intervals?key=a+b&node=state&end=5000'
    """
    words = {"key": key, "node": node, "start": start, "end": end}
    return f"{api}/timelines/{name}/intervals?{urlencode({k: v for k, v in words.items() if v is not None})}"


class Intervals:
    """The intervals of a State or a Bool of a key, where somebody opens them. ``asked`` is the name of the
    node that they are of, or "" while they are closed; ``changed`` is called when that is another."""

    def __init__(
        self,
        timelines: Client,
        spec: Spec,
        api: str,
        nodes: Sequence[tuple[PlanNode, str]],
        asked: str,
        changed: Callable[[], None],
    ) -> None:
        self._timelines, self._spec, self._api, self._changed = timelines, spec, api, changed
        named = {
            name_of(spec.plan, node): (node, label)
            for node, label in nodes
            if node.kind in (Kind.STATE, Kind.BOOL)
        }
        self._nodes = dict(sorted(named.items(), key=lambda item: item[0] not in spec.plan.outputs))
        self._key = ""
        self._lives: Lives | None = None
        if not self._nodes:
            return
        first = asked if asked in self._nodes else next(iter(self._nodes))
        with ui.expansion("Intervals of a node", value=asked in self._nodes).classes("w-full") as self._open:
            labels = {name: label for name, (_, label) in self._nodes.items()}
            self._node = ui.select(labels, value=first, label="Node").classes("w-full")
            self._said = ui.label().classes("tl-note").props("role=status aria-live=polite")
            names = columns("value", "from", "to", "seconds", "", wrapped=("value",), numbers=("seconds",))
            self._table = ui.table(columns=names, rows=[], row_key="id", pagination=ROWS).classes("w-full")
            self._table.props("flat dense")
            self._command, self._request = copyable(""), copyable("")
        self._node.on_value_change(self._turn)
        self._open.on_value_change(self._turn)

    @property
    def asked(self) -> str:
        return str(self._node.value) if self._nodes and self._open.value else ""

    async def look(self, key: str, lives: Lives) -> None:
        """Shows those of a key, in the life that is looked at, as they are now."""
        self._key, self._lives = key, lives
        if not self.asked:
            return
        start = None if lives.life is None else lives.life.origin
        end = None if lives.is_newest else lives.over
        of = (key, self.asked, start, end)
        node, _ = self._nodes[self.asked]
        try:
            found = await self._timelines.questions.intervals(self._spec, node, [key], start, end)
        except TimelineError as error:
            self._said.text = str(error)
            return
        if of[:2] != (self._key, self.asked):
            return
        more = f", the last {MOST} shown" if len(found) > MOST else ""
        self._said.text = found.left_out.get(key) or f"{len(found)} intervals{more}"
        rows: list[dict[str, Any]] = [
            {"id": i, "value": value_text(one.value), "from": moment(one.begin), "to": moment(one.end)}
            | {"seconds": one.row()["seconds"], "": "goes on" if one.open else ""}
            for i, one in enumerate(found)
        ]
        fill(self._table, rows[-MOST:])
        self._command.text = command(self._spec.name, *of)
        self._request.text = curl(request(self._api, self._spec.name, *of))

    async def _turn(self) -> None:
        self._changed()
        if self._lives is not None:
            await self.look(self._key, self._lives)

"""The last step of a draft: what stays, is new and goes, and then the deed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import ui

from timeline.cli.serving.page.shell import complain, heading
from timeline.cli.serving.registering import Proposal, carry_out, propose
from timeline.errors import TimelineError
from timeline.pictures.texts import value_text
from timeline.spec.changes import Change
from timeline.spec.spec import Spec
from workflows.client import Client


class Deploying:
    """Asks for a look at what changes before anything does; whoever writes on has to look again."""

    def __init__(self, timelines: Client, spec: Callable[[], Spec]) -> None:
        self._timelines, self._spec = timelines, spec
        with ui.column().classes("tl-card"):
            heading("Deploy")
            ui.button("What would change?", on_click=self._look).props("no-caps outline")
            self._place = ui.column().classes("w-full gap-1").props("role=status aria-live=polite")
        self._shown = False

    def forget(self) -> None:
        """What was shown is of a draft that is another now."""
        if self._shown:
            self._shown = False
            self._place.clear()

    async def _look(self) -> None:
        self._place.clear()
        self._shown = True
        with self._place:
            try:
                proposal = await propose(self._timelines, self._spec())
            except TimelineError as error:
                complain(error)
                return
            if not proposal.new:
                ui.label(f"Nothing: it runs so already, as version {proposal.version}.")
                return
            _tell(proposal)
            ui.button("Deploy", icon="rocket_launch", on_click=lambda: self._do(proposal)).props("no-caps")

    async def _do(self, proposal: Proposal) -> None:
        name = proposal.spec.name
        try:
            await carry_out(self._timelines, proposal, proposal.version)
        except TimelineError as error:
            self._place.clear()
            with self._place:
                complain(error)
            return
        ui.navigate.to(f"/t/{name}")


def _tell(proposal: Proposal) -> None:
    if (change := proposal.change) is None:
        lines("new", [node.text for node in proposal.spec.plan.nodes])
        return
    ui.label(f"Version {proposal.version} is replaced.").classes("tl-note")
    _settings(change)
    lines("stays", change.stays)
    lines("new", change.new)
    lines("goes", change.goes)
    if change.moves:
        ui.label("Other workflows host the nodes: they get all that is known.").classes("tl-note")
    if change.anew:
        ui.label("All nodes begin anew, and read the source again.").classes("tl-note")


def _settings(change: Change) -> None:
    for place, before, after in change.settings:
        was, now = ("-" if value is None else value_text(value) for value in (before, after))
        ui.label(f"{place}: {was} → {now}").classes("tl-mono")


def lines(title: str, texts: Sequence[str]) -> None:
    """What stays, is new or goes, each in a line."""
    for text in texts:
        ui.label(f"{title:<5}  {text}").classes(f"tl-mono tl-{title}")

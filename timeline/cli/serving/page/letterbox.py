"""Dead letters of a timeline's topic: what no timeline took, and sending it again."""

from __future__ import annotations

from itertools import islice
from typing import Any

from nicegui import ui

from feeder.sources.base import DeadLetter, Source, ends_of
from timeline.cli.serving.page.shell import heading
from timeline.cli.serving.page.tables import ROWS, columns, fill
from timeline.cli.serving.topics import of_topic
from timeline.errors import TimelineError
from timeline.spec.spec import Spec
from timeline.tables.events import Position

KINDS = ("broken", "ahead", "late", "closed")
#: Letters that are shown, and characters of a message.
MOST, LONGEST = 200, 160


async def ends(spec: Spec) -> list[Position | None]:
    """The newest message of each partition of a topic."""
    return await of_topic(spec, ends_of)


class Letterbox:
    """Letters are looked at when somebody asks: all of them are read for that."""

    def __init__(self, spec: Spec, read_only: bool) -> None:
        self._spec = spec
        with ui.column().classes("tl-card"):
            heading("Dead letters")
            with ui.row().classes("items-end"):
                self._kind = ui.select(list(KINDS), value=KINDS[0], label="Kind").style("min-width: 8rem")
                self._buttons = [ui.button("Look", on_click=self._look).props("no-caps outline")]
                if not read_only:
                    again = ui.button("Send again", on_click=self._send).props("no-caps outline")
                    self._buttons.append(again)
            self._said = ui.label().classes("tl-note").props("role=status aria-live=polite")
            names = columns("place", "reason", "key", "message", wrapped=("reason", "message"))
            self._table = ui.table(columns=names, rows=[], row_key="id", pagination=ROWS).classes("w-full")
            self._table.props("flat dense")
            self._table.set_visibility(False)

    async def _look(self) -> None:
        kind = self._kind.value

        def work(source: Source) -> list[DeadLetter]:
            return list(islice((one for one in source.letters() if one.kind == kind), MOST + 1))

        found = await self._asked(work)
        if found is None:
            return
        more = f"more than {MOST}" if len(found) > MOST else str(len(found))
        self._said.text = f"{more} {kind} messages"
        fill(self._table, [_row(i, one) for i, one in enumerate(found[:MOST])])
        self._table.set_visibility(bool(found))

    async def _send(self) -> None:
        kind = self._kind.value
        sent = await self._asked(lambda source: source.send_again(kind))
        if sent is not None:
            self._said.text = f"{sent} {kind} messages were sent to {self._spec.source.topic} again"

    async def _asked(self, work: Any) -> Any:
        for button in self._buttons:
            button.disable()
        try:
            return await of_topic(self._spec, work)
        except TimelineError as error:
            self._said.text = str(error)
            return None
        finally:
            for button in self._buttons:
                button.enable()


def _row(number: int, letter: DeadLetter) -> dict[str, Any]:
    text = letter.payload.decode("utf-8", "backslashreplace")
    return {
        "id": number,
        "place": f"{letter.partition}: {'.'.join(map(str, letter.position))}",
        "reason": letter.reason,
        "key": letter.key,
        "message": text if len(text) <= LONGEST else text[: LONGEST - 1] + "…",
    }

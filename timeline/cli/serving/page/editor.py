"""An editor of one expression: colours, completion, and what is wrong underlined while it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from timeline.cli.serving.page.writing import Wrong


class Editor:
    """The text of an output, which may have a ``name``. ``changed`` is called whenever either is another."""

    def __init__(self, text: str, name: str, changed: Callable[[], None], remove: Callable[[], None]) -> None:
        self._changed = changed
        self._wrong: list[Wrong] = []
        self._root = ui.column().classes("w-full gap-1")
        with self._root:
            self._head = ui.row().classes("items-center w-full no-wrap")
            with self._head:
                self._name = ui.input("Output", value=name, on_change=lambda: changed())
                self._name.props("dense").classes("grow")
                button = ui.button(icon="close", on_click=lambda: remove())
                button.props('flat round dense aria-label="Remove this output"')
            self.field = ui.codemirror(text, line_wrapping=True, on_change=lambda: changed())
            self.field.classes("tl-editor")
            self._told = ui.column().classes("w-full gap-0").props("role=status aria-live=polite")
        ui.run_javascript(f"tlEditor({self.field.id}, {json.dumps('Expression')})")

    @property
    def text(self) -> str:
        return self.field.value or ""

    @property
    def name(self) -> str:
        return (self._name.value or "").strip()

    def named(self, shown: bool) -> None:
        """Whether the name is asked for: where there are several outputs."""
        self._head.set_visibility(shown)

    def offer(self, words: Sequence[dict[str, Any]]) -> None:
        """Completes with these words from now on."""
        ui.run_javascript(f"tlWords[{self.field.id}] = {json.dumps(words)}")

    def tell(self, wrong: Sequence[Wrong]) -> None:
        """Underlines what is wrong, and says it, with a way to take what was suggested."""
        if list(wrong) == self._wrong:
            return
        self._wrong = list(wrong)
        self.field.decorations = [
            {
                "kind": "mark",
                "from": one.start,
                "to": one.end,
                "class": "tl-wrong" if one.sure else "tl-doubt",
                "attributes": {"title": one.message},
            }
            for one in wrong
            if one.start < one.end
        ]
        self._told.clear()
        with self._told:
            for one in wrong:
                self._say(one)

    def _say(self, one: Wrong) -> None:
        with ui.row().classes("w-full items-center gap-2"):
            kind = "text-negative" if one.sure else "text-warning"
            ui.label(one.message).classes(f"tl-mono {kind}")
            if (fixed := one.fixed) is not None:
                label = f"Take {one.suggestion}" if one.suggestion else "Take it"
                button = ui.button(label, on_click=lambda: self._take(fixed))
                button.props("dense outline no-caps size=sm")

    def _take(self, text: str) -> None:
        self.field.set_value(text)

    def delete(self) -> None:
        self._root.delete()

"""The frame of every view: the bar, light and dark, and how errors are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui

from timeline.errors import TimelineError

STYLE = """
.tl-mono { font-family: ui-monospace, Menlo, monospace; font-size: 0.85rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.tl-page { max-width: 1200px; margin: 0 auto; width: 100%; }
.q-table td, .q-table th { font-size: 0.85rem; }
"""


@contextmanager
def frame(title: str) -> Iterator[None]:
    """A view below the bar."""
    ui.page_title(f"{title} - Timeline")
    ui.add_css(STYLE)
    dark = ui.dark_mode(None)
    with ui.header().classes("items-center justify-between bg-primary"):
        with ui.row().classes("items-center"):
            ui.link("Timeline", "/").classes("text-white text-lg no-underline font-bold")
            ui.label(title).classes("text-white text-lg")
        ui.button("Light or dark", on_click=lambda: dark.set_value(not dark.value)).props("flat color=white")
    with ui.column().classes("tl-page"):
        yield


def complain(error: TimelineError) -> None:
    """Tells an error where a view would be."""
    ui.label(str(error)).classes("tl-mono text-negative").props("role=alert")

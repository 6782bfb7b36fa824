"""What every view shares: the bar, light and dark, how errors are told, looking again while one looks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nicegui import ui

from timeline.cli.serving.guard import COOKIE, LOGOUT
from timeline.errors import TimelineError
from workflows.client import Client

#: Seconds between two looks while somebody looks; or so many times what a look takes, where that is more, but
#: not more than that.
EVERY, LEISURE, LONGEST = 1.0, 4.0, 10.0
#: How long (s) a browser may take to come back for what is below the bar.
PATIENCE = 60.0
TOKEN = '-H "Authorization: Bearer $TIMELINE_TOKEN" '
STYLE = (Path(__file__).parent / "page.css").read_text("utf-8")
SCRIPT = (Path(__file__).parent / "page.js").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Service:
    """What the views stand on: the client; whether nothing may be changed; where Temporal's own UI is, as the
    beginning of the addresses of workflows."""

    timelines: Client
    read_only: bool = False
    workflows: str | None = None

    def link(self, workflow_id: str) -> str | None:
        """Where Temporal's UI shows a workflow."""
        return None if self.workflows is None else f"{self.workflows}/{quote(workflow_id, safe='')}"


@asynccontextmanager
async def frame(service: Service, title: str, name: str | None = None, here: str = "") -> AsyncIterator[None]:
    """A view below the bar; of the timeline ``name`` the tab ``here``. What is below comes once the browser
    has the rest: workflows may take their time. What goes wrong is told."""
    ui.page_title(f"{title} - Timeline")
    ui.add_css(STYLE)
    ui.add_head_html(f"<script>{SCRIPT}</script>")
    dark = ui.dark_mode(None)
    with ui.header().classes("tl-bar items-center no-wrap"):
        ui.link("Timeline", "/").classes("tl-brand")
        ui.label(title).classes("tl-title")
        ui.space()
        if not service.read_only:
            ui.link("New", "/new").classes("tl-brand")
        button = ui.button(icon="contrast", on_click=lambda: _switch(dark))
        button.props('flat round dense color=white aria-label="Light or dark" title="Light or dark"')
        if is_signed_in():
            with ui.element("form").props(f"method=post action={LOGOUT}"):
                leave = ui.button(icon="logout").props("flat round dense color=white type=submit")
                leave.props('aria-label="Sign out" title="Sign out"')
    with ui.column().classes("tl-page"):
        if name is not None:
            with ui.row().classes("tl-tabs").props('role=navigation aria-label="Views"'):
                for text, path in tabs(service, name):
                    link = ui.link(text, path)
                    if text == here:
                        link.classes("tl-here").props("aria-current=page")
        waiting = ui.spinner(size="lg")
        try:
            await ui.context.client.connected(timeout=PATIENCE)
            yield
        except TimelineError as error:
            complain(error)
        finally:
            waiting.delete()


async def _switch(dark: ui.dark_mode) -> None:
    """From what is shown, be it chosen or the system's."""
    dark.set_value(not await ui.run_javascript("document.body.classList.contains('body--dark')"))


def tabs(service: Service, name: str) -> Sequence[tuple[str, str]]:
    """The views of a timeline, and where they are."""
    views = [("A key", ""), ("All keys", "/all"), ("Operations", "/operations")]
    views += [] if service.read_only else [("Change", "/change")]
    return [(text, f"/t/{name}{path}") for text, path in views]


def complain(error: TimelineError) -> None:
    """Tells an error where a view would be."""
    ui.label(str(error)).classes("tl-mono text-negative").props("role=alert")


def heading(text: str) -> None:
    """What a part of a view is about."""
    ui.label(text).classes("tl-heading").props("role=heading aria-level=2")


def copyable(text: str) -> ui.label:
    """A line to copy."""
    with ui.row().classes("tl-copy"):
        button = ui.button(icon="content_copy").props('flat round dense size=sm aria-label="Copy"')
        line = ui.label(text).classes("tl-mono")
    button.on_click(lambda: ui.clipboard.write(line.text))
    return line


def is_signed_in() -> bool:
    """Whether who looks has signed in with a token."""
    return COOKIE in ui.context.client.request.cookies


def curl(url: str) -> str:
    """A request as a command; where a token is asked for it is that of the environment."""
    return f'curl {TOKEN if is_signed_in() else ""}"{url}"'


def watching(look: Callable[[], Awaitable[None]], seconds: float = EVERY) -> None:
    """Looks again and again while the page is open and its tab in front; more rarely where that takes long,
    so that who looks costs workers little."""
    following = 0.0
    shown = True
    here = ui.context.client

    def seen(event: object) -> None:
        nonlocal shown, following
        shown, following = bool(getattr(event, "args", True)), 0.0

    async def turn() -> None:
        nonlocal following
        begun = time.monotonic()
        if shown and begun >= following and here.has_socket_connection:
            await look()
            following = begun + min(LEISURE * (time.monotonic() - begun), LONGEST)

    ui.on("tl-shown", seen)
    ui.timer(seconds, turn, immediate=False)


def address(path: str, **words: str) -> str:
    """An address with what is not empty.

    >>> address("/t/cirr", key="a b", at="")
    '/t/cirr?key=a%20b'
    """
    said = "&".join(f"{word}={quote(text, safe='')}" for word, text in words.items() if text)
    return f"{path}?{said}" if said else path

"""The page: what there is, why a key's result is what it is, and questions over all keys.

It shows what the client answers, and changes nothing. `shell` is the frame of every view.
"""

from __future__ import annotations

from fastapi import FastAPI

from workflows.client import Client


def make_page(timelines: Client) -> FastAPI:
    """The page as an app, the only one of its process."""
    from nicegui import ui

    from timeline.cli.serving.page import listing, one

    listing.install(timelines)
    one.install(timelines)
    app = FastAPI(openapi_url=None)
    ui.run_with(app, title="Timeline", dark=None, show_welcome_message=False, reconnect_timeout=10)
    return app

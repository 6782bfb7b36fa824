"""The page: what there is, why a key's result is what it is, questions over all keys; and, unless nothing may
be changed, an editor.

It shows what the client answers. `shell` is the frame of every view.
"""

from __future__ import annotations

from fastapi import FastAPI

from workflows.client import Client

#: Seconds after which the view of a browser that is gone is forgotten. One that comes back later (a laptop
#: that slept, a machine that stood still) loads its page anew.
RECONNECT = 60


def make_page(timelines: Client, read_only: bool = False, workflows: str | None = None) -> FastAPI:
    """The page as an app, the only one of its process; ``workflows`` is where Temporal's UI shows them."""
    from nicegui import ui

    from timeline.cli.serving.page import asking, drafting, listing, one, operations
    from timeline.cli.serving.page.shell import Service

    service = Service(timelines, read_only, workflows)
    for view in (listing, one, asking, operations, drafting):
        view.install(service)
    app = FastAPI(openapi_url=None)
    ui.run_with(app, title="Timeline", dark=None, show_welcome_message=False, reconnect_timeout=RECONNECT)
    return app

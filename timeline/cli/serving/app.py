"""The HTTP API, with the page, as an ASGI app."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from timeline.cli.serving import models, page, problems, questions, timelines, topics
from timeline.cli.serving.guard import LOGIN, LOGOUT, OPEN, Access, Guard
from timeline.cli.serving.login import make_login
from timeline.cli.serving.sessions import Sessions
from workflows.client import Client
from workflows.connection import trouble

ABOUT = "Timelines: questions about state over time. Every answer says which prefix of its streams it is of."


def make_app(client: Client, access: Access | None = None, workflows: str | None = None) -> ASGIApp:
    """The API over a client; `Access()` unless given: for this machine only, and without a token.
    ``workflows`` is where Temporal's own UI shows workflows, as the beginning of their addresses.

    Raises nothing: what goes wrong is told to who asked.
    """
    app = FastAPI(
        title="Timeline",
        version=version("timeline-analytics"),
        description=ABOUT,
        # Their pages load from elsewhere; the schema is what programs want.
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        # A Problem, as all else.
        responses={422: {"model": problems.Problem}},
    )
    app.state.timelines = client
    problems.install(app)
    for router in (timelines.router, questions.router, topics.router):
        app.include_router(router, prefix="/api/v1")

    @app.get("/healthz", tags=["health"])
    async def healthz() -> models.Health:
        """It runs."""
        return models.Health(status="ok")

    failing: dict[int | str, dict[str, Any]] = {503: {"model": models.Health}}

    @app.get("/readyz", tags=["health"], responses=failing, response_model=models.Health)
    async def readyz() -> models.Health | JSONResponse:
        """Temporal answers it; else 503 with the reason."""
        reason = await trouble(client.temporal)
        if reason is None:
            return models.Health(status="ok")
        return JSONResponse(models.Health(status="failing", reason=reason).model_dump(), 503)

    access = access or Access()
    sessions = None if access.token is None else Sessions(access.token)
    login = make_login(access.token, sessions)
    people = page.make_page(client, access.read_only, workflows)

    async def every(scope: Scope, receive: Receive, send: Send) -> None:
        """Apart, so that the page takes nothing that the API has to answer."""
        asked: ASGIApp = people
        if scope["type"] == "http" and scope["path"].startswith(("/api/", *OPEN)):
            asked = app
        elif scope["type"] == "http" and scope["path"] in (LOGIN, LOGOUT):
            asked = login
        await asked(scope, receive, send)

    return Guard(every, access, sessions)

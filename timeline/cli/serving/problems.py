"""Errors as problem+json (RFC 9457): the words of the command line, with their place and suggestion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from timeline import errors
from timeline.cli.serving.models import Part

MEDIA_TYPE = "application/problem+json"
#: The first that an error is of counts.
STATUS: tuple[tuple[type[errors.TimelineError], int], ...] = (
    (errors.NotFoundError, 404),
    (errors.NotCaughtUpError, 503),
    (errors.BusyError, 503),
    (errors.ServiceError, 503),
    (errors.PlacedError, 422),
    (errors.SpecError, 422),
    (errors.DurationError, 422),
    (errors.LimitError, 422),
    # What the registry refuses, and what a key is in no state for.
    (errors.TimelineError, 409),
)
#: After so many seconds the same may succeed.
RETRY_AFTER = "1"


class Place(Part):
    """Where in a text something is wrong: from 1; or in a spec, as a dotted path."""

    line: int | None = None
    column: int | None = None
    length: int | None = None
    path: str | None = None


class OneProblem(Part):
    """One thing wrong in a spec or a request."""

    path: str
    detail: str


class Problem(Part):
    """What is wrong (RFC 9457): ``type`` is the kind of the error, ``detail`` the same text as on the command
    line, ``place`` where in the text it is, ``problems`` all that is wrong with a spec."""

    type: str
    title: str
    status: int
    detail: str
    place: Place | None = None
    expected: list[str] = Field(default_factory=list)
    suggestion: str | None = None
    source: str | None = None
    problems: list[OneProblem] = Field(default_factory=list)


class RefusedError(errors.TimelineError):
    """A request that is refused with a status of its own."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def of_error(error: errors.TimelineError) -> Problem:
    """The problem that an error is."""
    if isinstance(error, RefusedError):
        return of_status(error.status, str(error))
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    name = type(error).__name__.removesuffix("Error")
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
    problem = Problem(
        type=f"urn:timeline:{words.replace(' ', '-')}", title=words, status=status, detail=str(error)
    )
    if isinstance(error, errors.PlacedError):
        problem.detail = error.message
        problem.expected, problem.suggestion = list(error.expected), error.suggestion
        problem.source = error.source
        if (span := error.span) is not None:
            problem.place = Place(line=span.line, column=span.column, length=span.length)
    if isinstance(error, errors.SpecError):
        problem.problems = [OneProblem(path=p.place, detail=p.message) for p in error.problems]
    return problem


def of_status(status: int, detail: str) -> Problem:
    """A problem that is no error of a timeline's."""
    return Problem(type="about:blank", title=TITLES.get(status, "error"), status=status, detail=detail)


TITLES = {
    400: "bad request",
    401: "who are you",
    403: "not allowed",
    404: "not found",
    405: "no such method",
    406: "not acceptable",
    413: "too large",
    415: "unsupported media type",
    421: "not this host",
    422: "not understood",
    503: "busy",
}


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The response that tells a problem."""
    more = {"Retry-After": RETRY_AFTER} if problem.status == 503 else {}
    if problem.status == 401:
        more["WWW-Authenticate"] = "Bearer"
    return Response(
        problem.model_dump_json(exclude_defaults=True),
        problem.status,
        headers={**more, **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Has all that goes wrong in an app told so."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.TimelineError)
        return answer(of_error(error))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        problem = of_status(422, "the request is not understood; see problems")
        problem.problems = [_one(found) for found in error.errors()]
        return answer(problem)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(sorted(_methods(request)))
        return answer(of_status(error.status_code, str(error.detail)), headers)

    app.add_exception_handler(errors.TimelineError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def _methods(request: Request) -> set[str]:
    """All methods of a path: of several routes on it the framework names one's."""
    asked = {method: {**request.scope, "method": method} for method in ("GET", "PUT", "POST", "DELETE")}
    routes = request.app.routes
    return {m for m, scope in asked.items() if any(r.matches(scope)[0] is Match.FULL for r in routes)}


def _one(found: Mapping[str, Any]) -> OneProblem:
    path = ".".join(str(part) for part in found["loc"] if part not in ("query", "path", "body"))
    got = found.get("input")
    shown = f", got {got!r}" if isinstance(got, str | int | float) else ""
    return OneProblem(path=path or "body", detail=f"{found['msg']}{shown}"[:500])


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer beside what it is asked for, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    every = {400, 401, 403, 413, 421, 422, 503, *statuses}
    return {status: {"description": TITLES.get(status, "refused"), "content": content} for status in every}

"""Who may ask, and how much: hosts, tokens, pages of others, a read-only mode, sizes, how many at a time."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from timeline.cli.serving.problems import RefusedError, answer, of_error
from timeline.cli.serving.sessions import Sessions

MAX_BODY = 1 << 20
#: Requests that are answered at one time, and streams of changes that are open.
MAX_REQUESTS, MAX_STREAMS = 32, 64
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SAFE = ("GET", "HEAD", "OPTIONS")
#: Of these anybody may hear: they say nothing of timelines.
OPEN = ("/healthz", "/readyz")
#: Where one signs in to the page, and out.
LOGIN, LOGOUT = "/login", "/logout"
COOKIE = "timeline-session"
#: Of what is posted, these change nothing.
HARMLESS = ("/api/v1/explain", "/_nicegui", LOGIN, LOGOUT)
#: No views of the page, which have addresses to come back to.
NO_VIEWS = ("/api/", "/_nicegui")
#: Of all answers; of those of the API; and of the page, which loads nothing from elsewhere. Its forms have to
#: say where they are from.
HEADERS = ((b"x-content-type-options", b"nosniff"),)
OF_API = (
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
OF_PAGE = (
    (b"referrer-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        b"style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data:; font-src 'self' data:; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what: requests for one of the ``hosts``; with a ``token``, or a ``header`` of a proxy (which
    only the proxy can set), those that have it. ``read_only``: none changes anything."""

    hosts: tuple[str, ...] = LOOPBACK
    token: str | None = None
    header: str | None = None
    read_only: bool = False


class Guard:
    """Lets through what may go through; an ASGI app round another. ``sessions`` are those who signed in."""

    def __init__(self, app: ASGIApp, access: Access, sessions: Sessions | None = None) -> None:
        self.app = app
        self.access = access
        self.sessions = sessions
        self._requests = self._streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def telling(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", []), *HEADERS, *_headers(request.url.path)]
            await send(message)

        request = Request(scope)
        try:
            self._judge(request, request.method)
            with self._counted(request):
                await self.app(scope, _bounded(request, receive), telling)
        except RefusedError as error:
            if begun:
                raise
            refusal = answer(of_error(error))
            if error.status == 401 and self._is_view(request):
                refusal = RedirectResponse(f"{LOGIN}?next={quote(_address(scope), safe='')}", 303)
            await refusal(scope, receive, telling)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page's own connection, by which it is told what was clicked: as careful as with a change."""
        connection = HTTPConnection(scope)
        closed = False

        async def close() -> None:
            nonlocal closed
            closed = True
            await send({"type": "websocket.close", "code": 1008})

        async def hearing() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and not self._may(connection):
                if not closed:
                    await close()
                return {"type": "websocket.disconnect", "code": 1008}
            return message

        async def telling(message: Message) -> None:
            if self._may(connection):
                await send(message)
            elif not closed:
                await close()

        try:
            self._judge(connection, "websocket")
        except RefusedError:
            await receive()
            await close()
            return
        # A sign-in may end while the connection is open.
        await self.app(scope, hearing, telling)

    def _judge(self, request: HTTPConnection, method: str) -> None:
        """Refuses what may not be asked.

        Raises:
            RefusedError: it may not.
        """
        access, headers = self.access, request.headers
        host = urlsplit(f"//{headers.get('host', '')}")
        if not _is_one_of(host.hostname, access.hosts):
            raise RefusedError(
                421,
                f"this service is not called {host.hostname!r}; --allow-host gives it another name",
            )
        if request.url.path in OPEN:
            return
        if request.url.path not in (LOGIN, LOGOUT) and not self._may(request):
            raise RefusedError(401, "give the token: Authorization: Bearer TOKEN")
        if method in SAFE:
            return
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        if foreign or headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
            raise RefusedError(403, "a page of another site may not change anything here")
        if access.read_only and not request.url.path.startswith(HARMLESS):
            raise RefusedError(403, "this service is read-only; use another, or the command line")

    def _may(self, request: HTTPConnection) -> bool:
        """Whether who asks has what it takes."""
        if self._has_token(request.headers.get("authorization")) or self._is_of_proxy(request):
            return True
        return self.sessions is not None and self.sessions.holds(request.cookies.get(COOKIE))

    def _is_view(self, request: Request) -> bool:
        """Whether it is a view of the page, to which somebody can sign in."""
        is_view = request.method in SAFE and not request.url.path.startswith(NO_VIEWS)
        return is_view and self.sessions is not None

    def _has_token(self, given: str | None) -> bool:
        token = self.access.token
        if token is None:
            return self.access.header is None
        kind, _, value = (given or "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(value.strip().encode(), token.encode())

    def _is_of_proxy(self, request: HTTPConnection) -> bool:
        return self.access.header is not None and bool(request.headers.get(self.access.header))

    @contextmanager
    def _counted(self, request: Request) -> Iterator[None]:
        """While a request is answered.

        Raises:
            RefusedError: too many are.
        """
        stream = request.url.path.endswith("/changes")
        if (self._streams >= MAX_STREAMS) if stream else (self._requests >= MAX_REQUESTS):
            most = MAX_STREAMS if stream else MAX_REQUESTS
            raise RefusedError(503, f"{most} requests are being answered, which is the most; ask again later")
        self._streams += stream
        self._requests += not stream
        try:
            yield
        finally:
            self._streams -= stream
            self._requests -= not stream


def _headers(path: str) -> tuple[tuple[bytes, bytes], ...]:
    """What is said with all answers of the API, and of the page; signing in says its own."""
    if path in (LOGIN, LOGOUT):
        return ()
    return OF_API if path.startswith("/api/") else OF_PAGE


def _address(scope: Scope) -> str:
    """The path that is asked for, with its query, as it was sent."""
    path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    query: bytes = scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode("latin-1")


def _is_one_of(host: str | None, hosts: tuple[str, ...]) -> bool:
    return host is not None and host.lower() in hosts


def _bounded(request: Request, receive: Receive) -> Receive:
    """The body, which must not be larger than `MAX_BODY`."""
    too_large = RefusedError(413, f"a body has at most {MAX_BODY} bytes")
    told = request.headers.get("content-length", "0")
    if not told.isdecimal() or int(told) > MAX_BODY:
        raise too_large
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            raise too_large
        return message

    return bounded

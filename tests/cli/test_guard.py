"""Who may ask the HTTP service, and how much: hosts, tokens, pages of others, sizes, how many at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from starlette.types import Message, Receive, Scope, Send

from timeline.cli.serving.guard import MAX_BODY, MAX_REQUESTS, Access, Guard

TOKEN = "0123456789abcdef"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, and says how long it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % size})


async def ask(
    access: Access | Guard,
    method: str = "GET",
    path: str = "/api/v1/timelines",
    parts: tuple[bytes, ...] = (b"",),
    **headers: str,
) -> tuple[int, dict[str, str], str]:
    """Status, headers and what is said, of one request."""
    guard = access if isinstance(access, Guard) else Guard(echo, access)
    named = {"host": "127.0.0.1:8280"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }
    waiting = list(parts)
    said: list[Message] = []

    async def receive() -> Message:
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        said.append(message)

    await guard(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in said).decode()
    found = {name.decode(): value.decode() for name, value in said[0]["headers"]}
    return said[0]["status"], found, text


def detail(text: str) -> str:
    problem: dict[str, Any] = orjson.loads(text)
    return str(problem["detail"])


async def test_this_machine_may_ask() -> None:
    status, headers, text = await ask(Access())
    assert (status, text) == (200, "0")
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::2]:80"])
async def test_a_name_that_is_not_ours(host: str) -> None:
    """A page that has its own name point here could read answers otherwise."""
    status, _, text = await ask(Access(), host=host)
    assert status == 421
    assert "--allow-host" in detail(text)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "[::1]:8280", "timeline.example:443"])
async def test_names_that_are_ours(host: str) -> None:
    access = Access(hosts=(*Access().hosts, "timeline.example"))
    assert (await ask(access, host=host))[0] == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [("", 401), (f"Bearer {TOKEN}", 200), (f"bearer {TOKEN}", 200), (f"Bearer {TOKEN}x", 401), (TOKEN, 401)],
)
async def test_token(given: str, status: int) -> None:
    found, headers, _ = await ask(Access(token=TOKEN), authorization=given)
    assert found == status
    assert headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


async def test_header_of_a_proxy() -> None:
    access = Access(header="x-forwarded-user")
    assert (await ask(access))[0] == 401
    assert (await ask(access, x_forwarded_user=""))[0] == 401
    assert (await ask(access, x_forwarded_user="ann"))[0] == 200
    either = Access(token=TOKEN, header="x-forwarded-user")
    assert (await ask(either, authorization=f"Bearer {TOKEN}"))[0] == 200


async def test_health_needs_no_token() -> None:
    assert (await ask(Access(token=TOKEN), path="/healthz"))[0] == 200
    assert (await ask(Access(token=TOKEN), path="/healthz", host="evil.example"))[0] == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8280"}, 200),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "same-origin"}, 200),
    ],
)
async def test_pages_of_others_change_nothing(headers: dict[str, str], status: int) -> None:
    assert (await ask(Access(), "POST", parts=(b"",), **headers))[0] == status
    # What they may not read they may ask: no header lets them.
    assert (await ask(Access(), "GET", parts=(b"",), **headers))[0] == 200


async def test_read_only() -> None:
    access = Access(read_only=True)
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        status, _, text = await ask(access, method)
        assert (status, "read-only" in detail(text)) == (403, True)
    assert (await ask(access, "GET"))[0] == (await ask(access, "POST", "/api/v1/explain"))[0] == 200


async def test_a_body_that_is_too_large() -> None:
    half = b"x" * (MAX_BODY // 2)
    assert (await ask(Access(), "PUT", parts=(half, half)))[2] == str(MAX_BODY)
    assert (await ask(Access(), "PUT", parts=(half, half, b"x")))[0] == 413
    assert (await ask(Access(), "PUT", content_length=str(MAX_BODY + 1)))[0] == 413
    assert (await ask(Access(), "PUT", content_length="-1"))[0] == 413


async def test_so_many_at_a_time() -> None:
    open_ = asyncio.Event()
    inside = asyncio.Semaphore(0)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        inside.release()
        await open_.wait()
        await echo(scope, receive, send)

    guard = Guard(slow, Access())
    under_way = [asyncio.create_task(ask(guard)) for _ in range(MAX_REQUESTS)]
    for _ in range(MAX_REQUESTS):
        await inside.acquire()
    status, headers, _ = await ask(guard)
    assert (status, headers["retry-after"]) == (503, "1")
    # Streams of changes stay open, and have a number of their own.
    stream = asyncio.create_task(ask(guard, path="/api/v1/timelines/a/changes"))
    await inside.acquire()
    open_.set()
    assert {(await task)[0] for task in [*under_way, stream]} == {200}
    assert (await ask(guard))[0] == 200


@pytest.mark.parametrize(
    ("access", "headers", "let_in"),
    [
        (Access(), {}, True),
        (Access(), {"origin": "http://127.0.0.1:8280"}, True),
        (Access(), {"origin": "https://evil.example"}, False),
        (Access(), {"host": "evil.example"}, False),
        (Access(header="x-forwarded-user"), {}, False),
        (Access(header="x-forwarded-user"), {"x-forwarded-user": "ann"}, True),
    ],
)
async def test_the_connection_of_a_page(access: Access, headers: dict[str, str], let_in: bool) -> None:
    """It can do all that the page can, so that it is guarded as a change is."""
    said: list[Message] = []

    async def accept(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        said.append(message)

    named = {"host": "127.0.0.1:8280"} | headers
    scope = {
        "type": "websocket",
        "path": "/_nicegui_ws/socket.io/",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }
    await Guard(accept, access)(scope, receive, send)
    assert [message["type"] for message in said] == ["websocket.accept" if let_in else "websocket.close"]

"""Signing in to the page with the token: what a cookie is worth, how often one may try, where it leads."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from timeline.cli.serving.guard import COOKIE, LOGIN, Access, Guard
from timeline.cli.serving.login import make_login
from timeline.cli.serving.sessions import KNOWN, LASTS, MOST, WINDOW, Sessions, Tries

TOKEN = "0123456789abcdef"
HOST = "http://127.0.0.1:8280"
VIEW = "/t/cirr?key=a%20b&at=8s"


class Clock:
    """A time that tests put on."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def service(token: str = TOKEN, clock: Clock | None = None, read_only: bool = False) -> ASGIApp:
    """What the guard lets in says so; signing in is as it is."""
    clock = clock or Clock()
    sessions = Sessions(token, clock)
    login = make_login(token, sessions, Tries(clock))

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in ("/login", "/logout"):
            await login(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})

    return Guard(inside, Access(token=token, read_only=read_only), sessions)


def person(app: ASGIApp, url: str = HOST, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """Somebody's browser, which keeps cookies and follows nothing by itself."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url=url)


async def sign_in(client: httpx.AsyncClient, token: str = TOKEN, ahead: str = VIEW) -> httpx.Response:
    return await client.post(f"{LOGIN}?next={quote(ahead, safe='')}", data={"token": token})


async def test_from_a_view_to_the_form_and_back() -> None:
    async with person(service()) as client:
        sent = await client.get(VIEW)
        assert sent.status_code == 303
        assert sent.headers["location"] == f"/login?next={quote(VIEW, safe='')}"
        form = await client.get(f"{sent.headers['location']}&again=1")
        assert (form.status_code, form.headers["cache-control"]) == (200, "no-store")
        assert '<form method="post" action="/login?again=1&amp;next=' in form.text
        assert "default-src 'none'" in form.headers["content-security-policy"]
        answer = await sign_in(client)
        assert (answer.status_code, answer.headers["location"]) == (303, VIEW)
        assert (await client.get(VIEW)).text == "inside"
        assert (await client.get("/api/v1/timelines")).text == "inside"
        # Who is in is not asked again.
        assert (await client.get(sent.headers["location"])).headers["location"] == VIEW


async def test_what_the_cookie_is() -> None:
    async with person(service()) as client:
        said = (await sign_in(client)).headers["set-cookie"]
        parts = {part.strip().lower() for part in said.split(";")[1:]}
        assert parts == {"httponly", "samesite=strict", "path=/", f"max-age={LASTS}"}
        assert TOKEN not in said
        # Behind TLS the browser is to give it to nobody else: by the scheme, or by where the form was from.
        origin = {"origin": "https://127.0.0.1:8280"}
        proxied = await client.post(LOGIN, data={"token": TOKEN}, headers=origin)
        assert "; Secure" in proxied.headers["set-cookie"]
    async with person(service(), "https://127.0.0.1:8280") as client:
        assert "; Secure" in (await sign_in(client)).headers["set-cookie"]


async def test_a_wrong_token() -> None:
    async with person(service()) as client:
        for wrong in ("", "wrong", TOKEN + "x", "é"):
            answer = await sign_in(client, wrong)
            assert answer.status_code == 403
            assert '<p role="alert">That is not the token of this service.</p>' in answer.text
            assert "set-cookie" not in answer.headers
        assert (await client.get(VIEW)).status_code == 303


async def test_what_is_not_a_view_is_refused_plainly() -> None:
    async with person(service()) as client:
        for path in ("/api/v1/timelines", "/_nicegui/1/static/nicegui.js", "/_nicegui_ws/socket.io/"):
            assert (await client.get(path)).status_code == 401
        assert (await client.post("/")).status_code == 401
        with_token = {"authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/api/v1/timelines", headers=with_token)).text == "inside"


def turned(cookie: str) -> list[str]:
    """What somebody could make of a cookie without the token."""
    until, name, signature = cookie.split(".")
    return [
        f"{int(until) + 1}.{name}.{signature}",
        f"{until}.{name}x.{signature}",
        f"{until}.{name}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
        f"{until}.{name}.",
        f"{until}.{name}",
        "",
        "..",
        "é.é.é",
    ]


async def test_cookies_that_are_worth_nothing() -> None:
    clock = Clock()
    sessions = Sessions(TOKEN, clock)
    cookie = sessions.begin()
    assert [sessions.holds(other) for other in turned(cookie)] == [False] * 8
    assert sessions.holds(cookie)
    assert not Sessions("another token of 16", clock).holds(cookie)
    # Another process with the same token takes it.
    assert Sessions(TOKEN, clock).holds(cookie)
    clock.now += LASTS - 1
    assert sessions.holds(cookie)
    clock.now += 1
    assert not sessions.holds(cookie)
    async with person(service()) as client:
        for other in turned(cookie)[:5]:
            client.cookies.set(COOKIE, other)
            assert (await client.get(VIEW)).status_code == 303


async def test_signing_out_ends_it_for_whoever_has_the_cookie() -> None:
    app = service()
    async with person(app) as client, person(app) as thief, person(app) as other:
        await sign_in(client)
        await sign_in(other)
        thief.cookies = httpx.Cookies(client.cookies)
        assert (await thief.get("/")).text == "inside"
        answer = await client.post("/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert COOKIE not in client.cookies
        assert (await thief.get("/")).status_code == 303
        assert (await other.get("/")).text == "inside"


async def test_pages_of_others_sign_nobody_in_or_out() -> None:
    """Nor do they change anything in the name of who is signed in."""
    async with person(service()) as client:
        await sign_in(client)
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            for path in (LOGIN, "/logout", "/api/v1/timelines/cirr/pause"):
                answer = await client.post(path, data={"token": TOKEN}, headers=headers)
                assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        assert (await client.post("/api/v1/timelines/cirr/pause")).text == "inside"


async def test_read_only_one_signs_in_and_changes_nothing() -> None:
    async with person(service(read_only=True)) as client:
        assert (await sign_in(client)).headers["location"] == VIEW
        assert (await client.post("/api/v1/timelines/cirr/pause")).status_code == 403
        assert (await client.post("/logout")).status_code == 303


async def test_wrong_tokens_have_to_wait() -> None:
    clock = Clock()
    app = service(clock=clock)
    async with person(app) as client, person(app, address="10.0.0.7") as other:
        for _ in range(MOST):
            assert (await sign_in(client, "wrong")).status_code == 403
        clock.now += 20
        waiting = await sign_in(client)
        assert (waiting.status_code, waiting.headers["retry-after"]) == (429, "40")
        assert "try again in 40 s" in waiting.text
        assert (await sign_in(other)).status_code == 303
        clock.now += WINDOW - 20
        assert (await sign_in(client)).status_code == 303


def test_only_so_many_addresses_are_remembered() -> None:
    tries = Tries(Clock())
    for number in range(KNOWN + 1):
        for _ in range(MOST):
            tries.failed(str(number))
    assert [tries.wait(str(number)) for number in (0, 1, KNOWN)] == [0, WINDOW, WINDOW]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\t/evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "t/cirr",
        "/a\r\nset-cookie: a=b",
        "/login?next=/login",
        "/" + 9_000 * "a",
        "",
    ],
)
async def test_one_goes_on_to_our_own_views_only(elsewhere: str) -> None:
    async with person(service()) as client:
        assert (await sign_in(client, ahead=elsewhere)).headers["location"] == "/"
        assert (await client.get(LOGIN, params={"next": elsewhere})).headers["location"] == "/"


async def test_a_form_of_a_megabyte_is_read_only_so_far() -> None:
    async with person(service()) as client:
        body = b"a=&" * 300_000 + f"token={TOKEN}".encode()
        assert (await client.post(LOGIN, content=body)).status_code == 403


async def test_a_connection_ends_with_its_sign_in() -> None:
    """The page's own connection lasts as long as its tab: longer than it may."""
    clock = Clock()
    sessions = Sessions(TOKEN, clock)
    cookie = f"{COOKIE}={sessions.begin()}"
    said: list[Message] = []
    heard: list[Message] = []

    async def talking(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        heard.append(await receive())
        clock.now += LASTS
        await send({"type": "websocket.send", "text": "what only they may see"})
        await send({"type": "websocket.send", "text": "and more"})
        heard.append(await receive())

    async def receive() -> Message:
        return {"type": "websocket.receive", "text": "pressed"}

    async def send(message: Message) -> None:
        said.append(message)

    async def connect(**headers: str) -> None:
        named = {"host": "127.0.0.1:8280"} | headers
        scope = {
            "type": "websocket",
            "path": "/_nicegui_ws/socket.io/",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        await Guard(talking, Access(token=TOKEN), sessions)(scope, receive, send)

    await connect(cookie=cookie)
    assert [message["type"] for message in said] == ["websocket.accept", "websocket.close"]
    assert [message["type"] for message in heard] == ["websocket.receive", "websocket.disconnect"]
    said.clear()
    await connect(cookie=cookie)
    await connect()
    assert [message["type"] for message in said] == ["websocket.close", "websocket.close"]

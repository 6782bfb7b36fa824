"""The page behind a token in a real browser: in, out, and nothing without."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from feeder.files.feed import feed_files
from tests.support.browser import Browser, needs_browser
from tests.support.cli import Cli
from tests.support.http import ask
from tests.support.places import ROOT
from timeline.cli.serving.guard import COOKIE
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.server import DevServer
from workflows.worker import make_worker

pytestmark = needs_browser
TOKEN = "0123456789abcdef"
VIEW = "/t/cirr?key=reference&at=9s"
SHOWN = "reference at 9000 ms: 2  (position 1.3, not final)"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[str]:
    """The address of the page behind a token, with a timeline."""
    async with DevServer(tmp_path / "dev.db") as server:
        temporal = await connect_embedded(server.address)
        async with make_worker(temporal):
            client, cli = Client(temporal), Cli(server.address, tmp_path)
            path = ROOT / "examples" / "cirr.toml"
            known = await client.register(path)
            await feed_files(client, known.spec, [path.with_suffix(".jsonl")])
            (tmp_path / "token").write_text(f"{TOKEN}\n")
            _, url = await asyncio.to_thread(cli.page, "--token-file=token")
            yield url


def give(browser: Browser, token: str) -> None:
    """Writes a token into the form, and sends it."""
    browser.until(lambda: browser.driver.find_element(By.ID, "token"))
    browser.driver.find_element(By.ID, "token").send_keys(token, Keys.ENTER)


def upgraded(url: str, **headers: str) -> int:
    """With which status the page's own connection is answered."""
    place = urlsplit(url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port)
    wanted = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    wanted |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": url, **headers}
    connection.request("GET", "/_nicegui_ws/socket.io/?EIO=4&transport=websocket", headers=wanted)
    answer = connection.getresponse()
    connection.close()
    return answer.status


@contextmanager
def another_site(link: str) -> Iterator[str]:
    """A page of another site with a link."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(f'<a href="{link}">there</a>'.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    serving.join()
    server.server_close()


async def test_with_the_token_one_gets_where_one_wanted(served: str, browser: Browser) -> None:
    def look() -> None:
        browser.driver.get(f"{served}{VIEW}")
        give(browser, "wrong-but-long-enough")
        browser.reads("That is not the token of this service.")
        assert SHOWN not in browser.text()
        give(browser, TOKEN)
        browser.reads(SHOWN)
        assert browser.driver.current_url.startswith(f"{served}{VIEW[: VIEW.index('&')]}")
        assert browser.asked() == {served}
        # No script of the page sees the cookie.
        assert browser.run("return document.cookie") == ""
        [cookie] = [one for one in browser.driver.get_cookies() if one["name"] == COOKIE]
        assert (cookie["httpOnly"], cookie["sameSite"], TOKEN in cookie["value"]) == (True, "Strict", False)
        # What is to be copied gives the token, which the page does not know.
        browser.driver.get(f"{served}/t/cirr/all?agg=count")
        browser.reads(f'curl -H "Authorization: Bearer $TIMELINE_TOKEN" "{served}/api/v1/')
        # A link of another site leads where it says, though the browser keeps the cookie back at first.
        with another_site(f"{served}{VIEW}") as elsewhere:
            browser.driver.get(elsewhere)
            browser.driver.find_element(By.LINK_TEXT, "there").click()
            browser.reads(SHOWN)

    await asyncio.to_thread(look)


async def test_who_signs_out_is_out_everywhere(served: str, browser: Browser) -> None:
    def look() -> None:
        browser.driver.get(f"{served}{VIEW}")
        give(browser, TOKEN)
        browser.reads(SHOWN)
        first = browser.driver.current_window_handle
        browser.driver.switch_to.new_window("tab")
        browser.driver.get(f"{served}/")
        browser.reads("cirr")
        [cookie] = [one for one in browser.driver.get_cookies() if one["name"] == COOKIE]
        assert upgraded(served, Cookie=f"{COOKIE}={cookie['value']}") == 101
        assert browser.errors() == []
        browser.press("Sign out")
        browser.reads("Sign in")
        assert browser.driver.current_url == f"{served}/login"
        # The other tab had its own connection: that ends too, and it is asked to sign in.
        browser.driver.switch_to.window(first)
        browser.reads("Sign in")
        assert upgraded(served, Cookie=f"{COOKIE}={cookie['value']}") == 403
        assert ask(served, Cookie=f"{COOKIE}={cookie['value']}").body.count(b"<form") == 0

    await asyncio.to_thread(look)


async def test_without_the_token_there_is_nothing(served: str, browser: Browser) -> None:
    def look() -> None:
        for path in ("/", "/new", VIEW):
            browser.driver.get(f"{served}{path}")
            browser.reads("Sign in")
            assert "cirr" not in browser.text()
        for headers in ({}, {"Cookie": f"{COOKIE}=9999999999.name.{64 * '0'}"}):
            assert upgraded(served, **headers) == 403
        browser.driver.get(f"{served}/api/v1/timelines")
        browser.reads("give the token: Authorization: Bearer TOKEN")
        headers = {"Authorization": "Bearer wrong-but-long-enough"}
        browser.driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": headers})
        browser.driver.get(f"{served}/api/v1/timelines?of=somebody")
        browser.reads("give the token: Authorization: Bearer TOKEN")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        browser.driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": headers})
        browser.driver.get(f"{served}/api/v1/timelines")
        browser.reads('{"timelines":[{"name":"cirr"')

    await asyncio.to_thread(look)

"""The page in a real browser: lanes under the cursor, questions over all keys, nothing from elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from feeder.files.feed import feed_files
from tests.support.cli import Cli, stop, wait_for_line
from tests.support.places import ROOT
from tests.support.servers import make_server
from tests.support.timelines import write
from timeline.spec.loading import load_spec
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.worker import make_worker

T = TypeVar("T")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs Debian's chromium and chromium-driver"
)
#: Seconds that a page may take on a busy machine.
PATIENCE = 120


class Browser:
    """A headless Chromium, and what a person does with it."""

    def __init__(self) -> None:
        assert CHROMIUM is not None
        assert DRIVER is not None
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--window-size=1200,2000",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        #: The driver of Selenium's.
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))

    def until(self, found: Callable[[], T]) -> T:
        """What is found, once it is true."""
        ignored = [Exception]
        return WebDriverWait(self.driver, PATIENCE, ignored_exceptions=ignored).until(lambda _: found())

    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def reads(self, text: str) -> None:
        """Waits until the page says something."""
        self.until(lambda: text in self.text())

    def field(self, label: str) -> Any:
        return self.until(lambda: self.driver.find_element(By.CSS_SELECTOR, f'input[aria-label="{label}"]'))

    def press(self, label: str) -> None:
        buttons = self.driver.find_elements(By.TAG_NAME, "button")
        next(button for button in buttons if button.text.upper() == label.upper()).click()

    def rows(self) -> list[list[str]]:
        """The rows of the first table of the page, all at one moment: it changes while it is looked at."""
        found: list[list[str]] = self.driver.execute_script(
            "return [...document.querySelector('.q-table').querySelectorAll('tbody tr')]"
            ".map(row => [...row.querySelectorAll('td')].map(cell => cell.innerText.trim()))"
        )
        return found

    def shows(self, rows: list[list[str]], columns: slice = slice(None)) -> None:
        """Waits until the first table shows some columns so."""
        self.until(lambda: [row[columns] for row in self.rows()] == rows)

    def _log(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return found

    def errors(self) -> list[Any]:
        """What the console says that is wrong."""
        return [entry for entry in self._log("browser") if entry["level"] == "SEVERE"]

    def asked(self) -> set[str]:
        """The beginnings of all addresses that were asked."""
        found = set()
        for entry in self._log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.add("/".join(message["params"]["request"]["url"].split("/")[:3]))
        return {url for url in found if url.startswith(("http", "ws"))}


@pytest.fixture
def browser() -> Iterator[Browser]:
    opened = Browser()
    yield opened
    opened.driver.quit()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Client, str]]:
    """Two timelines, registered and fed, and the address of the page."""
    async with make_server(tmp_path / "dev.db") as server:
        temporal = await connect_embedded(server.address)
        async with make_worker(temporal):
            client = Client(temporal)
            for name in ("cirr", "rebuffering-by-cdn"):
                path = ROOT / "examples" / f"{name}.toml"
                await client.register(path)
                await feed_files(client, load_spec(path), [path.with_suffix(".jsonl")])
            process = Cli(server.address, tmp_path).start("serve", "--port=0")
            said = await asyncio.to_thread(wait_for_line, process, "Serving ")
            yield client, said.split()[1].removesuffix("/api/v1,")
            assert await asyncio.to_thread(stop, process, signal.SIGTERM) == 0


@contextlib.contextmanager
def nothing_wrong(browser: Browser, url: str) -> Iterator[None]:
    """No error in the console, and no request to anywhere else."""
    browser.driver.get(url)
    yield
    assert browser.errors() == []
    assert browser.asked() == {"/".join(url.split("/")[:3])}


async def test_all_timelines(served: tuple[Client, str], browser: Browser) -> None:
    client, url = served

    def look() -> None:
        with nothing_wrong(browser, f"{url}/"):
            browser.reads("rebuffering-by-cdn")
            browser.shows([["running", "1", "3"], ["running", "3", "12"]], slice(2, 5))

    await asyncio.to_thread(look)
    await client.pause("cirr")
    await asyncio.to_thread(browser.reads, "paused")


async def test_the_lanes_under_the_cursor(
    served: tuple[Client, str], browser: Browser, tmp_path: Path
) -> None:
    client, url = served

    def look() -> None:
        for at, value in ((7, 0), (8, 1), (9, 2), (10, 3)):
            with nothing_wrong(browser, f"{url}/t/cirr?key=reference&at={at}s"):
                browser.reads(f"reference at {at}000 ms: {value}  (position 1.3, not final)")
                values = [str(value), "true", "true", "buffer", "true", "false", "true"]
                browser.shows([[one] for one in values], slice(1, 2))
        assert "duration_where(…)" in browser.driver.find_element(By.CSS_SELECTOR, "svg[id]").text
        exact = browser.field("Cursor at")
        exact.send_keys("8s", Keys.ENTER)
        browser.reads("reference at 8000 ms: 1  (position 1.3, not final)")
        # By the keyboard, from 8 s on: the newest moment is 10 s.
        browser.driver.find_element(By.CSS_SELECTOR, ".q-slider [tabindex='0']").send_keys(Keys.ARROW_RIGHT)
        browser.until(lambda: "reference at 80" in browser.text() and "at 8000 ms" not in browser.text())

    await asyncio.to_thread(look)
    more = write(tmp_path / "more.jsonl", [("reference", 20_000, "pause")])
    await feed_files(client, load_spec(ROOT / "examples" / "cirr.toml"), [more])
    # Looked at, it goes on by itself.
    await asyncio.to_thread(browser.until, lambda: "(position 2." in browser.text())


async def test_all_keys(served: tuple[Client, str], browser: Browser) -> None:
    _, url = served

    def look() -> None:
        with nothing_wrong(browser, f"{url}/t/rebuffering-by-cdn"):
            browser.field("Columns").send_keys(", sum(rebuffering)")
            browser.field("Group by").send_keys("cdn")
            browser.field("At").send_keys("10s")
            browser.press("Ask")
            browser.reads("3 keys; positions 1.12")
            browser.shows([["10000", "C1", "1", "0"], ["10000", "C2", "2", "9"]])
            command = "--all --agg 'count, sum(rebuffering)' --group-by cdn --at 10s"
            assert f"timeline query rebuffering-by-cdn {command}" in browser.text()
            browser.field("Where").send_keys("rebufering > 0")
            browser.press("Ask")
            browser.reads("did you mean rebuffering?")

    await asyncio.to_thread(look)


async def test_what_is_not_there(served: tuple[Client, str], browser: Browser) -> None:
    _, url = served

    def look() -> None:
        browser.driver.get(f"{url}/t/cir")
        browser.reads("no timeline 'cir' is registered; did you mean 'cirr'?")
        browser.driver.get(f"{url}/t/cirr?key=referenc")
        browser.reads("did you mean 'reference'?")
        browser.driver.get(f"{url}/t/cirr?key=reference&at=soon")
        browser.reads("not a time: 'soon'")

    await asyncio.to_thread(look)

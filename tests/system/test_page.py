"""The page in a real browser: lanes under the cursor, questions over all keys, nothing from elsewhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from feeder.files.feed import feed_files
from tests.support.browser import Browser, needs_browser, nothing_wrong
from tests.support.cli import Cli, stop
from tests.support.places import ROOT
from tests.support.servers import make_server
from tests.support.timelines import write
from timeline.spec.loading import load_spec
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.worker import make_worker

pytestmark = needs_browser
CIRR = ROOT / "examples" / "cirr.toml"
#: A browser without a screen shows all its tabs: that one is behind another has to be said.
HIDDEN = """
const hidden = arguments[0];
Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
document.dispatchEvent(new Event("visibilitychange"));
"""


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
            process, url = await asyncio.to_thread(Cli(server.address, tmp_path).page)
            yield client, url
            assert await asyncio.to_thread(stop, process, signal.SIGTERM) == 0


def graph_shows(browser: Browser, values: list[str]) -> bool:
    """Whether the nodes of the graph have these values, in whatever order."""
    texts = browser.run("return [...document.querySelectorAll('svg .node b')].map(b => b.textContent)")
    return sorted(map(str, texts)) == sorted(values)


async def test_all_timelines(served: tuple[Client, str], browser: Browser) -> None:
    client, url = served

    def look() -> None:
        with nothing_wrong(browser, f"{url}/"):
            browser.reads("rebuffering-by-cdn")
            browser.shows([["running", "1", "3"], ["running", "3", "12"]], slice(2, 5))
            browser.shows([["4000 ms", "0", "0"], ["14000 ms", "0", "0"]], slice(8, 11))

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
                browser.until(partial(graph_shows, browser, values))
        browser.fill("Cursor at", "8s", Keys.ENTER)
        browser.reads("reference at 8000 ms: 1  (position 1.3, not final)")
        assert browser.driver.current_url.endswith("/t/cirr?key=reference&at=8000")
        # By the keyboard, from 8 s on: the newest moment is 10 s.
        browser.driver.find_element(By.CSS_SELECTOR, ".q-slider [tabindex='0']").send_keys(Keys.ARROW_RIGHT)
        browser.until(lambda: "reference at 80" in browser.text() and "at 8000 ms" not in browser.text())

    await asyncio.to_thread(look)
    more = write(tmp_path / "more.jsonl", [("reference", 20_000, "pause")])
    await feed_files(client, load_spec(CIRR), [more])
    # Looked at, it goes on by itself.
    await asyncio.to_thread(browser.until, lambda: "(position 2." in browser.text())


async def test_a_tab_behind_another_asks_nothing(
    served: tuple[Client, str], browser: Browser, tmp_path: Path
) -> None:
    client, url = served
    here = f"{url}/t/cirr?key=reference"
    tabs: list[str] = []

    def hidden() -> None:
        browser.driver.get(here)
        browser.reads("(position 1.3")
        browser.run(HIDDEN, True)
        tabs.append(browser.driver.current_window_handle)

    def others() -> None:
        # Long enough for the first tab to have heard of it, if it asked.
        browser.driver.switch_to.new_window("tab")
        browser.driver.get(here)
        browser.reads("(position 2.1")
        tabs.append(browser.driver.current_window_handle)

    def again() -> None:
        browser.reads("(position 3.1")
        browser.driver.switch_to.window(tabs[0])
        assert "(position 1.3" in browser.text()
        browser.run(HIDDEN, False)
        browser.reads("(position 3.1")

    await asyncio.to_thread(hidden)
    spec = load_spec(CIRR)
    await feed_files(client, spec, [write(tmp_path / "a.jsonl", [("reference", 20_000, "pause")])])
    await asyncio.to_thread(others)
    await feed_files(client, spec, [write(tmp_path / "b.jsonl", [("reference", 30_000, "play")])])
    await asyncio.to_thread(again)


async def test_keys_by_name_and_by_value(served: tuple[Client, str], browser: Browser) -> None:
    _, url = served

    def look() -> None:
        with nothing_wrong(browser, f"{url}/t/rebuffering-by-cdn"):
            browser.reads("3 keys; those with the newest events")
            browser.choose("Keys by", "largest rebuffering")
            browser.reads("s2: 8")
            assert browser.text().index("s2: 8") < browser.text().index("s1: 4")
            browser.field("Key").send_keys("S3")
            browser.reads("1 of 3 keys have 'S3' in their name")
            browser.driver.find_element(By.LINK_TEXT, "s3").click()
            browser.reads("s3 at ")
            assert browser.driver.current_url == f"{url}/t/rebuffering-by-cdn?key=s3"

    await asyncio.to_thread(look)


async def test_all_keys(served: tuple[Client, str], browser: Browser, tmp_path: Path) -> None:
    client, url = served

    def look() -> None:
        with nothing_wrong(browser, f"{url}/t/rebuffering-by-cdn/all"):
            browser.field("Columns").send_keys(", sum(rebuffering)")
            browser.field("Group by").send_keys("cdn")
            browser.field("At").send_keys("10s")
            browser.press("Ask")
            browser.reads("3 keys; positions 1.12")
            browser.shows([["10000", "C1", "1", "0"], ["10000", "C2", "2", "9"]])
            command = "--all --agg 'count, sum(rebuffering)' --group-by cdn --at 10s"
            assert f"timeline query rebuffering-by-cdn {command}" in browser.text()
            query = "agg=count%2C+sum%28rebuffering%29&at=10s&group_by=cdn"
            assert f"{url}/api/v1/timelines/rebuffering-by-cdn/aggregate?{query}" in browser.text()
            browser.field("Where").send_keys("rebufering > 0")
            browser.press("Ask")
            browser.reads("did you mean rebuffering?")

    def bars() -> object:
        """What the chart shows of each group."""
        chart = "getElement(+document.querySelector('.nicegui-echart').id.slice(1)).chart.getOption()"
        return browser.run(f"const o = {chart}; return [o.yAxis[0].data, o.series[0].data]")

    def live() -> None:
        # An address that says all of it.
        browser.driver.get(f"{url}/t/rebuffering-by-cdn/all?agg=count&group_by=cdn")
        browser.until(lambda: bars() == [["C1", "C2"], [1, 2]])

    await asyncio.to_thread(look)
    await asyncio.to_thread(live)
    rows = [{"session": f"n{i}", "time": 20_000, "cdn": "C3"} for i in range(5)]
    more = tmp_path / "more.jsonl"
    more.write_text("".join(f"{row}\n".replace("'", '"') for row in rows))
    spec = load_spec(ROOT / "examples" / "rebuffering-by-cdn.toml")
    await feed_files(client, spec, [more])
    # Looked at, it goes on by itself.
    await asyncio.to_thread(browser.until, lambda: bars() == [["C1", "C2", "C3"], [1, 2, 5]])


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

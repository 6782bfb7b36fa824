"""The lives of a key on the page, in a real browser, and the intervals of a node in them."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from feeder.files.feed import feed_files
from tests.support.browser import Browser, needs_browser, nothing_wrong
from tests.support.cli import Cli, stop
from tests.support.http import ask
from tests.support.places import ROOT
from tests.support.servers import make_server
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.worker import make_worker

pytestmark = needs_browser
NAME = "sessions-per-user"
DAY = 1_772_409_600_000
FIRST = "1 of 3: 2026-03-02 08:00:00Z to 2026-03-02 08:04:00Z, closed"
#: The first session is over 30 minutes after its last event.
BOUNDS = (DAY + 8 * 3_600_000, DAY + 8 * 3_600_000 + 34 * 60_000)
INTERVALS = [
    ["home", "2026-03-02 08:00:00Z", "2026-03-02 08:01:00Z", "60", ""],
    ["item", "2026-03-02 08:01:00Z", "2026-03-02 08:04:00Z", "180", ""],
    ["bought", "2026-03-02 08:04:00Z", "2026-03-02 08:34:00Z", "1800", ""],
]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Client, Cli, str]]:
    """A timeline whose keys have several lives, the command line, and the page's address."""
    async with make_server(tmp_path / "dev.db") as server:
        temporal = await connect_embedded(server.address)
        async with make_worker(temporal):
            client, cli = Client(temporal), Cli(server.address, tmp_path)
            path = ROOT / "examples" / f"{NAME}.toml"
            known = await client.register(path)
            await feed_files(client, known.spec, [path.with_suffix(".jsonl")])
            process, url = await asyncio.to_thread(cli.page)
            yield client, cli, url
            assert await asyncio.to_thread(stop, process, signal.SIGTERM) == 0


def said(browser: Browser, start: str) -> str:
    """The line to copy that begins so."""
    texts = [one.text for one in browser.driver.find_elements(By.CSS_SELECTOR, ".tl-copy .tl-mono")]
    return next(text for text in texts if text.startswith(start))


async def test_a_life_is_chosen(served: tuple[Client, Cli, str], browser: Browser, tmp_path: Path) -> None:
    client, cli, url = served
    here: list[str] = []

    def choose() -> None:
        with nothing_wrong(browser, f"{url}/t/{NAME}?key=ann"):
            browser.until(lambda: browser.field("Life").get_attribute("value").startswith("3 of 3: "))
            browser.reads("ann at 2026-03-02 19:3")
            browser.choose("Life", FIRST)
            browser.reads("ann at 2026-03-02 08:04:00Z: ")
            browser.reads("final)")
            # Of bought, spent and page, and of the nodes below.
            browser.until(lambda: [row[1] for row in browser.rows()][:2] == ["1", "180"])
            browser.until(lambda: "&at=" in browser.driver.current_url)
            here.append(browser.driver.current_url)

    def shared() -> None:
        # The moment says which life it is.
        assert here == [f"{url}/t/{NAME}?key=ann&at={BOUNDS[0] + 240_000}"]
        browser.driver.get(here[0])
        browser.until(lambda: browser.field("Life").get_attribute("value") == FIRST)
        browser.reads("ann at 2026-03-02 08:04:00Z: ")
        browser.driver.find_element(By.XPATH, "//*[text()='Intervals of a node']").click()
        browser.reads("3 intervals")
        browser.shows(INTERVALS, table=1)

    def same() -> None:
        command = said(browser, "timeline intervals")
        assert command == f"timeline intervals {NAME} ann --node page --from {BOUNDS[0]} --to {BOUNDS[1]}"
        printed = cli.good(*command.split()[1:], "--format=csv").splitlines()
        assert [line.split(",")[1] for line in printed] == ["value", "home", "item", "bought"]
        found = re.fullmatch('curl "(.*)"', said(browser, "curl"))
        assert found is not None
        assert [(one["value"], one["seconds"]) for one in ask(found[1]).json["intervals"]] == [
            ("home", 60),
            ("item", 180),
            ("bought", 1_800),
        ]
        assert "&node=page" in browser.driver.current_url
        # An address with a node has its intervals open.
        browser.driver.get(browser.driver.current_url)
        browser.shows(INTERVALS, table=1)

    def newest() -> None:
        browser.driver.get(f"{url}/t/{NAME}?key=ann&node=page")
        browser.reads("2 intervals")
        # Another key's events have closed it: what it was last it is up to its end.
        browser.shows([["90", ""], ["1800", ""]], slice(3, 5), table=1)
        assert said(browser, "timeline intervals").endswith(f"--from {DAY + (19 * 60 + 30) * 60_000}")

    def next_one() -> None:
        browser.until(lambda: browser.field("Life").get_attribute("value").startswith("4 of 4: "))
        browser.reads("1 intervals")

    for step in (choose, shared, same, newest):
        await asyncio.to_thread(step)
    more = tmp_path / "more.jsonl"
    more.write_text('{"time": "2026-03-03T08:00:00Z", "user": "ann", "page": "home"}\n')
    await feed_files(client, (await client.timeline(NAME)).spec, [more])
    # Who looks at the newest sees the next begin.
    await asyncio.to_thread(next_one)


async def test_a_key_of_one_life_has_no_choice(served: tuple[Client, Cli, str], browser: Browser) -> None:
    client, _, url = served
    path = ROOT / "examples" / "cirr.toml"
    known = await client.register(path)
    await feed_files(client, known.spec, [path.with_suffix(".jsonl")])

    def look() -> None:
        with nothing_wrong(browser, f"{url}/t/cirr?key=reference&node={'x' * 300}"):
            browser.reads("reference at ")
            assert browser.driver.find_elements(By.CSS_SELECTOR, "input[aria-label=Life]") == []
            browser.driver.find_element(By.XPATH, "//*[text()='Intervals of a node']").click()
            browser.reads(" intervals")
            # The first that is a State or a Bool: the result is a number.
            assert said(browser, "timeline intervals").startswith(
                "timeline intervals cirr reference --node '"
            )

    await asyncio.to_thread(look)

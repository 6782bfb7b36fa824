"""The page's editor in a real browser: a mistake, its suggestion, a dry run, what changes, and the deed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from feeder.files.feed import feed_files
from tests.support.browser import Browser, needs_browser, nothing_wrong
from tests.support.cli import Cli
from tests.support.places import ROOT
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.server import DevServer
from workflows.worker import make_worker

pytestmark = needs_browser
EVENTS = ROOT / "examples" / "cirr.jsonl"
#: As it is typed: the editor closes brackets and quotes itself, and is typed over them.
WRONG = (
    'duration_were(has_existed(playerStateChange == "play") && '
    '!has_existed_within(playerStateChange == "seek", 5s) && '
    'latest_event_to_state(playerStateChange) == "buffer")'
)


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[tuple[Client, Cli]]:
    """A server without timelines, and a worker."""
    async with DevServer(tmp_path / "dev.db") as server:
        temporal = await connect_embedded(server.address)
        async with make_worker(temporal):
            yield Client(temporal), Cli(server.address, tmp_path)


async def serve(cli: Cli, *options: str) -> str:
    """The address of the page."""
    return (await asyncio.to_thread(cli.page, *options))[1]


def editor(browser: Browser) -> None:
    """Puts the cursor into the expression, once its colours are there."""
    browser.until(lambda: browser.driver.find_element(By.CSS_SELECTOR, ".cm-content[aria-label]"))
    browser.driver.find_element(By.CSS_SELECTOR, ".cm-content").click()


def write(browser: Browser, text: str) -> None:
    """Types into what has the cursor."""
    browser.driver.switch_to.active_element.send_keys(text)


def enter(browser: Browser) -> bool:
    """Presses Enter; what that does is seen later."""
    write(browser, Keys.ENTER)
    return False


def marked(browser: Browser) -> list[str]:
    """What is underlined in the editor."""
    return [str(one.text) for one in browser.driver.find_elements(By.CSS_SELECTOR, ".tl-wrong, .tl-doubt")]


def written(browser: Browser) -> str:
    return str(browser.driver.find_element(By.CSS_SELECTOR, ".cm-content").text)


async def test_from_a_mistake_to_a_timeline(alone: tuple[Client, Cli], browser: Browser) -> None:
    client, cli = alone
    url = await serve(cli)

    def write_it() -> None:
        browser.driver.get(f"{url}/")
        browser.driver.find_element(By.LINK_TEXT, "New").click()
        browser.fill("Name", "cirr")
        browser.fill("Key column", "session")
        editor(browser)
        write(browser, WRONG)
        browser.reads("unknown operator duration_were")
        browser.until(lambda: marked(browser) == ["duration_were"])
        browser.press("Take duration_where(...)")
        browser.until(lambda: written(browser).startswith("duration_where(") and not marked(browser))
        browser.reads("7 nodes in 5 workflows a stream")
        browser.until(lambda: len(browser.driver.find_elements(By.CSS_SELECTOR, "svg .node")) == 7)

    def try_it() -> None:
        events = browser.driver.find_element(By.CSS_SELECTOR, 'textarea[aria-label="Events"]')
        events.send_keys(EVENTS.read_text())
        browser.press("Dry run")
        browser.reads("reference at 10000 ms: 3  (dry run)")
        browser.fill("Cursor at", "8s", Keys.ENTER)
        browser.reads("reference at 8000 ms: 1  (dry run)")

    def deploy() -> None:
        browser.press("What would change?")
        browser.reads('new    has_existed(playerStateChange == "play")')
        browser.press("Deploy")
        browser.until(lambda: browser.driver.current_url == f"{url}/t/cirr")

    def see() -> None:
        with nothing_wrong(browser, f"{url}/t/cirr?key=reference&at=10s"):
            browser.reads("reference at 10000 ms: 3  (position 1.3, not final)")

    await asyncio.to_thread(write_it)
    await asyncio.to_thread(try_it)
    assert await client.timelines() == {}
    await asyncio.to_thread(deploy)
    assert browser.errors() == []
    known = (await client.timelines())["cirr"]
    assert (known.spec.source.key, len(known.spec.plan.nodes)) == ("session", 7)
    await feed_files(client, known.spec, [EVENTS])
    await asyncio.to_thread(see)


async def test_completion_and_doubts(alone: tuple[Client, Cli], browser: Browser, tmp_path: Path) -> None:
    """Operators and columns are completed; a column that no event carries is underlined, and mended."""
    _, cli = alone
    url = await serve(cli)
    csv = tmp_path / "events.csv"
    csv.write_text("key,time,state,delay\na,1,play,3\na,2,seek,4\n")

    def take(label: str, then: str) -> None:
        """Takes the first completion, which is this one."""
        offered = (By.CSS_SELECTOR, ".cm-tooltip-autocomplete li[aria-selected]")
        browser.until(lambda: browser.driver.find_element(*offered).text.startswith(label))
        browser.until(lambda: written(browser) == then or enter(browser))

    def look() -> None:
        with nothing_wrong(browser, f"{url}/new"):
            file = (By.CSS_SELECTOR, "input[type=file]")
            browser.until(lambda: browser.driver.find_element(*file)).send_keys(str(csv))
            browser.reads("events.csv: columns key, time, state, delay")
            editor(browser)
            write(browser, "latest")
            take("latest_event_to_state", "latest_event_to_state()")
            write(browser, "del")
            take("delay", "latest_event_to_state(delay)")
            browser.press("Dry run")
            browser.reads("a at 1002 ms: 4  (dry run)")
            editor(browser)
            write(browser, Keys.CONTROL + "a")
            write(browser, "count(dely > 3)")
            browser.reads("no event carries the column dely (2 events looked at); did you mean delay?")
            browser.until(lambda: marked(browser) == ["dely"])
            browser.press("Take delay")
            browser.until(lambda: written(browser) == "count(delay > 3)" and not marked(browser))
            browser.press("Dry run")
            browser.reads("a at 1002 ms: 1  (dry run)")

    await asyncio.to_thread(look)


async def test_a_change_is_looked_at_first(alone: tuple[Client, Cli], browser: Browser) -> None:
    client, cli = alone
    await client.register(ROOT / "examples" / "rebuffering-by-cdn.toml")
    url = await serve(cli)

    def look() -> None:
        browser.driver.get(f"{url}/t/rebuffering-by-cdn/change")
        browser.until(lambda: browser.driver.find_elements(By.CSS_SELECTOR, ".cm-content")[2])
        browser.press("What would change?")
        browser.reads("Nothing: it runs so already, as version 1.")
        browser.driver.find_elements(By.CSS_SELECTOR, 'button[aria-label="Remove this output"]')[2].click()
        browser.until(lambda: "Nothing: it runs" not in browser.text())
        browser.press("What would change?")
        browser.reads("Version 1 is replaced.")
        browser.reads("stays  latest_event_to_state(cdn)")
        browser.reads('goes   latest_event_to_state(cdn) == "C1"')
        browser.press("Deploy")
        browser.until(lambda: browser.driver.current_url == f"{url}/t/rebuffering-by-cdn")

    await asyncio.to_thread(look)
    known = await client.timeline("rebuffering-by-cdn")
    assert (known.version, list(known.outputs)) == (2, ["cdn", "rebuffering"])
    # What has no field of its own is as it was.
    assert known.spec.limits == (await client.versions("rebuffering-by-cdn"))[0].spec.limits


async def test_read_only_has_none_of_it(alone: tuple[Client, Cli], browser: Browser) -> None:
    client, cli = alone
    await client.register(ROOT / "examples" / "cirr.toml")
    url = await serve(cli, "--read-only")

    def look() -> None:
        browser.driver.get(f"{url}/t/cirr/operations")
        browser.reads("running")
        assert [a.text for a in browser.driver.find_elements(By.CSS_SELECTOR, ".tl-tabs a, header a")] == [
            "Timeline",
            "A key",
            "All keys",
            "Operations",
        ]
        assert "Pause" not in browser.text()
        assert "Remove" not in browser.text()
        for path in ("/new", "/t/cirr/change"):
            browser.driver.get(f"{url}{path}")
            browser.reads("404")

    await asyncio.to_thread(look)


async def test_removing_needs_its_name(alone: tuple[Client, Cli], browser: Browser) -> None:
    client, cli = alone
    for name, least in (("often", 1), ("more-often", 2)):
        wire = {
            "name": name,
            "expression": f'count(state == "buffer") > {least}',
            "source": {"key": "session", "name": "plays"},
        }
        # So that the two share a workflow.
        await client.register(Spec.from_wire(wire).by_policy("operator"))
    url = await serve(cli)

    def look() -> None:
        with nothing_wrong(browser, f"{url}/t/often/operations"):
            opening = "//*[text()='Remove this timeline']"
            browser.until(lambda: browser.driver.find_element(By.XPATH, opening)).click()
            browser.reads('goes   count(state == "buffer") > 1')
            browser.reads('stays  count(state == "buffer")  (of more-often too)')
            browser.reads("stays  the files that were fed")
            for text in ("", "ofte", "often "):
                browser.fill("Type often to remove it", text)
                browser.until(lambda: not browser.button("Remove").is_enabled())
            browser.fill("Type often to remove it", "often")
            browser.press("Remove")
            browser.until(lambda: browser.driver.current_url == f"{url}/")
            browser.reads("more-often")

    await asyncio.to_thread(look)
    assert list(await client.timelines()) == ["more-often"]

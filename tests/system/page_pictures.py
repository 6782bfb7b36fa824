"""``python -m tests.system.page_pictures``: the pictures of docs/page.md: examples, and a live timeline.

Needs Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from selenium.webdriver.common.by import By

from feeder.files.feed import feed_files
from tests.support.browser import Browser
from tests.support.cli import Cli, stop
from tests.support.places import ROOT
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.server import DevServer
from workflows.worker import make_worker

FOLDER = ROOT / "docs" / "pictures"
EXAMPLES = ("cirr", "credit-card", "logins", "rebuffering-by-cdn")
WRONG = (
    'duration_where(\n  has_existed(state == "play")\n  && !has_existed_witin(state == "seek", 5s)\n'
    '  && latest_event_to_state(state) == "buffer")'
)
OUTPUTS = {
    "cdn": "latest_event_to_state(cdn)",
    "state": "latest_event_to_state(state)",
    "rebuffering": WRONG.replace("witin", "within"),
    "waits": "count_rises(@state == 'buffer')",
}
EVENTS = "".join(
    f'{{"session": "a", "time": {at}, "state": "{state}"}}\n'
    for at, state in ((1_000, "play"), (2_000, "seek"), (4_000, "buffer"), (9_000, "play"))
)
VIEWERS = 40


async def main() -> None:
    """Draws each view, wide or narrow, light or dark."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with DevServer(folder / "dev.db") as server:
            temporal = await connect_embedded(server.address)
            async with make_worker(temporal):
                client = Client(temporal)
                for example in EXAMPLES:
                    path = ROOT / "examples" / f"{example}.toml"
                    known = await client.register(path)
                    await feed_files(client, known.spec, [path.with_suffix(".jsonl")])
                going = asyncio.create_task(_live(client, folder))
                cli = Cli(server.address, folder)
                service, url = await asyncio.to_thread(cli.page, "--temporal-ui=http://127.0.0.1:8233")
                browser = await asyncio.to_thread(Browser)
                try:
                    await asyncio.to_thread(_draw, browser, url)
                finally:
                    browser.driver.quit()
                    going.cancel()
                    await asyncio.gather(going, return_exceptions=True)
                    await asyncio.to_thread(stop, service, signal.SIGTERM)


async def _live(client: Client, folder: Path) -> None:
    """A timeline of viewers who do something all the time."""
    about = {"description": "Which CDN keeps viewers waiting, while they watch", "outputs": OUTPUTS}
    spec = Spec.from_wire({"name": "viewers", **about, "source": {"key": "session"}}).by_policy("operator")
    await client.register(spec)
    chance, number = random.Random(7), 0
    while True:
        now = int(time.time() * 1_000)
        rows = [
            {"session": f"viewer-{chance.randrange(VIEWERS):02}", "time": now - 1_000 + 10 * i}
            | {"state": chance.choice(["play", "buffer", "buffer", "seek", "pause"])}
            | {"cdn": chance.choice(["C1", "C2", "C2", "C3"])}
            for i in range(chance.randrange(20, 80))
        ]
        number += 1
        path = folder / f"viewers-{number}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        await feed_files(client, spec, [path])
        await asyncio.sleep(0.5)


def _draw(browser: Browser, url: str) -> None:
    def take(name: str, path: str, size: tuple[int, int], dark: bool, ready: Callable[[], object]) -> None:
        browser.driver.set_window_size(*size)
        browser.driver.get(url + path)
        browser.until(ready)
        if dark:
            browser.press("Light or dark")
            browser.until(lambda: browser.driver.find_element(By.CSS_SELECTOR, "body.body--dark"))
        browser.driver.save_screenshot(str(FOLDER / f"{name}.png"))

    def drawn() -> bool:
        """Whether lanes and graph are there, with the values of the key."""
        values = [one.text for one in browser.driver.find_elements(By.CSS_SELECTOR, "svg .node b")]
        return "–" not in values and len(values) == 7 and "reference at 9000 ms: 2" in browser.text()

    def looked() -> bool:
        """Whether the list has been looked at often enough for a line."""
        lines = browser.driver.find_elements(By.CSS_SELECTOR, "polyline")
        return max(len((line.get_attribute("points") or "").split()) for line in lines) > 20

    def mistaken() -> bool:
        _write(browser, WRONG)
        return "unknown operator has_existed_witin" in browser.text()

    def tried() -> bool:
        browser.fill("Name", "cirr-of-mine")
        browser.fill("Key column", "session")
        _write(browser, OUTPUTS["rebuffering"])
        events = browser.driver.find_element(By.CSS_SELECTOR, 'textarea[aria-label="Events"]')
        events.clear()
        events.send_keys(EVENTS)
        browser.press("Dry run")
        browser.reads("(dry run)")
        return True

    at = "/t/cirr?key=reference&at=9s"
    question = "/t/viewers/all?agg=count,avg(rebuffering),max(rebuffering)&group_by=cdn"
    take("timeline", at, (1100, 1390), False, drawn)
    take("narrow", at, (420, 1330), True, drawn)
    take("list", "/", (1200, 560), False, looked)
    take("all-keys", question, (1100, 960), True, lambda: "positions" in browser.text())
    take("operations", "/t/viewers/operations", (1100, 1060), False, lambda: browser.rows(1))
    take("editor", "/new", (1100, 720), False, mistaken)
    take("dry-run", "/new", (1100, 1500), True, tried)


def _write(browser: Browser, text: str) -> None:
    """Puts a text into the editor as it is: typed, its indentation would grow."""
    browser.until(lambda: browser.driver.find_element(By.CSS_SELECTOR, ".cm-content[aria-label]"))
    browser.run(
        "const view = getElement(+document.querySelector('.tl-editor').id.slice(1)).editor;"
        "view.dispatch({changes: {from: 0, to: view.state.doc.length, insert: arguments[0]}});",
        text,
    )


if __name__ == "__main__":
    asyncio.run(main())

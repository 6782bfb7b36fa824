"""``python -m tests.system.page_pictures [FOLDER]``: the pictures of docs/page.md, from the broker, the
producer and the feeders of `timeline demo`, and from examples. With a folder every view comes there, wide and
narrow, light and dark, for a person to look at.

Needs what `timeline demo` needs, and Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from selenium.webdriver.common.by import By

from feeder.broker import Broker
from feeder.files.feed import feed_files
from tests.support.browser import Browser
from tests.support.cli import Cli, kill_what_was_started
from tests.support.places import ROOT
from timeline.cli.commands.demo import CIRR, FAULTS, PARTITIONS, TOPIC
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec
from timeline.spec.tables import Source
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.server import DevServer
from workflows.worker import make_worker

FOLDER = ROOT / "docs" / "pictures"
TOKEN = "0123456789abcdef"
EXAMPLES = ("credit-card", "sessions-per-user", "rebuffering-by-cdn")
WRONG = CIRR.strip().replace("within", "witin")
OUTPUTS = {
    "cdn": "latest_event_to_state(cdn)",
    "state": "latest_event_to_state(playerStateChange)",
    "rebuffering": CIRR.strip(),
    "waits": "count_rises(@state == 'buffer')",
}
EVENTS = "".join(
    f'{{"session": "a", "time": {at}, "playerStateChange": "{state}"}}\n'
    for at, state in ((1_000, "play"), (2_000, "seek"), (4_000, "buffer"), (9_000, "play"))
)
#: Of a wide screen and of a narrow one.
WIDE, NARROW = 1_100, 400


@dataclass(frozen=True, slots=True)
class View:
    """A view to draw: its address, how high (px) it is on a wide and on a narrow screen, and what it takes
    until it is as it should be. For the docs it is ``dark``, and ``narrow``, or not."""

    name: str
    path: str
    high: tuple[int, int]
    ready: Callable[[Browser], object]
    dark: bool = False
    narrow: bool = False


async def main(folder: Path | None) -> None:
    """Draws the views for the docs, or all of them into a folder."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        async with Broker(place / "pulsar") as broker, DevServer(place / "dev.db") as server:
            temporal = await connect_embedded(server.address)
            async with make_worker(temporal):
                cli = Cli(server.address, place)
                cli.environment |= {
                    "PULSAR_SERVICE_URL": broker.service_url,
                    "PULSAR_ADMIN_URL": broker.web_url,
                }
                await broker.create_topic(TOPIC, PARTITIONS)
                await _register(Client(temporal))
                try:
                    await asyncio.to_thread(_run, cli, folder)
                finally:
                    kill_what_was_started()


async def _register(client: Client) -> None:
    """The demo's timeline, another on its topic, and examples with their events."""
    source = Source(topic=TOPIC, key="session")
    about = "Connection-induced rebuffering of each session (s)"
    await client.register(Spec(name="cirr", description=about, expression=CIRR, source=source))
    about = "Which CDN keeps viewers waiting, while they watch"
    await client.register(Spec(name="viewers", description=about, outputs=OUTPUTS, source=source))
    for example in EXAMPLES:
        path = ROOT / "examples" / f"{example}.toml"
        known = await client.register(path)
        await feed_files(client, known.spec, [path.with_suffix(".jsonl")])
    path = ROOT / "examples" / "cirr.toml"
    reference = load_spec(path).model_copy(update={"name": "reference"})
    await client.register(reference)
    await feed_files(client, reference, [path.with_suffix(".jsonl")])


def _run(cli: Cli, folder: Path | None) -> None:
    for name in ("plays-1", "plays-2"):
        cli.start("feeder", "--name", name)
    cli.start("produce", "--to", TOPIC, "--json", "--sessions=1000", "--speed=1x", *FAULTS)
    _, url = cli.page("--temporal-ui=http://127.0.0.1:8233")
    (cli.folder / "token").write_text(TOKEN)
    _, closed = cli.page("--token-file=token")
    browser = Browser()
    try:
        for view in VIEWS:
            address = (closed if view.name == "login" else url) + view.path
            if folder is None:
                _take(browser, view, address, view.narrow, view.dark, FOLDER / f"{view.name}.png")
                continue
            folder.mkdir(exist_ok=True)
            for narrow in (False, True):
                for dark in (False, True):
                    said = f"{view.name}-{'narrow' if narrow else 'wide'}-{'dark' if dark else 'light'}.png"
                    _take(browser, view, address, narrow, dark, folder / said)
    finally:
        browser.driver.quit()


def _take(browser: Browser, view: View, address: str, narrow: bool, dark: bool, path: Path) -> None:
    driver = browser.driver
    # Of the page itself: a window is never as narrow as a telephone.
    size = {"width": NARROW if narrow else WIDE, "height": view.high[narrow]}
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**size, "deviceScaleFactor": 1, "mobile": False}
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(address)
    browser.until(lambda: view.ready(browser))
    driver.save_screenshot(str(path))
    print(path, flush=True)


def _lanes(browser: Browser) -> bool:
    """Whether lanes and graph are there, with the values of the key."""
    values = [one.text for one in browser.driver.find_elements(By.CSS_SELECTOR, "svg .node b")]
    return "–" not in values and len(values) == 7 and "reference at 9000 ms: 2" in browser.text()


def _session(browser: Browser) -> bool:
    return "08:04:00Z: " in browser.text() and len(browser.rows(1)) == 3


def _looked(browser: Browser) -> bool:
    """Whether the list has been looked at often enough for a line."""
    lines = browser.driver.find_elements(By.CSS_SELECTOR, "polyline")
    return max(len((line.get_attribute("points") or "").split()) for line in lines) > 8


def _fed(browser: Browser) -> bool:
    """Whether feeders and dead letters are there."""
    if not browser.rows(2):
        return False
    if "broken messages" not in browser.text():
        browser.press("Look")
        browser.until(lambda: browser.button("Look").is_enabled())
    return "broken messages" in browser.text() and "0 broken messages" not in browser.text()


def _mistaken(browser: Browser) -> object:
    if "witin" not in browser.text():
        _write(browser, WRONG)
    return browser.driver.find_element(By.CSS_SELECTOR, ".tl-wrong")


def _tried(browser: Browser) -> bool:
    browser.fill("Name", "cirr-of-mine")
    browser.fill("Key column", "session")
    _write(browser, CIRR.strip())
    events = browser.driver.find_element(By.CSS_SELECTOR, 'textarea[aria-label="Events"]')
    events.clear()
    events.send_keys(EVENTS)
    browser.press("Dry run")
    browser.reads("(dry run)")
    return True


def _removing(browser: Browser) -> bool:
    browser.driver.find_element(By.XPATH, "//*[text()='Remove this timeline']").click()
    browser.reads("stays  ")
    browser.run("window.scrollTo(0, document.body.scrollHeight)")
    return True


def _refused(browser: Browser) -> bool:
    browser.driver.find_element(By.ID, "token").send_keys("what I remember of it\n")
    browser.reads("That is not the token")
    return True


def _write(browser: Browser, text: str) -> None:
    """Puts a text into the editor as it is: typed, its indentation would grow."""
    browser.until(lambda: browser.driver.find_element(By.CSS_SELECTOR, ".cm-content[aria-label]"))
    browser.run(
        "const view = getElement(+document.querySelector('.tl-editor').id.slice(1)).editor;"
        "view.dispatch({changes: {from: 0, to: view.state.doc.length, insert: arguments[0]}});",
        text,
    )


AT = "/t/reference?key=reference&at=9s"
QUESTION = "/t/viewers/all?agg=count,avg(rebuffering),max(rebuffering)&group_by=cdn"
VIEWS = (
    View("timeline", AT, (1_390, 1_450), _lanes),
    View("narrow", AT, (1_390, 1_450), _lanes, dark=True, narrow=True),
    View(
        "lives",
        "/t/sessions-per-user?key=ann&at=2026-03-02T08:04:00Z&node=page",
        (1_880, 2_000),
        _session,
    ),
    View("list", "/", (560, 800), _looked),
    View("all-keys", QUESTION, (960, 1_300), lambda browser: "positions" in browser.text(), dark=True),
    View("operations", "/t/viewers/operations", (2_200, 3_000), _fed),
    View("removing", "/t/reference/operations", (900, 1_200), _removing),
    View("editor", "/new", (720, 1_100), _mistaken),
    View("dry-run", "/new", (1_500, 2_000), _tried, dark=True),
    View("login", AT, (420, 420), _refused),
)

if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))

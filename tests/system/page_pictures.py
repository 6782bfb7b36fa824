"""``python -m tests.system.page_pictures URL``: the pictures of docs/page.md, of `timeline demo`.

URL is of a `timeline serve` beside the demo, with the addresses of server and broker that it says. Needs
Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from selenium.webdriver.common.by import By

from tests.support.browser import Browser
from tests.support.http import ask
from tests.support.places import ROOT

FOLDER = ROOT / "docs" / "pictures"
WRONG = (
    'duration_where(\n  has_existed(state == "play")\n  && !has_existed_witin(state == "seek", 5s)\n'
    '  && latest_event_to_state(state) == "buffer")'
)
EVENTS = "".join(
    f'{{"session": "a", "time": {at}, "state": "{state}"}}\n'
    for at, state in ((1_000, "play"), (2_000, "seek"), (4_000, "buffer"), (9_000, "play"))
)


def main(url: str) -> None:
    """Draws each view, wide or narrow, light or dark."""
    FOLDER.mkdir(exist_ok=True)
    browser = Browser()
    try:
        _draw(browser, url)
    finally:
        browser.driver.quit()


def _draw(browser: Browser, url: str) -> None:
    def take(name: str, path: str, size: tuple[int, int], dark: bool, ready: Callable[[], object]) -> None:
        browser.driver.set_window_size(*size)
        browser.driver.get(url + path)
        browser.until(ready)
        if dark:
            browser.press("Light or dark")
            browser.until(lambda: browser.driver.find_element(By.CSS_SELECTOR, "body.body--dark"))
        browser.driver.save_screenshot(str(FOLDER / f"{name}.png"))

    def looked(times: int) -> bool:
        """Whether the list has been looked at so often."""
        line = browser.driver.find_element(By.CSS_SELECTOR, "polyline").get_attribute("points") or ""
        return len(line.split()) > times

    def drawn() -> object:
        return browser.driver.find_element(By.CSS_SELECTOR, "svg .node") and "position" in browser.text()

    take("list", "/", (1100, 330), False, lambda: looked(8))
    question = "aggregate?where=value%20%3E%2010&top=1&by=value"
    browser.until(lambda: ask(f"{url}/api/v1/timelines/cirr/{question}").json["rows"])
    [row] = ask(f"{url}/api/v1/timelines/cirr/{question}").json["rows"]
    at = f"/t/cirr?key={row['key']}&at={row['at']}"
    take("timeline", at, (1100, 1320), False, drawn)
    take("narrow", at, (420, 1300), True, drawn)
    take("all-keys", "/t/cirr/all?top=10&by=value", (1100, 1150), True, lambda: "positions" in browser.text())
    take("operations", "/t/cirr/operations", (1100, 1150), False, lambda: browser.rows(1)[0][2] != "-")

    def mistaken() -> object:
        _write(browser, WRONG)
        return "unknown operator has_existed_witin" in browser.text()

    take("editor", "/new", (1100, 720), False, mistaken)

    def tried() -> bool:
        browser.fill("Name", "cirr-of-mine")
        browser.fill("Key column", "session")
        _write(browser, WRONG.replace("witin", "within"))
        events = browser.driver.find_element(By.CSS_SELECTOR, 'textarea[aria-label="Events"]')
        events.clear()
        events.send_keys(EVENTS)
        browser.press("Dry run")
        browser.reads("(dry run)")
        return True

    take("dry-run", "/new", (1100, 1600), True, tried)


def _write(browser: Browser, text: str) -> None:
    """Puts a text into the editor as it is: typed, its indentation would grow."""
    browser.until(lambda: browser.driver.find_element(By.CSS_SELECTOR, ".cm-content[aria-label]"))
    browser.run(
        "const view = getElement(+document.querySelector('.tl-editor').id.slice(1)).editor;"
        "view.dispatch({changes: {from: 0, to: view.state.doc.length, insert: arguments[0]}});",
        text,
    )


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))

"""``python -m tests.system.page_pictures URL``: the pictures of docs/page.md, where ``cirr`` is fed."""

from __future__ import annotations

import sys

from tests.support.browser import Browser
from tests.support.places import ROOT

FOLDER = ROOT / "docs" / "pictures"


def main(url: str) -> None:
    """Draws a wide view in light, and a narrow one in dark."""
    FOLDER.mkdir(exist_ok=True)
    browser = Browser()
    for name, width, height, dark in (("timeline", 1100, 1600, False), ("narrow", 420, 1560, True)):
        browser.driver.set_window_size(width, height)
        browser.driver.get(f"{url}/t/cirr?key=reference&at=9s")
        browser.reads("reference at 9000 ms: 2")
        browser.until(lambda: browser.driver.find_element("css selector", "svg[id] .node"))
        if dark:
            browser.press("Light or dark")
        browser.driver.save_screenshot(str(FOLDER / f"{name}.png"))
    browser.driver.quit()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))

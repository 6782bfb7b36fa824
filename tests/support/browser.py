"""A browser, and what a person does with it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

T = TypeVar("T")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs Debian's chromium and chromium-driver"
)
#: Seconds that a page may take on a busy machine.
PATIENCE = 240


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
        ignored = [Exception]  # it is not there yet, or was drawn anew just now
        return WebDriverWait(self.driver, PATIENCE, ignored_exceptions=ignored).until(lambda _: found())

    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def reads(self, text: str) -> None:
        """Waits until the page says something."""
        self.until(lambda: text in self.text())

    def field(self, label: str) -> Any:
        return self.until(lambda: self.driver.find_element(By.CSS_SELECTOR, f'input[aria-label="{label}"]'))

    def fill(self, label: str, text: str, *more: str) -> None:
        """Writes a text into a field instead of what is there, and presses more keys."""
        self.field(label).send_keys(Keys.CONTROL, "a")
        self.field(label).send_keys(text, *more)

    def button(self, label: str) -> WebElement:
        """A button, by its text or what it is called."""
        for button in self.driver.find_elements(By.TAG_NAME, "button"):
            # Before the text may stand the name of an icon.
            said = (button.text.split("\n")[-1], button.get_attribute("aria-label") or "")
            if label.lower() in map(str.lower, said):
                return button
        raise NoSuchElementException(label)

    def press(self, label: str) -> None:
        """Presses a button, once it is there and can be pressed."""

        def pressed() -> bool:
            button = self.button(label)
            if not button.is_enabled():
                return False
            button.click()
            return True

        self.until(pressed)

    def choose(self, label: str, option: str) -> None:
        """Chooses from a list."""
        self.field(label).click()

        def found() -> bool:
            for item in self.driver.find_elements(By.CSS_SELECTOR, ".q-item"):
                if item.text == option:
                    item.click()
                    return True
            return False

        self.until(found)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script in the page returns."""
        return self.driver.execute_script(script, *arguments)

    def rows(self, table: int = 0) -> list[list[str]]:
        """The rows of a table of the page, all at one moment: it changes while it is looked at."""
        found: list[list[str]] = self.run(
            "return [...document.querySelectorAll('.q-table')[arguments[0]].querySelectorAll('tbody tr')]"
            ".map(row => [...row.querySelectorAll('td')].map(cell => cell.innerText.trim()))",
            table,
        )
        return found

    def shows(self, rows: list[list[str]], columns: slice = slice(None), table: int = 0) -> None:
        """Waits until a table, the first if no other is said, shows some columns so."""
        self.until(lambda: [row[columns] for row in self.rows(table)] == rows)

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


@contextlib.contextmanager
def nothing_wrong(browser: Browser, url: str) -> Iterator[None]:
    """No error in the console, and no request to anywhere else."""
    browser.driver.get(url)
    yield
    assert browser.errors() == []
    assert browser.asked() == {"/".join(url.split("/")[:3])}

"""The page's operations in a real browser, nodes and streams, dead letters, pausing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from feeder.broker import Broker
from feeder.sources.pulsar import PulsarConnector
from feeder.topics.service import Feeder
from producer.pulsar.connection import connect
from tests.support.browser import Browser, needs_browser, nothing_wrong
from tests.support.cli import Cli, stop
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.server import DevServer
from workflows.worker import make_worker

pytestmark = needs_browser
NAME = "page-letters"
SOURCE = {"topic": NAME, "key": "session"}
SPEC = {"name": NAME, "expression": 'count(state == "buffer") > 1', "source": SOURCE}
GOOD = '{"session": "%s", "time": %d, "state": "buffer"}'


@pytest.fixture
async def served(tmp_path: Path, broker: Broker) -> AsyncIterator[tuple[Client, str]]:
    """A timeline on a topic with two good messages and two broken ones, which is fed; the page's address."""
    async with DevServer(tmp_path / "dev.db") as server:
        temporal = await connect_embedded(server.address)
        async with make_worker(temporal):
            client, cli = Client(temporal), Cli(server.address, tmp_path)
            cli.environment |= {
                "PULSAR_SERVICE_URL": broker.service_url,
                "PULSAR_ADMIN_URL": broker.web_url,
            }
            await broker.create_topic(NAME, 1)
            await client.registry.register(Spec.from_wire(SPEC))
            pulsar = await asyncio.to_thread(connect)
            producer = pulsar.create_producer(NAME)
            for text in (GOOD % ("a", 1_000), "{oops", GOOD % ("a", 2_000), "[]"):
                producer.send(text.encode())
            feeder = Feeder(PulsarConnector(pulsar), client, say=lambda _: None, name="plays-feeder")
            feeding = asyncio.create_task(feeder.run())
            process, url = await asyncio.to_thread(cli.page, "--temporal-ui=http://127.0.0.1:8233")
            yield client, url
            assert await asyncio.to_thread(stop, process, signal.SIGTERM) == 0
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await asyncio.to_thread(pulsar.close)


async def test_operations(served: tuple[Client, str], browser: Browser) -> None:
    client, url = served

    def look() -> None:
        with nothing_wrong(browser, f"{url}/t/{NAME}/operations"):
            # Of both nodes: the stream, and how many keys; nobody lags.
            browser.until(lambda: [row[4] for row in browser.rows()] == ["1", "1"])
            browser.shows([["0", ""], ["0", ""]], slice(1, 4, 2))
            link = browser.run("return document.querySelector('.q-table tbody a').href")
            assert link.startswith("http://127.0.0.1:8233/namespaces/default/workflows/page-letters.")
            # Of the stream: its newest message is broken, and its time is that of the newest event.
            browser.until(lambda: browser.rows(1)[0][2] != "-")
            browser.shows([["2000 ms", "2", "0"]], slice(5, 8), table=1)
            browser.shows([["0", "plays-feeder"]], slice(0, 2), table=2)
            browser.shows([["reads"]], slice(3, 4), table=2)
            browser.reads("None: no operator has failed on a key.")

    def letters() -> None:
        def both() -> bool:
            browser.press("Look")
            browser.until(lambda: browser.button("Look").is_enabled())
            return "2 broken messages" in browser.text()

        browser.until(both)
        browser.reads("{oops")
        browser.press("Send again")
        browser.reads(f"2 broken messages were sent to {NAME} again")
        assert browser.errors() == []

    def pause() -> None:
        browser.press("Pause")
        browser.reads("paused: no events are brought to it")

    await asyncio.to_thread(look)
    await asyncio.to_thread(letters)
    await asyncio.to_thread(pause)
    assert (await client.timeline(NAME)).paused
    await asyncio.to_thread(browser.press, "Resume")
    await asyncio.to_thread(browser.reads, "running")
    assert not (await client.timeline(NAME)).paused

"""A Temporal server with a worker, and a Pulsar broker: one of each a process of tests, begun when needed.

With ``TIMELINE_TEST_SERVER=real`` all servers are real ones, on one PostgreSQL: see `tests.support.servers`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from feeder.broker import Broker, missing
from tests.support.cli import Cli
from tests.support.cluster import binaries
from tests.support.everywhere import Way, in_workflows
from tests.support.servers import Server, is_real, make_server, shared_postgres
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.worker import make_worker

if TYPE_CHECKING:
    from tests.support.browser import Browser


@pytest.fixture(scope="session", autouse=True)
async def postgres() -> AsyncIterator[None]:
    """What real servers keep their data in, if tests run on those."""
    if not is_real():
        yield
        return
    if (reason := binaries.missing()) is not None:
        pytest.skip(reason)
    async with shared_postgres():
        yield


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One server for all tests that do not harm it."""
    async with make_server(tmp_path_factory.mktemp("temporal") / "dev.db") as running:
        yield running


@pytest.fixture(scope="session")
async def timelines(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A client of that server, with a worker in this process."""
    client = await connect_embedded(server.address)
    async with make_worker(client, sink_roots=[tmp_path_factory.getbasetemp()]):
        yield Client(client)


@pytest.fixture(scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    """A real Pulsar broker for all tests that do not harm it."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    async with Broker(tmp_path_factory.mktemp("pulsar")) as running:
        os.environ["PULSAR_SERVICE_URL"] = running.service_url
        yield running


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser of the test's own."""
    from tests.support.browser import Browser  # Selenium takes a second

    opened = Browser()
    yield opened
    opened.driver.quit()


@pytest.fixture
def cli(server: Server, timelines: Client, tmp_path: Path) -> Cli:
    """The command line against the shared server and worker.

    The worker lives in this process: run commands through `asyncio.to_thread`.
    """
    return Cli(server.address, tmp_path)


@pytest.fixture(params=["workflows"])
def way(timelines: Client, tmp_path: Path) -> Way:
    """A way to run an expression over events: here by workflows."""
    return in_workflows(timelines, tmp_path)

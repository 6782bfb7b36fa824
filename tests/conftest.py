"""What several tests need: a Temporal server and worker of their own, the command line, real traces."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from feeder.broker import Broker, missing
from tests.support.cli import Cli, _started
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.server import DevServer
from workflows.worker import make_worker


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevServer]:
    """One server for all tests that do not harm it."""
    async with DevServer(tmp_path_factory.mktemp("temporal") / "dev.db") as running:
        yield running


@pytest.fixture(scope="session")
async def timelines(server: DevServer) -> AsyncIterator[Client]:
    """A client of that server, with a worker in this process."""
    client = await connect_embedded(server.address)
    async with make_worker(client):
        yield Client(client)


@pytest.fixture(scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    """A real Pulsar broker for all tests that do not harm it."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    async with Broker(tmp_path_factory.mktemp("pulsar")) as running:
        os.environ["PULSAR_SERVICE_URL"] = running.service_url
        yield running


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Kills what a failed test did not stop."""
    yield
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def local_cli(tmp_path: Path) -> Cli:
    """The command line without a server."""
    return Cli(None, tmp_path)


@pytest.fixture
def cli(server: DevServer, timelines: Client, tmp_path: Path) -> Cli:
    """The command line against the shared server and worker.

    The worker lives in this process: run commands through `asyncio.to_thread`.
    """
    return Cli(server.address, tmp_path)


_status = 0


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    global _status
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends without tearing the interpreter down: see `timeline.cli.main.run` for what that can do."""
    native = {"temporalio.bridge.temporal_sdk_bridge", "pulsar"}
    if native & sys.modules.keys() and not hasattr(config, "workerinput"):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)

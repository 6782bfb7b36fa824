"""What several tests need: a Temporal server and worker of their own, the command line, real traces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from feeder.broker import Broker, missing
from workflows.client import Timelines
from workflows.connection import connect_embedded
from workflows.server import DevServer
from workflows.worker import make_worker

ROOT = Path(__file__).parent.parent
CIRR = (
    'duration_where(has_existed(playerStateChange == "play") '
    '&& !has_existed_within(playerStateChange == "seek", 5s) '
    '&& latest_event_to_state(playerStateChange) == "buffer")'
)
TRACES = sorted((ROOT.parent / "shared" / "data" / "playback").glob("*.jsonl"))
needs_traces = pytest.mark.skipif(
    not TRACES, reason="the real playback traces are not on this machine (shared/data/playback)"
)


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevServer]:
    """One server for all tests that do not harm it."""
    async with DevServer(tmp_path_factory.mktemp("temporal") / "dev.db") as running:
        yield running


@pytest.fixture(scope="session")
async def timelines(server: DevServer) -> AsyncIterator[Timelines]:
    """A client of that server, with a worker in this process."""
    client = await connect_embedded(server.address)
    async with make_worker(client):
        yield Timelines(client)


@pytest.fixture(scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    """A real Pulsar broker for all tests that do not harm it."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    async with Broker(tmp_path_factory.mktemp("pulsar")) as running:
        os.environ["PULSAR_SERVICE_URL"] = running.service_url
        yield running


class Cli:
    """The installed ``timeline`` command, against one server."""

    def __init__(self, address: str | None, folder: Path) -> None:
        self.folder = folder
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TEMPORAL_")}
        config = folder / "temporal.toml"
        config.touch()
        self.environment = clean | {"TEMPORAL_CONFIG_FILE": str(config), "NO_COLOR": "1"}
        if address is not None:
            self.environment["TEMPORAL_ADDRESS"] = address

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "timeline.cli.main", *map(str, arguments)]

    def run(self, *arguments: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs to the end; fails the test if that prints a traceback."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def good(self, *arguments: str | Path) -> str:
        """Standard output of a command that must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout

    def bad(self, *arguments: str | Path) -> str:
        """Standard error of a command that must fail as wrong use: one message, exit code 2."""
        done = self.run(*arguments)
        assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
        assert done.stderr.strip()
        return done.stderr

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Starts a command that goes on; whatever still runs when the test ends is killed."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        _started.append(process)
        return process


_started: list[subprocess.Popen[str]] = []


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


def wait_for_line(process: subprocess.Popen[str], start: str) -> str:
    """Reads a process's output up to a line that begins so."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(start):
            return line
    raise AssertionError(f"ended without {start!r}:\n{''.join(lines)}")


def stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> int:
    """Signals a process and waits for its end."""
    process.send_signal(number)
    code = process.wait(30)
    if process.stdout is not None:
        process.stdout.close()
    return code


@pytest.fixture
def local_cli(tmp_path: Path) -> Cli:
    """The command line without a server."""
    return Cli(None, tmp_path)


@pytest.fixture
def cli(server: DevServer, timelines: Timelines, tmp_path: Path) -> Cli:
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

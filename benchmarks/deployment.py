"""What the durable benchmarks run on: an embedded server, and workers in processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import Server
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.server import DevServer


@dataclass(slots=True)
class Worker:
    """A ``timeline worker`` against a server."""

    process: asyncio.subprocess.Process
    environment: dict[str, str]
    processes: int

    @classmethod
    async def start(cls, address: str, folder: Path, processes: int = 1) -> Worker:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TEMPORAL_", "TIMELINE_"))}
        config = folder / "temporal.toml"
        config.touch()
        # A store, as `timeline dev` has one: large states go there.
        store = {"TIMELINE_STORE": f"file:{folder / 'store'}"}
        environment = clean | store | {"TEMPORAL_ADDRESS": address, "TEMPORAL_CONFIG_FILE": str(config)}
        return cls(await _spawn(environment, processes), environment, processes)

    @property
    def pids(self) -> list[int]:
        """Of all its processes that run workflows."""
        pid = self.process.pid
        if self.processes == 1:
            return [pid]
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    async def replace(self) -> None:
        """Kills it with signal 9, and starts another."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        self.process = await _spawn(self.environment, self.processes)

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()


async def _spawn(environment: dict[str, str], processes: int) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "timeline.cli.main", "worker", "--processes", str(processes)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()  # it says when it is ready
    return process


@dataclass(slots=True)
class Deployment:
    """What is running."""

    server: Server
    timelines: Client
    worker: Worker


@asynccontextmanager
async def deployment(processes: int = 1, options: Sequence[str] = ()) -> AsyncIterator[Deployment]:
    """A server on a new database, and a worker of so many processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with DevServer(folder / "dev.db", options=options) as server:
            worker = await Worker.start(server.address, folder, processes)
            try:
                yield Deployment(server, Client(await connect_embedded(server.address)), worker)
            finally:
                await worker.stop()


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024

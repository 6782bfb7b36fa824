"""The server and the worker that schedules share; whatever was killed is started again."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from types import TracebackType

from tests.support.cli import Cli
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.server import DevServer

#: A run may have this many events before it is to continue as new: every few batches.
HISTORY = 40
READY = "Worker is ready"


class Rig:
    """A server on a file, a ``timeline worker``, and a client of ours; ``async with`` starts them."""

    timelines: Client

    def __init__(self, folder: Path, history: int = HISTORY) -> None:
        self.folder = folder
        settings = (
            f"limit.historyCount.suggestContinueAsNew={history}",
            # A task that a killed worker had begun is given to another after this time, not after 10 s.
            'history.defaultWorkflowTaskTimeout="1s"',
        )
        options = [part for setting in settings for part in ("--dynamic-config-value", setting)]
        self.server = DevServer(folder / "dev.db", options=options)
        self._worker: asyncio.subprocess.Process | None = None

    @property
    def worker_pid(self) -> int:
        assert self._worker is not None, "not started"
        return self._worker.pid

    async def __aenter__(self) -> Rig:
        await self.server.start()
        self.timelines = Client(await connect_embedded(self.server.address))
        await self.start_worker()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill_worker()
        await self.server.stop()

    async def start_worker(self) -> None:
        """Starts a worker and waits until it says that it is ready."""
        cli = Cli(self.server.address, self.folder)
        with (self.folder / "worker.log").open("ab") as log:
            self._worker = await asyncio.create_subprocess_exec(
                *cli.command("worker"),
                cwd=self.folder,
                env=cli.environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._worker.stdout is not None
        line = await self._worker.stdout.readline()
        assert line.decode().startswith(READY), f"no worker: {line!r}, see {self.folder / 'worker.log'}"

    async def kill_worker(self) -> None:
        """Kills the worker, unless it is dead, and waits for its end."""
        assert self._worker is not None
        if self._worker.returncode is None:
            self._worker.send_signal(signal.SIGKILL)
        await self._worker.wait()

    async def restart_worker(self) -> None:
        """Another worker in place of one that was killed, or is to be."""
        await self.kill_worker()
        await self.start_worker()

    async def restart_server(self) -> None:
        """The server again on its file and port, after it was killed, or is to be."""
        await self.server.stop(kill=True)
        await self.server.start()

"""The server and the worker that schedules share; whatever was killed is started again."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from tests.support.cli import Cli
from tests.support.servers import make_server
from timeline.cli.processes import Command
from workflows.client import Client
from workflows.connection import connect_embedded

#: A run may have this many events before it is to continue as new: every few batches.
HISTORY = 40


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
        self.server = make_server(folder / "dev.db", options=options)
        cli = Cli(self.server.address, folder)
        log = folder / "worker.log"
        self.worker = Command("worker", environment=cli.environment, folder=folder, log=log)

    @property
    def worker_pid(self) -> int:
        return self.worker.pid

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
        await self.worker.start()

    async def kill_worker(self) -> None:
        """Kills the worker, unless it is dead, and waits for its end."""
        await self.worker.stop(kill=True)

    async def restart_worker(self) -> None:
        """Another worker in place of one that was killed, or is to be."""
        await self.kill_worker()
        await self.start_worker()

    async def restart_server(self) -> None:
        """The server again on its file and port, after it was killed, or is to be."""
        await self.server.stop(kill=True)
        await self.server.start()

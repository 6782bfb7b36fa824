"""``timeline`` commands as processes of their own: Python computes on one core a process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from timeline.cli.saying import say
from timeline.errors import ServiceError
from workflows.child import Child

#: Seconds until a command that goes on must have said that it is ready.
START_TIMEOUT = 120.0
#: Seconds before a worker that ended is started anew: one that ends at once must not do so all the time.
PAUSE = 1.0
#: Seconds that a command has to finish what it is at.
PATIENCE = 30.0
#: With what a command that goes on says that it is ready; others are ready when they run.
#: In lines of JSON (`timeline.cli.logs`) the same stands behind this.
JSON_BEGIN = '{"message":"'
READY = {"worker": "Worker is ready", "feeder": "Feeder is ready"}


class Command(Child):
    """A ``timeline`` command in a process of its own, with this environment, in a folder (else ours)."""

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        folder: Path | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__(f"`timeline {arguments[0]}`", log=log, grace=PATIENCE)
        self.arguments = arguments
        self.environment = environment
        self.folder = folder

    async def start(self) -> str:
        """Starts it; what it says when it is ready.

        Raises:
            ServiceError: it ended at once, or did not say that it is ready; with its last words.
        """
        command = [sys.executable, "-m", "timeline.cli.main", *self.arguments]
        await self.spawn(command, environment=self.environment, folder=self.folder)
        begin = READY.get(self.arguments[0])
        if begin is not None and self.environment.get("TIMELINE_LOG_FORMAT") == "json":
            begin = JSON_BEGIN + begin
        return "" if begin is None else await self.ready(lambda: self.line(begin), START_TIMEOUT)


async def run_workers(environments: Sequence[Mapping[str, str]]) -> None:
    """Runs a process of ``timeline worker`` in each environment, and starts one anew that is killed, until
    cancelled.

    Raises:
        ServiceError: one ended by itself with an error, which it has said.
    """
    workers = [Command("worker", environment=environment) for environment in environments]
    try:
        async with asyncio.TaskGroup() as group:
            ready = [group.create_task(worker.start()) for worker in workers]
        said = ready[0].result()
        say(said if said.startswith("{") else f"{len(workers)} processes. {said}")
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(_keep(worker))
    except* ServiceError as errors:
        raise errors.exceptions[0] from None
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))


async def _keep(worker: Command) -> None:
    """Starts a worker anew whenever a signal has ended it."""
    while True:
        code = await worker.wait()
        if code >= 0:
            raise worker.failure(f"ended with code {code}")
        say(f"worker {worker.pid} was ended by signal {-code}; starting another", err=True)
        await asyncio.sleep(PAUSE)
        await worker.start()
        say(f"worker {worker.pid} is ready", err=True)

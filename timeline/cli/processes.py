"""Several worker processes under one: Python computes on one core a process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import typer

from timeline.errors import ServiceError

#: Seconds before a worker that ended is started anew: one that ends at once must not do so all the time.
PAUSE = 1.0
#: Seconds that a worker has to finish what it is at.
PATIENCE = 30.0


async def run_workers(count: int, environment: Mapping[str, str]) -> None:
    """Runs so many processes of ``timeline worker``, and starts one anew that is killed, until cancelled.

    Raises:
        ServiceError: one ended by itself with an error, which it has said.
    """
    workers = [_Worker(environment) for _ in range(count)]
    try:
        async with asyncio.TaskGroup() as group:
            ready = [group.create_task(worker.start()) for worker in workers]
        typer.echo(f"{count} processes. {ready[0].result()}")
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker.keep())
    except* ServiceError as errors:
        raise errors.exceptions[0] from None
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))


class _Worker:
    """A worker process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Starts it; what it says when it is ready."""
        from workflows.child import end_with_parent

        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "timeline.cli.main", "worker"),
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C reaches us, and we stop all of them.
            start_new_session=True,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            self._refuse(await self.process.wait())
        return line.decode().strip()

    async def keep(self) -> None:
        """Starts it anew whenever a signal has ended it."""
        while True:
            assert self.process is not None
            code = await self.process.wait()
            if code >= 0:
                self._refuse(code)
            typer.echo(f"worker {self.process.pid} was ended by signal {-code}; starting another", err=True)
            await asyncio.sleep(PAUSE)
            await self.start()
            typer.echo(f"worker {self.process.pid} is ready", err=True)

    def _refuse(self, code: int) -> None:
        raise ServiceError(f"a worker process ended with code {code}; what it said stands above")

    async def stop(self) -> None:
        """Ends it politely, and if that does not help, for good."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), PATIENCE)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

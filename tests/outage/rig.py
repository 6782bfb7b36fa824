"""All that can fail, as processes of their own, and what makes it fail."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from feeder.broker import Broker
from tests.support.cli import Cli
from tests.support.cluster.postgres import Postgres
from tests.support.cluster.server import RealServer
from timeline.cli.processes import Command
from workflows.child import Child
from workflows.client import Client
from workflows.patience import DEFAULT

#: Seconds that what failed stays away: longer than the SDK asks again by itself.
AWAY = 8.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What fails, and whether it is killed or ended in order."""

    part: str
    kill: bool

    def __str__(self) -> str:
        return f"{self.part} {'killed' if self.kill else 'ended'}"


PARTS = ("worker", "one host", "both hosts", "PostgreSQL")
FAULTS = tuple(Fault(part, kill) for part in PARTS for kill in (True, False))
EVERYTHING = Fault("everything", kill=True)


class Rig:
    """A cluster of two hosts on PostgreSQL, a worker, and with ``streaming`` a broker and a feeder."""

    client: Client

    def __init__(self, folder: Path, *, streaming: bool) -> None:
        self.folder = folder
        self.postgres = Postgres()
        first = RealServer(self.postgres, "temporal", folder / "temporal")
        self.hosts = [first, first.beside()]
        #: All that commands need: either host will do.
        self.cli = Cli(",".join(host.address for host in self.hosts), folder)
        self.cli.environment["TIMELINE_PATIENCE"] = f"{DEFAULT:g}s"
        self.broker = Broker(folder / "pulsar") if streaming else None
        self.cli.environment["TIMELINE_STORE"] = f"file:{folder / 'states'}"
        if self.broker is not None:
            self.cli.environment["PULSAR_SERVICE_URL"] = self.broker.service_url
        self.worker = self.command("worker")
        self.feeder = self.command("feeder") if streaming else None
        self._faults = 0

    def command(self, *arguments: str) -> Command:
        """A ``timeline`` command, patient as commands are; what it says goes into a file."""
        log = self.folder / f"{'-'.join(arguments)[:60].replace('/', '_')}.log"
        return Command(*arguments, environment=self.cli.environment, folder=self.folder, log=log)

    @property
    def parts(self) -> list[Child]:
        """In the order in which they can be started."""
        every = (self.postgres, self.broker, *self.hosts, self.worker, self.feeder)
        return [part for part in every if part is not None]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self.postgres.remove)
            for part in self.parts:
                await stack.enter_async_context(part)
            # As commands see it, and as patient.
            os.environ["TEMPORAL_ADDRESS"] = self.cli.environment["TEMPORAL_ADDRESS"]
            self.client = await Client.connect(patience=f"{DEFAULT:g}s")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def befall(self, fault: Fault) -> float:
        """Lets parts fail, and has them back some seconds later; in how many seconds all of them were back.

        Raises:
            AssertionError: another part ended by it.
        """
        self._faults += 1
        begin = time.monotonic()
        hit = self._hit(fault)
        await asyncio.gather(*(part.stop(kill=fault.kill) for part in hit))
        await asyncio.sleep(AWAY)
        stores: list[Child] = [part for part in hit if part in (self.postgres, self.broker)]
        await asyncio.gather(*(part.start() for part in stores))
        for part in hit:
            if part not in stores:
                await part.start()
        ended = [part.name for part in self.parts if not part.running]
        assert not ended, f"{fault}: {', '.join(ended)} ended"
        return time.monotonic() - begin

    def _hit(self, fault: Fault) -> Sequence[Child]:
        hit: dict[str, Sequence[Child]] = {
            "worker": [self.worker],
            "one host": [self.hosts[self._faults % 2]],
            "both hosts": self.hosts,
            "PostgreSQL": [self.postgres],
            "everything": self.parts,
        }
        return hit[fault.part]

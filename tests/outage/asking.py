"""Commands that are started while something fails, and must not end by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.outage.rig import Rig
from timeline.cli.processes import Command


@dataclass(slots=True)
class Asked:
    """How many commands ended well, and what the others said."""

    good: int = 0
    bad: list[str] = field(default_factory=list)
    #: How many of them had to wait for something, and said so.
    waited: int = 0

    async def see(self, command: Command) -> None:
        """Waits for the end of a command that was started."""
        code = await command.wait()
        assert command.log is not None
        said = command.log.read_text()
        self.waited += "waiting, for" in said
        if code == 0 and "Traceback" not in said:
            self.good += 1
        else:
            self.bad.append(f"timeline {' '.join(command.arguments)}: code {code}\n{said[-2_000:]}")
        command.log.unlink()


@asynccontextmanager
async def asking(rig: Rig, asked: Asked, *commands: tuple[str, ...]) -> AsyncIterator[None]:
    """Runs commands all the time, one after the other, each of them in turn and once at least."""
    stopping = asyncio.Event()

    async def ask() -> None:
        number = 0
        while number < len(commands) or not stopping.is_set():
            command = rig.command(*commands[number % len(commands)])
            number += 1
            await command.start()
            await asked.see(command)

    asks = asyncio.create_task(ask())
    try:
        yield
    finally:
        stopping.set()
        await asks

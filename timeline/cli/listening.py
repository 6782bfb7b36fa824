"""What `timeline serve` and `timeline dev` share: the API and the page, answering on an address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import quote

from timeline.cli.options import UsageError

if TYPE_CHECKING:
    from timeline.cli.serving.guard import Access
    from workflows.client import Client

TO_GET = 'pip install "timeline-analytics[page]"'
#: Bytes of a request's head.
MAX_HEAD = 2 << 20
#: Seconds that answers under way have when it is stopped.
GRACE = 3


def is_installed() -> bool:
    """Whether what the extra "page" brings is there."""
    return all(map(find_spec, ("fastapi", "nicegui", "uvicorn")))


def address_of(host: str, listening: socket.socket) -> str:
    """The beginning of the addresses of what listens."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


async def answering(
    client: Client, access: Access, listening: socket.socket, temporal_ui: str | None = None
) -> None:
    """Answers whoever asks, until it is cancelled or ends by itself."""
    import uvicorn

    from timeline.cli.serving.app import make_app

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Leaves signals to us."""
            yield

    workflows = None
    if temporal_ui is not None:
        workflows = f"{temporal_ui.rstrip('/')}/namespaces/{quote(client.temporal.namespace)}/workflows"
    config = uvicorn.Config(
        make_app(client, access, workflows),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        # Keys and expressions in a query may be long; the routes say how long.
        http="h11",
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    server = Server(config)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        server.should_exit = True
        await running
        raise


def listen(host: str, port: int) -> socket.socket:
    """Listens on an address.

    Raises:
        UsageError: it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another with --host "
            "and --port, or --port 0 for any that is free"
        ) from None

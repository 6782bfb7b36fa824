"""The command ``serve``: the page and the HTTP API, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlsplit

import typer

from timeline.cli.connecting import run_until_signalled
from timeline.cli.logs import LogFormat, LogLevel
from timeline.cli.observing import LogFormatOption, LogLevelOption, MetricsOption, Observed
from timeline.cli.options import UsageError
from timeline.errors import ServiceError

if TYPE_CHECKING:
    from timeline.cli.serving.guard import Access
    from workflows.client import Client

LOOPBACK = ("localhost", "127.0.0.1", "::1")
WILD = ("0.0.0.0", "::")
TO_GET = 'pip install "timeline-analytics[page]"'
MIN_TOKEN = 16
#: Bytes of a request's head.
MAX_HEAD = 2 << 20
#: Seconds that answers under way have when it is stopped.
GRACE = 3


def serve(
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8280,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="TIMELINE_TOKEN_FILE",
            help="Who asks must give the token in this file; else that in TIMELINE_TOKEN, if any.",
        ),
    ] = None,
    proxy_header: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Or have this header, which a proxy in front sets, and removes from what others send.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A name by which this service is called. May be repeated."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Only answer: nothing is registered, changed or removed.")
    ] = False,
    temporal_ui: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="TIMELINE_TEMPORAL_UI",
            help="Where Temporal's own UI is (http://127.0.0.1:8233): the page links to it.",
        ),
    ] = None,
    metrics_address: MetricsOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
    log_level: LogLevelOption = LogLevel.WARNING,
) -> None:
    """Serve the page (/) and the HTTP API (/api/v1): timelines and questions. Needs the extra "page".

    Connects as TEMPORAL_ADDRESS and its kin say. On another address than this machine's own it needs a token,
    and then has no page, or a proxy's header.
    """
    if not is_installed():
        raise UsageError(f"`timeline serve` needs more: {TO_GET}")
    from timeline.cli.serving.guard import Access

    token = _token(token_file)
    if host not in LOOPBACK and token is None and proxy_header is None:
        raise UsageError(
            f"--host {host} can be reached from elsewhere: give --token-file (or TIMELINE_TOKEN), or "
            "--proxy-header"
        )
    if host in WILD and not allow_host:
        raise UsageError(f"--host {host} says not how this service is called: give --allow-host NAME")
    named = [] if host in WILD else [host]
    hosts = tuple(name.lower() for name in [*LOOPBACK, *named, *(allow_host or [])])
    access = Access(hosts, token, proxy_header, read_only)
    observed = Observed(metrics_address, None, log_format, log_level)
    if temporal_ui is not None and urlsplit(temporal_ui).scheme not in ("http", "https"):
        raise UsageError(f"--temporal-ui is an address such as http://127.0.0.1:8233, got {temporal_ui!r}")
    run_until_signalled(_serve(host, port, access, observed, temporal_ui))


def _token(file: Path | None) -> str | None:
    """The token, if there is one."""
    if file is None:
        token, where = os.environ.get("TIMELINE_TOKEN"), "TIMELINE_TOKEN"
    else:
        where = str(file)
        try:
            token = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise UsageError(f"--token-file {file} cannot be read: {reason}") from None
    if token is not None and len(token) < MIN_TOKEN:
        raise UsageError(f"the token in {where} has {len(token)} characters; it needs {MIN_TOKEN} or more")
    return token


def is_installed() -> bool:
    """Whether what the extra "page" brings is there."""
    return all(map(find_spec, ("fastapi", "nicegui", "uvicorn")))


async def _serve(host: str, port: int, access: Access, observed: Observed, temporal_ui: str | None) -> None:
    from timeline.cli.serving.app import has_page
    from workflows.client import Client

    announce = observed.begin()
    client = await Client.connect()
    with listen(host, port) as listening:
        url = address_of(host, listening)
        page = f"; the page is at {url}" if has_page(access) else ""
        announce(f"Serving {url}/api/v1, described by {url}/api/v1/openapi.json{page}. Stop with Ctrl-C.")
        await serving(client, access, listening, temporal_ui)
    raise ServiceError(f"the service at {url} ended by itself; its log says why")


def address_of(host: str, listening: socket.socket) -> str:
    """The beginning of the addresses of what listens."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


async def serving(
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

"""The command ``serve``: the page and the HTTP API, until it is stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from timeline.cli.connecting import run_until_signalled
from timeline.cli.listening import TO_GET, address_of, answering, is_installed, listen
from timeline.cli.logs import LogFormat, LogLevel
from timeline.cli.observing import LogFormatOption, LogLevelOption, MetricsOption, Observed
from timeline.cli.options import UsageError
from timeline.errors import ServiceError

if TYPE_CHECKING:
    from timeline.cli.serving.guard import Access

LOOPBACK = ("localhost", "127.0.0.1", "::1")
WILD = ("0.0.0.0", "::")
MIN_TOKEN = 16


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

    It finds the Temporal server by TEMPORAL_ADDRESS, as all commands do. If --host is not an address of this
    machine alone, it needs a token, with which people sign in to the page, or a proxy's header.
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


async def _serve(host: str, port: int, access: Access, observed: Observed, temporal_ui: str | None) -> None:
    from workflows.client import Client

    announce = observed.begin()
    client = await Client.connect()
    with listen(host, port) as listening:
        url = address_of(host, listening)
        announce(
            f"Serving {url}/api/v1, described by {url}/api/v1/openapi.json; the page is at {url}. "
            "Stop with Ctrl-C."
        )
        await answering(client, access, listening, temporal_ui)
    raise ServiceError(f"the service at {url} ended by itself; its log says why")

"""Commands that run until they are stopped: ``dev``, ``worker``, ``codec``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timeline.cli.connecting import connect_temporal, patience, run_until_signalled
from timeline.cli.listening import TO_GET, address_of, answering, is_installed, listen
from timeline.cli.logs import LogFormat, LogLevel
from timeline.cli.observing import (
    HealthOption,
    HealthServer,
    LogFormatOption,
    LogLevelOption,
    MetricsOption,
    Observed,
    host_and_port,
)
from timeline.cli.options import SinkRootOption, StoreOption, UsageError
from timeline.cli.saying import say
from timeline.errors import ServiceError, UnavailableError

if TYPE_CHECKING:
    from timeline.sinks.batches import Writer
    from workflows.connection import TemporalClient
    from workflows.server import DevServer

DEFAULT_PORT = 7233
DEFAULT_BROKER_PORT = 6650
#: How far behind the server's the port of the page is: 8280 beside 7233.
PAGE_BEHIND = 1_047


def dev(
    db: Annotated[Path, typer.Option(metavar="FILE", help="Database file; it is made if missing.")] = Path(
        ".timeline/dev.db"
    ),
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the server; 0 takes a free one.")] = (
        DEFAULT_PORT
    ),
    ui_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port of the UI [default: port + 1000]; 0 takes a free one."),
    ] = None,
    page_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port of the page [default: port + 1047]; 0 takes a free one."),
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Start no UI and no page.")] = False,
    worker: Annotated[bool, typer.Option(help="Run a worker too.")] = True,
    ready_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the server's address here when all is ready."),
    ] = None,
    store: StoreOption = None,
    sink_root: SinkRootOption = None,
) -> None:
    """Run an embedded Temporal server on a database file, with its UI, a worker, and the page.

    For development and small uses. Stop it with Ctrl-C. The file keeps what it knows, and a directory
    beside it keeps large states [default: the file's name with .store]. The page and the HTTP API are
    those of `timeline serve`, and need the extra "page".
    """
    store = store or f"file:{db.with_suffix('.store')}"
    if headless:
        ui_port = page_port = None
    else:
        # Beside the server's; where that is any, they are too.
        ui_port = ui_port if ui_port is not None else port + 1_000 if port else 0
        page_port = page_port if page_port is not None else port + PAGE_BEHIND if port else 0
    run_until_signalled(_dev(db, port, ui_port, page_port, store if worker else None, ready_file, sink_root))


async def _dev(
    db: Path,
    port: int,
    ui_port: int | None,
    page_port: int | None,
    store: str | None,
    ready_file: Path | None,
    sink_roots: list[Path] | None,
) -> None:
    from workflows.attributes import prepare
    from workflows.connection import connect_embedded
    from workflows.memory import sparing_memory
    from workflows.payloads.server import CodecServer
    from workflows.server import DevServer
    from workflows.stores.opening import with_store
    from workflows.worker import attend, make_worker

    paged = page_port is not None and is_installed()
    server = DevServer(db, port=port, ui_port=ui_port)
    # Before the ports: whoever has the database is most likely to have them too.
    await server.claim()
    _refuse_taken({"--port": port, "--ui-port": ui_port, "--page-port": page_port if paged else None})
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(sparing_memory())
        server.codec_url = None if ui_port is None else stack.enter_context(CodecServer()).url
        await stack.enter_async_context(server)
        with contextlib.suppress(ServiceError):  # of a database where somebody has others of these names
            await prepare(await connect_embedded(server.address))
        if store is not None:
            client = await connect_embedded(server.address)
            client, opened = await stack.enter_async_context(with_store(client, store))
            await stack.enter_async_context(
                make_worker(client, topic_writer=_to_topic, sink_roots=sink_roots or None)
            )
        page = ""
        if page_port is not None:
            page = f"  page       {await _page(stack, server, page_port) if paged else f'none; {TO_GET}'}\n"
        if ready_file is not None:
            await asyncio.to_thread(ready_file.write_text, server.address + "\n")
            stack.callback(ready_file.unlink, missing_ok=True)
        ui = "" if server.ui_port is None else f"  UI         http://127.0.0.1:{server.ui_port}\n"
        say(
            f"Timeline is ready.\n  Temporal   {server.address}\n{ui}{page}  database   {db}\n"
            f"  worker     {'running here' if store else 'none; start `timeline worker`'}"
        )
        if server.port != DEFAULT_PORT:
            say(f"For other commands: export TEMPORAL_ADDRESS={server.address}")
        say("Stop with Ctrl-C.")
        if store is not None:
            await attend(client, opened)
        await asyncio.Event().wait()


async def _page(stack: contextlib.AsyncExitStack, server: DevServer, port: int) -> str:
    """Serves the page as long as the stack is; its address."""
    from timeline.cli.serving.guard import Access
    from workflows.client import Client
    from workflows.connection import connect_embedded

    client = Client(await connect_embedded(server.address))
    listening = stack.enter_context(listen("127.0.0.1", port))
    temporal_ui = f"http://127.0.0.1:{server.ui_port}"
    running = asyncio.create_task(answering(client, Access(), listening, temporal_ui))

    async def end() -> None:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    stack.push_async_callback(end)
    return address_of("127.0.0.1", listening)


def broker(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the broker; 0 takes a free one.")] = (
        DEFAULT_BROKER_PORT
    ),
    web_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of its admin API; 0 takes a free one.")
    ] = 8080,
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder that keeps topics.")] = Path(
        ".timeline/pulsar"
    ),
) -> None:
    """Run a Pulsar broker for development, from its own jars: needs Java 17 and, the first time, Maven.

    Stop it with Ctrl-C. Topics are kept in the folder.
    """
    run_until_signalled(_broker(port, web_port, data))


async def _broker(port: int, web_port: int, data: Path) -> None:
    from feeder.broker import Broker

    _refuse_taken({"--port": port, "--web-port": web_port})
    running = Broker(data, port=port, web_port=web_port)
    try:
        await running.start(lambda text: say(text, err=True))
        say(f"Pulsar is ready.\n  broker     {running.service_url}\n  admin API  {running.web_url}")
        if running.port != DEFAULT_BROKER_PORT:
            say(f"For other commands: export PULSAR_SERVICE_URL={running.service_url}")
        say("Stop with Ctrl-C.")
        await asyncio.Event().wait()
    finally:
        await running.stop()


def worker(
    store: StoreOption = None,
    sink_root: SinkRootOption = None,
    processes: Annotated[
        int, typer.Option(min=1, max=256, metavar="N", help="How many processes. One uses one core.")
    ] = 1,
    build_id: Annotated[
        str | None,
        typer.Option(
            metavar="BUILD",
            envvar="TIMELINE_BUILD_ID",
            help="The build of this worker: it takes only runs that this build began (`timeline upgrade`).",
        ),
    ] = None,
    metrics_address: MetricsOption = None,
    health_address: HealthOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
    log_level: LogLevelOption = LogLevel.WARNING,
) -> None:
    """Run a worker: it computes the nodes. TEMPORAL_ADDRESS says where the server is.

    With a store, nodes may hold more than fits into a message. All workers need the same store.
    With several processes, a process that is killed is started again. For metrics and health each
    process takes the next port.
    """
    observed = Observed(metrics_address, health_address, log_format, log_level)
    if processes > 1:
        from timeline.cli.processes import run_workers

        given = {} if store is None else {"TIMELINE_STORE": store}
        if build_id:
            given["TIMELINE_BUILD_ID"] = build_id
        if sink_root:
            given["TIMELINE_SINK_ROOT"] = os.pathsep.join(map(str, sink_root))
        environments = [{**os.environ, **given, **observed.environment(n)} for n in range(processes)]
        run_until_signalled(run_workers(environments))
    else:
        run_until_signalled(_worker(store, sink_root, build_id or None, observed))


async def _worker(
    store: str | None, sink_roots: list[Path] | None, build_id: str | None, observed: Observed
) -> None:
    from workflows.connection import namespace_is_there
    from workflows.memory import sparing_memory

    announce = observed.begin()
    begun = time.monotonic()

    async def run() -> None:
        nonlocal begun
        client = await connect_temporal()
        await namespace_is_there(client)
        begun = time.monotonic()
        await _work(client, store, sink_roots, build_id, observed, announce)

    async with sparing_memory():
        while True:
            waiting, begun = patience(), time.monotonic()
            try:
                await waiting.ask(run)
            except UnavailableError:
                # One that has worked for longer than that has not been waiting.
                if time.monotonic() - begun < max(waiting.seconds, 1.0):
                    raise


async def _work(
    client: TemporalClient,
    store: str | None,
    sink_roots: list[Path] | None,
    build_id: str | None,
    observed: Observed,
    announce: Callable[[str], None],
) -> None:
    """Runs a worker on a connection, for ever.

    Raises:
        UnavailableError: it could not go on.
    """
    from workflows.client import Client
    from workflows.connection import deployment, task_queue, trouble
    from workflows.metrics import adding_up
    from workflows.stores.opening import with_store
    from workflows.worker import attend, make_worker

    target = client.service_client.config.target_host
    opened = None
    try:
        async with contextlib.AsyncExitStack() as stack:
            if store is not None:
                client, opened = await stack.enter_async_context(with_store(client, store))
            await stack.enter_async_context(
                make_worker(client, build_id=build_id, topic_writer=_to_topic, sink_roots=sink_roots or None)
            )
            if observed.metrics is not None:
                await stack.enter_async_context(adding_up())
            if observed.health is not None:
                place = host_and_port(observed.health, "--health-address")
                stack.enter_context(HealthServer(*place, lambda: trouble(client)))
            of = f", build {build_id!r} of {deployment()!r}" if build_id else ""
            announce(f"Worker is ready: task queue {task_queue()!r} at {target}{of}. Stop with Ctrl-C.")
            if build_id and await Client(client).builds.current() != build_id:
                announce(f"Nothing begins on build {build_id!r} before `timeline upgrade {build_id}`.")
            await attend(client, opened)
            await asyncio.Event().wait()
    except RuntimeError as error:
        # The SDK's word for all that keeps a worker from polling: no such namespace, no permission.
        detail = str(error).split("Status {")[0].strip().rstrip(":")
        raise UnavailableError(f"no worker can run at {target}: {detail}") from None


def _refuse_taken(ports: Mapping[str, int | None]) -> None:
    """Complains of a port, named by its option, that another server listens on; 0 takes a free one."""
    from workflows.child import port_is_free

    for option, port in ports.items():
        if port and not port_is_free(port):
            raise UsageError(
                f"port {port} is taken: another server may be running; choose another with "
                f"{option}, or {option} 0 for any that is free"
            )


def _to_topic(topic: str, name: str) -> Writer:
    # Only a worker that has a sink on a topic loads Pulsar's client.
    from producer.pulsar.sink import TopicWriter

    return TopicWriter(topic, name)


def codec(
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
    ] = 8234,
) -> None:
    """Run the codec endpoint: Temporal's UI and CLI read compressed and encrypted payloads with it."""
    run_until_signalled(_codec(port))


async def _codec(port: int) -> None:
    from workflows.payloads.server import CodecServer

    _refuse_taken({"--port": port})
    with CodecServer(port) as server:
        say(f"Codec endpoint is ready: {server.url}. Stop with Ctrl-C.")
        await asyncio.Event().wait()

"""What commands that go on offer those who look after them: metrics, health, a log."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Annotated, Self

import typer

from timeline.cli.logs import LogFormat, LogLevel, set_up
from timeline.cli.options import UsageError

#: Seconds that a check may take before it counts as failed.
PATIENCE = 5.0

MetricsOption = Annotated[
    str | None,
    typer.Option(
        "--metrics-address",
        metavar="HOST:PORT",
        envvar="TIMELINE_METRICS_ADDRESS",
        help="Serve Prometheus metrics at http://HOST:PORT/metrics.",
    ),
]
HealthOption = Annotated[
    str | None,
    typer.Option(
        "--health-address",
        metavar="HOST:PORT",
        envvar="TIMELINE_HEALTH_ADDRESS",
        help="Serve /healthz (it runs) and /readyz (it can work) at http://HOST:PORT.",
    ),
]
LogFormatOption = Annotated[
    LogFormat,
    typer.Option("--log-format", envvar="TIMELINE_LOG_FORMAT", help="Log as text, or as lines of JSON."),
]
LogLevelOption = Annotated[
    LogLevel,
    typer.Option("--log-level", envvar="TIMELINE_LOG_LEVEL", help="Log messages from this level on."),
]


@dataclass(frozen=True, slots=True)
class Observed:
    """Where and how a command is looked after; an address is HOST:PORT."""

    metrics: str | None = None
    health: str | None = None
    form: LogFormat = LogFormat.TEXT
    level: LogLevel = LogLevel.WARNING

    def __post_init__(self) -> None:
        for option, address in (("--metrics-address", self.metrics), ("--health-address", self.health)):
            if address is not None:
                host_and_port(address, option)

    def environment(self, number: int = 0) -> dict[str, str]:
        """The same for another process, the number-th after this: with ports that are so much higher."""

        def shifted(address: str, option: str) -> str:
            host, port = host_and_port(address, option)
            if port + number > 65_535:
                raise UsageError(f"{option} {address} with {number + 1} processes is beyond port 65535")
            return f"{host}:{port + number}"

        if self.metrics is not None and self.health is not None:
            (one, metrics), (other, health) = (
                host_and_port(address, "") for address in (self.metrics, self.health)
            )
            if one == other and abs(metrics - health) <= number:
                raise UsageError(
                    f"--metrics-address {self.metrics} and --health-address {self.health} are too near to "
                    f"each other for {number + 1} processes, each of which has the next port; choose ports "
                    "further apart"
                )
        told = {"TIMELINE_LOG_FORMAT": self.form.value, "TIMELINE_LOG_LEVEL": self.level.value}
        if self.metrics is not None:
            told["TIMELINE_METRICS_ADDRESS"] = shifted(self.metrics, "--metrics-address")
        if self.health is not None:
            told["TIMELINE_HEALTH_ADDRESS"] = shifted(self.health, "--health-address")
        return told

    def begin(self) -> Callable[[str], None]:
        """Sets log and metrics up, before any client is made; how to say what people should hear.

        Raises:
            ServiceError: metrics cannot be served at that address.
        """
        say = set_up(self.form, self.level)
        from workflows.metrics import serve_metrics

        serve_metrics(self.metrics, logging.getLogger("temporalio"))
        return say


def host_and_port(address: str, option: str) -> tuple[str, int]:
    """The parts of an address.

    Raises:
        UsageError: it is none; ``option`` is named then.

    >>> host_and_port("127.0.0.1:9464", "--metrics-address")
    ('127.0.0.1', 9464)
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= 65_535:
        raise UsageError(f"{option} needs HOST:PORT, such as 127.0.0.1:9464, got {address!r}")
    return host, int(port)


#: Why something cannot work at the moment; ``None``: it can.
Check = Callable[[], Awaitable[str | None]]


class _Server(ThreadingHTTPServer):
    def __init__(self, place: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        super().__init__(place, handler)


class HealthServer:
    """Answers ``/healthz`` with 200 as long as the event loop turns, and ``/readyz`` with 200 while ``check``
    finds nothing wrong, else both with 503 and the reason. In a thread; ``with`` starts and stops it."""

    def __init__(self, host: str, port: int, check: Check) -> None:
        loop = asyncio.get_running_loop()

        async def alive() -> None:
            return None

        checks: dict[str, Check] = {"/healthz": alive, "/readyz": check}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = checks.get(self.path.partition("?")[0])
                if asked is None:
                    self._answer(404, "ask for /healthz or /readyz")
                    return

                async def work() -> str | None:
                    return await asked()

                running = asyncio.run_coroutine_threadsafe(work(), loop)
                try:
                    wrong = running.result(PATIENCE)
                except TimeoutError:
                    running.cancel()
                    wrong = f"no answer within {PATIENCE:g} s"
                self._answer(200 if wrong is None else 503, wrong)

            def _answer(self, status: int, wrong: str | None) -> None:
                told = {"status": "ok"} if wrong is None else {"status": "failing", "reason": wrong}
                body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing: it is asked every few seconds."""

        try:
            self._server = _Server((host.strip("[]"), port), Handler)
        except OSError as error:
            raise UsageError(
                f"--health-address {host}:{port} cannot be listened on: {error.strerror or error}"
            ) from None

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

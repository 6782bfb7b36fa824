"""The codec endpoint: lets Temporal's UI and CLI read compressed payloads, as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from timeline.errors import TimelineError, WireError, shortened
from workflows.payloads.codec import TimelineCodec, readable, told

#: Bytes of a request, and of what is read of it; numbers of one value that are shown.
MAX_BODY, MAX_MADE, MAX_SHOWN = 8 << 20, 16 << 20, 500_000
#: Seconds that a request may take to come.
TIMEOUT = 30
LOCAL = ("localhost", "127.0.0.1", "::1")


class _Handler(BaseHTTPRequestHandler):
    """``POST /encode`` and ``POST /decode`` with payloads as protobuf's JSON."""

    def do_OPTIONS(self) -> None:
        self._answer(200, b"")

    timeout = TIMEOUT

    def do_POST(self) -> None:
        if not (_is_local(self.headers.get("Origin")) and _is_ours(self.headers.get("Host"))):
            self._refuse(403, "only pages of this machine may ask")
            return
        action = self.path.rstrip("/").rsplit("/", 1)[-1]
        length = self.headers.get("Content-Length") or ""
        if action not in ("encode", "decode") or not (length.isdecimal() and len(length) < 10):
            self._refuse(400, "POST payloads to /encode or /decode, with their Content-Length")
            return
        if not 0 < int(length) <= MAX_BODY:
            self._refuse(413, f"a request has 1 to {MAX_BODY} bytes, got {int(length)}")
            return
        try:
            payloads = json_format.Parse(self.rfile.read(int(length)), Payloads()).payloads
            made = asyncio.run(TimelineCodec().encode(payloads)) if action == "encode" else _shown(payloads)
            answer = json_format.MessageToJson(Payloads(payloads=made))
        # Whatever is wrong with a request, the endpoint goes on for others.
        except Exception as error:
            self._refuse(400, shortened(f"{type(error).__name__}: {error}", 300))
            return
        self._answer(200, answer.encode())

    def _refuse(self, status: int, why: str) -> None:
        self.close_connection = True
        self._answer(status, json.dumps({"message": why}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        origin = self.headers.get("Origin")
        if origin is not None and _is_local(origin):
            self.send_header("Access-Control-Allow-Origin", origin)
        self.send_header("Access-Control-Allow-Methods", "POST, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "content-type, x-namespace")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: a line per payload would drown the ready message."""


def _is_local(origin: str | None) -> bool:
    """Whether a request is no page's, or one of a page of this machine: what is decrypted is for no other."""
    return origin is None or _host(origin) in LOCAL


def _is_ours(host: str | None) -> bool:
    """Whether a request was sent to this machine by a name of it, and not by one of another's that somebody
    has made to lead here."""
    return host is None or _host(f"//{host}") in LOCAL


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _shown(payloads: Sequence[Payload]) -> list[Payload]:
    """Payloads as a person reads them. All of a request together become no more than `MAX_MADE` bytes: what
    would be more is told of instead."""
    made: list[Payload] = []
    left = MAX_MADE
    for payload in payloads:
        try:
            shown = readable(payload, MAX_SHOWN)
            if len(shown.data) > left:
                raise WireError("it is too large to be shown beside the others of this page")
        except TimelineError as error:
            shown = told(f"{len(payload.data)} bytes that cannot be shown: {error}")
        left -= len(shown.data)
        made.append(shown)
    return made


class CodecServer:
    """The endpoint on the loopback address, in a thread; ``with`` starts and stops it."""

    def __init__(self, port: int = 0) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> CodecServer:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

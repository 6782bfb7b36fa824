"""The codec endpoint: lets Temporal's UI and CLI read compressed payloads, as JSON."""

from __future__ import annotations

import asyncio
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads

from timeline.errors import TimelineError
from workflows.payloads.codec import TimelineCodec, readable

MAX_BODY = 16 << 20


class _Handler(BaseHTTPRequestHandler):
    """``POST /encode`` and ``POST /decode`` with payloads as protobuf's JSON."""

    def do_OPTIONS(self) -> None:
        self._answer(200, b"")

    def do_POST(self) -> None:
        if not _is_local(self.headers.get("Origin")):
            self._answer(403, b'{"message": "only pages of this machine may ask"}')
            return
        action = self.path.rstrip("/").rsplit("/", 1)[-1]
        length = int(self.headers.get("Content-Length") or 0)
        if action not in ("encode", "decode") or not 0 < length <= MAX_BODY:
            self._answer(400, b'{"message": "POST payloads to /encode or /decode"}')
            return
        try:
            payloads = json_format.Parse(self.rfile.read(length), Payloads()).payloads
            codec = TimelineCodec()
            work = codec.encode(payloads) if action == "encode" else codec.decode(payloads)
            made = asyncio.run(work)
            if action == "decode":
                made = [readable(payload) for payload in made]
            answer = json_format.MessageToJson(Payloads(payloads=made))
        except (json_format.ParseError, ValueError, TimelineError) as error:
            self._answer(400, json_format.MessageToJson(Payloads()).encode())
            self.log_error("%s", error)
            return
        self._answer(200, answer.encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Access-Control-Allow-Origin", self.headers.get("Origin") or "*")
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
    return origin is None or urlsplit(origin).hostname in ("localhost", "127.0.0.1", "::1")


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

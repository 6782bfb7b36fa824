"""A receiver of webhooks on this machine: takes messages, checks who they are of, or refuses them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any, Self

from tests.support.certificates import Pair
from tests.support.cli import PATIENCE


@dataclass(frozen=True, slots=True)
class Message:
    """What came: where to, its id, the data of its body, and who it is of (the secret, if it is known)."""

    path: str
    number: str
    data: dict[str, Any]
    by: str | None


class Receiver:
    """Listens while it is entered. ``answers`` are the statuses (with headers) of the next requests; those of
    all after are 200. ``messages`` are those that were answered so."""

    def __init__(self, *secrets: str, pair: Pair | None = None, port: int = 0) -> None:
        self.secrets = secrets
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.messages: list[Message] = []
        self.refused = 0
        self._changed = Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers = receiver._take(self.path, dict(self.headers.items()), body)
                self.send_response(status)
                for name, value in (headers | {"Content-Length": "6"}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"secret")

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Says nothing: who posts may be killed meanwhile."""

        self._server = Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.certificate, pair.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'http' if pair is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, messages: int) -> None:
        """Returns when so many messages were taken."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.messages) >= messages, PATIENCE)

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        number, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        signed = f"{number}.{timestamp}.".encode() + body
        given = headers["webhook-signature"].split()
        by = [secret for secret in self.secrets if _signature(secret, signed) in given]
        with self._changed:
            status, more = self.answers.pop(0) if self.answers else (200, {})
            if status == 200:
                data = json.loads(body)
                assert data.keys() == {"type", "timestamp", "data"}
                assert data["type"] == "timeline.row"
                self.messages.append(Message(path, number, data["data"], by[0] if by else None))
            else:
                self.refused += 1
            self._changed.notify_all()
        return status, more


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()

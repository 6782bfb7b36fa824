"""The token of the admin API: only over TLS or to this machine, and to nobody that an answer names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.error import HTTPError

import pytest

from producer.pulsar.admin import Admin
from timeline.errors import ServiceError

asked: list[tuple[str, str | None]] = []


class Redirecting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked.append((self.path, self.headers["Authorization"]))
        self.send_response(307)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/stolen")  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def redirecting() -> Iterator[str]:
    asked.clear()
    with HTTPServer(("127.0.0.1", 0), Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_redirect_is_not_followed(redirecting: str) -> None:
    with pytest.raises(HTTPError) as error:
        Admin(redirecting, "a-secret").ask("clusters")
    error.value.close()
    assert error.value.code == 307
    assert asked == [("/admin/v2/clusters", "Bearer a-secret")]


@pytest.mark.parametrize(
    "url",
    [
        "http://pulsar.example:8080",
        "http://localhost.example/",
        "http://a:b@10.0.0.1:80",
        "http://[2001:db8::1]:8080",
    ],
)
def test_a_token_does_not_go_in_plain_text(url: str) -> None:
    with pytest.raises(
        ServiceError, match=r"a token would go to http://.* in plain text; use https://"
    ) as error:
        Admin(url, "a-secret")
    assert "a-secret" not in str(error.value)
    assert "a:b" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["https://pulsar.example", "http://localhost:8080", "http://127.0.0.1:80", "http://[::1]:80"]
)
def test_where_it_may_go(url: str) -> None:
    assert Admin(f"{url}/", "a-secret").url == f"{url}/admin/v2"


def test_without_a_token_any_may_be_asked() -> None:
    assert Admin("http://pulsar.example:8080").url == "http://pulsar.example:8080/admin/v2"


def test_the_environment_is_held_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSAR_ADMIN_URL", "http://pulsar.example:8080")
    monkeypatch.setenv("PULSAR_TOKEN", "a-secret")
    with pytest.raises(ServiceError, match="in plain text"):
        Admin.from_environment()

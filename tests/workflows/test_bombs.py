"""No payload of up to 2 MiB takes a worker, or the codec endpoint, more than 300 MB."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from tests.support.bombs import BOMBS, STATES, peak
from tests.support.cli import Cli, wait_for_line

MOST = 300
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", BOMBS)
def test_a_worker_reads_it_or_says_why_not(name: str) -> None:
    read("payload", BOMBS[name]().SerializeToString())


@pytest.mark.parametrize("name", STATES)
def test_a_worker_reads_a_state_that_a_start_carries_or_says_why_not(name: str) -> None:
    said = read("state", STATES[name]())
    # Lists that are no state are told as such.
    assert (said == "read") == (name in ("rows", "keys", "rows and keys")), said


def read(kind: str, data: bytes) -> str:
    """What a process says that reads a bomb."""
    assert len(data) < 2 << 20
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.bombs", kind],
        input=b"\n" + data,
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    megabytes, said = done.stdout.decode().strip().split(maxsplit=1)
    assert int(megabytes) < MOST, said
    assert len(said) < 500
    return said


@pytest.fixture
def endpoint(local_cli: Cli) -> tuple[int, int]:
    """The port of a codec endpoint in a process of its own, and the process."""
    process = local_cli.start("codec", "--port", "0")
    line = wait_for_line(process, "Codec endpoint is ready")
    return int(line.split(":")[-1].split(".")[0]), process.pid


def ask(port: int, body: bytes, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.putrequest("POST", "/decode", skip_host="Host" in headers)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders(body)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def body(*payloads: Payload) -> bytes:
    return json_format.MessageToJson(Payloads(payloads=payloads)).encode()


def test_the_endpoint_shows_what_it_can_and_says_what_it_cannot(endpoint: tuple[int, int]) -> None:
    port, pid = endpoint
    good = Payload(metadata={"encoding": b"json/plain"}, data=b'"good"')
    for name, bomb in BOMBS.items():
        status, answer = ask(port, body(good, bomb()))
        assert status == 200, (name, answer[:300])
        first, second = json_format.Parse(answer, Payloads()).payloads
        assert first == good
        assert len(second.data) <= 16 << 20
    status, answer = ask(port, body(*[BOMBS["columns that fit"]()] * 50))
    assert status == 200
    assert peak(pid) < MOST


ODD: dict[str, tuple[bytes, dict[str, str], int]] = {
    "no JSON": (b"{", {}, 400),
    "bad protobuf": (b'{"payloads": [{"metadata": 5}]}', {}, 400),
    "bad base 64": (b'{"payloads": [{"data": 5}]}', {}, 400),
    "text": (b"\xff\xfe", {}, 400),
    "nested": (b"[" * 100_000, {}, 400),
    "a length that is none": (b"", {"Content-Length": "abc"}, 400),
    "a length below 0": (b"", {"Content-Length": "-1"}, 400),
    "a length of thousands of digits": (b"", {"Content-Length": "9" * 5_000}, 400),
    "too long": (b"", {"Content-Length": str(1 << 29)}, 413),
    "another page": (b"{}", {"Origin": "https://example.com"}, 403),
    "an odd page": (b"{}", {"Origin": "http://[::1"}, 403),
    "no page": (b"{}", {"Origin": "null"}, 403),
    "another host": (b"{}", {"Host": "example.com"}, 403),
    "an odd host": (b"{}", {"Host": "[::1"}, 403),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_request_is_refused_and_the_endpoint_goes_on(endpoint: tuple[int, int], name: str) -> None:
    sent, headers, status = ODD[name]
    found, answer = ask(endpoint[0], sent, **headers)
    assert found == status
    assert len(json.loads(answer)["message"]) < 400
    assert ask(endpoint[0], body())[0] == 200

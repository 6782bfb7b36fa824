"""Webhooks: rows go where the worker allows, signed, and again until they are taken."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from tests.support.certificates import Authority
from tests.support.cli import Cli
from tests.support.receiver import Receiver
from tests.support.sinks import batch
from timeline.errors import ServiceError
from timeline.sinks.batches import Batch, Written, given_out
from workflows.child import free_port
from workflows.writing import receivers
from workflows.writing.activity import SinkActivity

OLD, NEW = (f"whsec_{base64.b64encode(letter * 24).decode()}" for letter in (b"a", b"b"))


async def write(wanted: Batch) -> Written:
    return await ActivityEnvironment().run(SinkActivity([]).write, wanted)


async def refusal(wanted: Batch) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await write(wanted)
    return caught.value


def to(url: str, rows: int = 3, number: int = 0) -> Batch:
    return batch(url, number, rows, kind="webhook")


def test_signed_as_the_standard_says() -> None:
    """The example of standardwebhooks.com."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    one = receivers.Receiver("https://example.com", (secret,))
    said = one.signatures("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_each_row_is_a_message_that_keeps_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(OLD) as receiver:
        monkeypatch.setenv("TIMELINE_WEBHOOKS", f"{receiver.url}/rows {OLD}")
        url = f"{receiver.url}/rows/of-a?b=c"
        wanted = to(url)
        # What a key may be, no header may hold.
        wanted["rows"][0]["id"] = "i/\r\nx-evil: 1/\u2028/0"
        assert await write(wanted) == Written(offset=0, exactly_once=None)
        await write(wanted)
        assert [message.data for message in receiver.messages] == [
            given_out(r, "time") for r in wanted["rows"]
        ] * 2
        assert {message.path for message in receiver.messages} == {"/rows/of-a?b=c"}
        assert {message.by for message in receiver.messages} == {OLD}
        numbers = [message.number for message in receiver.messages]
        assert numbers[:3] == numbers[3:]
        assert len(set(numbers)) == 3


async def test_what_is_refused_is_kept_for_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(OLD) as receiver:
        monkeypatch.setenv("TIMELINE_WEBHOOKS", f"{receiver.url} {OLD}")
        receiver.answers = [(200, {}), (503, {})]
        assert await write(to(receiver.url)) == Written(offset=0, exactly_once=None, rows=1)
        for headers, wait in (
            ({}, None),
            ({"Retry-After": "7"}, timedelta(seconds=7)),
            ({"Retry-After": "86400"}, timedelta(minutes=5)),
            ({"Retry-After": "soon"}, None),
            ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, timedelta(0)),
        ):
            receiver.answers = [(429, headers)]
            error = await refusal(to(receiver.url))
            assert error.next_retry_delay == wait
            # Nothing of what it answered.
            assert error.message == f"webhook {receiver.url} answers 429 instead of 2xx"
        assert [message.data["id"] for message in receiver.messages] == ["i/0"]


async def test_no_answer_leads_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as other, Receiver() as receiver:
        lines = f"# ours\n\n{receiver.url}  {OLD} {NEW}\n"
        monkeypatch.setenv("http_proxy", other.url)
        receiver.answers = [(307, {"Location": f"{other.url}/"})]
        with pytest.MonkeyPatch.context() as file:
            file.setenv("TIMELINE_WEBHOOKS", lines.strip().splitlines()[-1])
            error = await refusal(to(receiver.url))
        assert "answers 307 instead of 2xx" in error.message
        assert (receiver.refused, other.refused, other.messages) == (1, 0, [])


async def test_while_a_secret_changes_both_sign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "webhooks"
    with Receiver(NEW) as receiver:
        file.write_text(f"# ours\n\nhttps://example.com/ {NEW}\n{receiver.url}  {OLD} {NEW}\n")
        file.chmod(0o600)
        monkeypatch.setenv("TIMELINE_WEBHOOKS_FILE", str(file))
        await write(to(receiver.url, 1))
        file.write_text(f"{receiver.url} {OLD}\n")  # takes effect at once
        await write(to(receiver.url, 1))
        assert [message.by for message in receiver.messages] == [NEW, None]


@pytest.mark.parametrize(
    "url",
    [
        "{url}",
        "{url}/rowsandmore",
        "{url}/rows/../admin",
        "{url}/rows/%2e%2e/admin",
        "{url}/rows%2f..%2fadmin",
        "http://localhost:{port}/rows",
        "https://127.0.0.1:{port}/rows",
        "http://127.0.0.1/rows",
        "http://169.254.169.254/latest/meta-data",
    ],
)
async def test_elsewhere(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with Receiver(OLD) as receiver:
        monkeypatch.setenv("TIMELINE_WEBHOOKS", f"{receiver.url}/rows {OLD}")
        error = await refusal(to(url.format(url=receiver.url, port=receiver.port)))
        assert "sinks of this worker may not post to the webhook" in error.message
        assert OLD not in error.message
        assert (receiver.messages, receiver.refused) == ([], 0)


async def test_nowhere_without_receivers() -> None:
    error = await refusal(to("https://example.com/"))
    assert "give the workers a line for example.com in TIMELINE_WEBHOOKS_FILE" in error.message


async def test_certificates_are_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "authority")
    with Receiver(OLD, pair=authority.issue("server", "127.0.0.1")) as receiver:
        monkeypatch.setenv("TIMELINE_WEBHOOKS", f"{receiver.url} {OLD}")
        error = await refusal(to(receiver.url))
        assert "its certificate is not accepted" in error.message
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        await write(to(receiver.url))
        assert [message.by for message in receiver.messages] == [OLD] * 3


async def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("TIMELINE_WEBHOOKS", f"{url} {OLD}")
    assert (await refusal(to(url))).message == f"webhook {url} does not answer: Connection refused"


@pytest.mark.parametrize(
    "line",
    ["https://example.com", "example.com {s}", "https://example.com {s} x", "https://example.com whsec_YQ=="],
)
def test_lines_that_are_none(line: str) -> None:
    with pytest.raises(ServiceError, match="here, webhook 1: must be URL SECRET, with an https://") as caught:
        receivers.read([line.format(s=OLD)], "here")
    assert "YWFh" not in str(caught.value)


def test_a_file_that_others_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "webhooks"
    file.write_text(f"https://example.com {OLD}\n")
    file.chmod(0o644)
    monkeypatch.setenv("TIMELINE_WEBHOOKS_FILE", str(file))
    with pytest.raises(ServiceError, match=r"can be read by others \(mode 644\): `chmod 600"):
        receivers.receivers()
    monkeypatch.setenv("TIMELINE_WEBHOOKS", f"https://example.com {OLD}")
    with pytest.raises(ServiceError, match="not both"):
        receivers.receivers()


def test_told_when_it_is_registered(local_cli: Cli) -> None:
    local_cli.environment["TIMELINE_WEBHOOKS"] = f"https://hooks.example.com/rows {OLD}"
    spec = 'name = "t"\nexpression = "count(x == 1)"\n[sink]\nurl = "https://hooks.example.com/other"\n'
    (local_cli.folder / "t.toml").write_text(spec)
    said = local_cli.bad("register", "t.toml")
    assert "t: sinks of this worker may not post to the webhook https://hooks.example.com/other" in said
    assert "nothing was registered" in said

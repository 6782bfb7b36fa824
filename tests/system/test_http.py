"""The HTTP API against a server and a worker: the examples of docs/http.md, its schema, streams, letters."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from feeder.broker import Broker
from feeder.files.feed import feed_files
from feeder.sources.pulsar import PulsarConnector
from feeder.topics.service import Feeder
from producer.pulsar.connection import connect
from tests.support.cli import PATIENCE, Cli, stop
from tests.support.http import Answer, ask
from tests.support.places import ROOT
from tests.support.servers import make_server
from tests.support.timelines import write
from tests.support.waiting import eventually
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.worker import make_worker

CDN = ROOT / "examples" / "rebuffering-by-cdn.toml"
PAGE = ROOT / "docs" / "http.md"
BUFFERS = {"expression": 'count(state == "buffer")', "source": {"key": "session"}}


@contextlib.asynccontextmanager
async def serving(cli: Cli, *more: str) -> AsyncIterator[str]:
    """The API's address, while it is served."""
    process, url = await asyncio.to_thread(cli.page, *more)
    yield f"{url}/api/v1"
    assert await asyncio.to_thread(stop, process, signal.SIGTERM) == 0


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[tuple[Client, Cli]]:
    """A server that has no other timelines, with a worker in this process; and the command line."""
    async with make_server(tmp_path / "dev.db") as server:
        temporal = await connect_embedded(server.address)
        async with make_worker(temporal):
            yield Client(temporal), Cli(server.address, tmp_path)


async def asked(url: str, method: str = "GET", body: object = None, **headers: str) -> Answer:
    return await asyncio.to_thread(ask, url, method, body, **headers)


async def fed(client: Client) -> None:
    """The example, registered and fed."""
    known = await client.register(CDN)
    await feed_files(client, known.spec, [CDN.with_suffix(".jsonl")])


async def test_the_examples_of_the_page(alone: tuple[Client, Cli]) -> None:
    """Every command says what stands below it; ``...`` stands for anything."""
    client, cli = alone
    await fed(client)
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    commands = [part for block in blocks for part in block.removeprefix("$ ").split("\n$ ")]
    assert len(commands) == 15
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    async with serving(cli) as api:
        for text in commands:
            command, _, expected = text.partition("\n")
            done = await asyncio.to_thread(
                subprocess.run,
                ["bash", "-c", command],
                cwd=cli.folder,
                env=os.environ | {"API": api, "PATH": path},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            pattern = ".*".join(map(re.escape, expected.strip().split("...")))
            assert re.fullmatch(pattern, done.stdout.strip(), re.DOTALL), (command, done.stdout, done.stderr)


async def test_its_own_schema(alone: tuple[Client, Cli]) -> None:
    """Whatever is sent is answered as the schema says, and never with an error of the server's own.

    Of expressions and specs the schema cannot say which are understood, so that not all that it allows is
    taken; streams never end.
    """
    client, cli = alone
    await fed(client)
    async with serving(cli) as api:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{api}/openapi.json"]
        options = [
            "--seed=1",
            "--max-examples=5",
            "--request-timeout=300",
            "--no-color",
            "--exclude-path-regex=changes$",
        ]
        done = await asyncio.to_thread(
            subprocess.run,
            [*command, *options, "--exclude-checks=positive_data_acceptance", "--phases=coverage,fuzzing"],
            cwd=cli.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 0, done.stdout
    assert "Tested: 21" in done.stdout


async def test_a_piped_expression_asks_its_question(alone: tuple[Client, Cli]) -> None:
    client, cli = alone
    piped = 'count(state == "buffer") | aggregate(group_by(cdn), count, sum)'
    spec = Spec.from_wire({"name": "buffers", **BUFFERS, "expression": piped})
    await client.register(spec)
    await feed_files(client, spec, [CDN.with_suffix(".jsonl")])
    async with serving(cli) as api:
        at = f"{api}/timelines/buffers/aggregate?at=10s"
        answer, other = await asyncio.gather(asked(at), asked(f"{at}&agg=max(value)"))
    assert answer.json["columns"] == ["time", "cdn", "count", "sum(value)"]
    assert answer.json["rows"] == (await client.aggregate("buffers", at="10s")).rows
    assert [row["count"] for row in answer.json["rows"]] == [1, 2]
    assert other.json["columns"] == ["time", "cdn", "max(value)"]


async def test_a_version_that_was_not_seen(alone: tuple[Client, Cli]) -> None:
    _, cli = alone
    async with serving(cli) as api:
        at = f"{api}/timelines/buffers"
        first = await asked(at, "PUT", BUFFERS)
        assert (first.status, first.json["version"], first.json["new"]) == (200, 1, True)
        again = await asked(at, "PUT", BUFFERS)
        assert (again.json["version"], again.json["new"]) == (1, False)
        other = BUFFERS | {"expression": 'count(state == "seek")'}
        for query in ("", "?version=2"):
            refused = await asked(at + query, "PUT", other)
            assert (refused.status, refused.headers["content-type"]) == (409, "application/problem+json")
            assert "registered with another spec, version 1" in refused.json["detail"]
        assert (await asked(f"{at}/versions")).json == [
            {"number": 1, "at": (await asked(f"{at}/versions")).json[0]["at"], "spec": first_spec(BUFFERS)}
        ]
        changed = await asked(f"{at}?version=1", "PUT", other)
        assert (changed.json["version"], changed.json["replaced"]) == (2, 1)
        assert changed.json["change"]["goes"] == [BUFFERS["expression"]]
        listed = (await asked(f"{api}/timelines?most=1")).json
        assert ([one["name"] for one in listed["timelines"]], listed["next"]) == (["buffers"], None)


def first_spec(body: object) -> object:
    return Spec.model_validate({"name": "buffers", **json.loads(json.dumps(body))}).to_wire()


async def test_all_that_is_wrong_with_a_spec(alone: tuple[Client, Cli]) -> None:
    _, cli = alone
    body = {
        "name": "other",
        "expression": "count(",
        "limits": {"shards": 0},
        "sink": {"folder": "here", "on": "change"},
    }
    async with serving(cli) as api:
        named = await asked(f"{api}/timelines/wrong", "PUT", body)
        assert named.json["problems"] == [
            {"path": "name", "detail": "must be 'wrong' as in the path, got 'other'"}
        ]
        wrong = await asked(f"{api}/timelines/wrong", "PUT", body | {"name": "wrong"})
        assert wrong.status == 422
        assert {one["path"] for one in wrong.json["problems"]} == {"expression", "limits.shards"}
        folder = await asked(f"{api}/timelines/wrong", "PUT", BUFFERS | {"sink": body["sink"]})
        assert folder.json["problems"] == [
            {"path": "sink.folder", "detail": "must be a whole path, got 'here'"}
        ]
        assert (await asked(f"{api}/timelines")).json["timelines"] == []


async def test_changes_arrive_as_they_come(alone: tuple[Client, Cli], tmp_path: Path) -> None:
    client, cli = alone
    known = await client.register(Spec(name="plays", **BUFFERS))  # type: ignore[arg-type]
    rows = [("a", 1_000, "buffer"), ("a", 2_000, "play"), ("b", 3_000, "buffer")]
    async with serving(cli) as api:
        stream = await asyncio.to_thread(urllib.request.urlopen, f"{api}/timelines/plays/changes?every=100ms")

        def next_look() -> dict[str, object]:
            for line in stream:
                if line.startswith(b"data: "):
                    found: dict[str, object] = json.loads(line.removeprefix(b"data: "))
                    return found
            raise AssertionError("the stream has ended")

        first = await asyncio.to_thread(next_look)
        assert (first["accepted"], first["keys"]) == (0, [])
        await feed_files(client, known.spec, [write(tmp_path / "events.jsonl", rows, "state")])
        look = first
        # A leaf may have accepted what the result, whose the keys and positions are, has not heard of yet.
        while look["positions"] != [[1, 3]]:
            look = await asyncio.to_thread(next_look)
        assert look["accepted"] == 3
        assert look["keys"] == [
            {"key": "b", "time": 3_000, "value": 1, "stream": 0, "error": None},
            {"key": "a", "time": 2_000, "value": 1, "stream": 0, "error": None},
        ]
        stream.close()


async def test_dead_letters_are_sent_again(alone: tuple[Client, Cli], broker: Broker) -> None:
    client, cli = alone
    cli.environment["PULSAR_SERVICE_URL"] = broker.service_url
    await broker.create_topic("letters", 1)
    source = {"topic": "letters", "key": "session"}
    await client.register(Spec.from_wire({"name": "letters", **BUFFERS, "source": source}), wait=False)
    pulsar = await asyncio.to_thread(connect)
    producer = pulsar.create_producer("letters")
    for message in (b'{"session": "a", "time": 1000, "state": "buffer"}', b"{oops", b"[]"):
        producer.send(message)
    feeding = asyncio.create_task(Feeder(PulsarConnector(pulsar), client, say=lambda _: None).run())
    async with serving(cli) as api:
        at = f"{api}/timelines/letters/dead-letters"

        async def two() -> bool:
            return len((await asked(at)).json["letters"]) == 2

        await eventually(two)
        page = (await asked(f"{at}?kind=broken&most=1")).json
        assert (page["more"], page["letters"][0]["message"], page["letters"][0]["kind"]) == (
            True,
            "{oops",
            "broken",
        )
        assert (await asked(f"{at}?first=1&most=1")).json["letters"][0]["message"] == "[]"
        assert (await asked(f"{at}?kind=late")).json == {"letters": [], "more": False}
        assert (await asked(f"{at}/send-again?kind=broken", "POST")).json == {"kind": "broken", "sent": 2}
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)
    await asyncio.to_thread(pulsar.close)


async def test_a_token_and_read_only(alone: tuple[Client, Cli]) -> None:
    _, cli = alone
    (cli.folder / "token").write_text("0123456789abcdef\n")
    bearer = "Bearer 0123456789abcdef"
    async with serving(cli, "--token-file=token", "--read-only") as api:
        assert (await asked(f"{api}/timelines")).status == 401
        assert (await asked(f"{api}/timelines", Authorization="Bearer wrong")).status == 401
        assert (await asked(f"{api}/timelines", Authorization=bearer)).status == 200
        page = api.removesuffix("api/v1")
        assert b'http-equiv="refresh"' in (await asked(page)).body  # on the way to the form
        assert b"Timeline</title>" in (await asked(page, Authorization=bearer)).body
        refused = await asked(f"{api}/timelines/buffers", "PUT", BUFFERS, Authorization=bearer)
        assert (refused.status, "read-only" in refused.json["detail"]) == (403, True)
        ready = await asked(api.replace("/api/v1", "/readyz"))
        assert (ready.status, ready.json["status"]) == (200, "ok")


WRONG_USE = [
    (("--host=0.0.0.0",), "give --token-file (or TIMELINE_TOKEN), or --proxy-header"),
    (("--host=0.0.0.0", "--proxy-header=x"), "says not how this service is called: give --allow-host NAME"),
    (("--token-file=absent",), "--token-file absent cannot be read: No such file or directory"),
    (("--token-file=short",), "the token in short has 3 characters; it needs 16 or more"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_USE)
def test_wrong_use(local_cli: Cli, options: tuple[str, ...], message: str) -> None:
    (local_cli.folder / "short").write_text("abc")
    assert message in local_cli.bad("serve", *options)

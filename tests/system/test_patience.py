"""No command is lost when a server, a worker or a host goes: it waits, says for what, and goes on."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import Cli, stop, wait_for_line
from tests.support.host import Host
from tests.support.servers import make_server
from tests.support.timelines import assert_exact, many, spec, write
from tests.support.waiting import eventually
from timeline.errors import UnavailableError
from workflows.child import free_port
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.worker import make_worker

SPEC = """
name = "plays"
expression = "duration_where(latest_event_to_state(playerStateChange) == 'buffer')"
[source]
key = "session"
"""


def patient(address: str, folder: Path) -> Cli:
    cli = Cli(address, folder)
    cli.environment["TIMELINE_PATIENCE"] = "20m"
    return cli


def ending(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The code of a process, and what it said since it was last looked at."""
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    return process.wait(), said


async def test_a_command_waits_for_a_server_and_then_for_a_worker(tmp_path: Path) -> None:
    port = free_port()
    cli = patient(f"127.0.0.1:{port}", tmp_path)
    (tmp_path / "plays.toml").write_text(SPEC)
    process = cli.start("register", "plays.toml")
    line = await asyncio.to_thread(wait_for_line, process, "waiting")
    assert line.startswith("waiting, for 20m at most (--patience): no Temporal server answers at")
    async with make_server(tmp_path / "dev.db", port=port):
        line = await asyncio.to_thread(
            wait_for_line, process, "waiting, for 20m at most (--patience): no worker"
        )
        worker = cli.start("worker")
        code, said = await asyncio.to_thread(ending, process)
        assert (code, "registered plays" in said) == (0, True)
        assert worker.poll() is None
        await asyncio.to_thread(stop, worker)


async def test_patience_ends_with_one_error(tmp_path: Path) -> None:
    cli = Cli(f"127.0.0.1:{free_port()}", tmp_path)
    said = await asyncio.to_thread(cli.bad, "list", "--patience", "300ms")
    first, *_, last, waited = said.strip().splitlines()
    assert first.startswith("waiting, for 300ms at most (--patience): no Temporal server answers")
    assert last.startswith("error: no Temporal server answers")
    assert waited == "waited for 300ms (--patience)"
    assert "not a duration: 'soon'" in await asyncio.to_thread(cli.bad, "list", "--patience", "soon")


@pytest.mark.real_server
async def test_a_feed_goes_on_when_the_server_is_killed(tmp_path: Path) -> None:
    server = make_server(tmp_path / "dev.db")
    await server.start()
    cli = patient(server.address, tmp_path)
    worker = cli.start("worker")
    await asyncio.to_thread(wait_for_line, worker, "Worker is ready")
    (tmp_path / "plays.toml").write_text(SPEC)
    await asyncio.to_thread(cli.good, "register", "plays.toml")
    write(tmp_path / "events.jsonl", many(500, 400))
    feed = cli.start("feed", "plays", "events.jsonl")
    client = Client(await connect_embedded(server.address))
    plays = await client.registry.spec("plays")

    async def some() -> bool:
        return (await client.leaves.status(plays, 0))["accepted"] > 0

    await eventually(some)
    await server.stop(kill=True)
    await asyncio.to_thread(wait_for_line, feed, "waiting")
    await server.start()
    code, said = await asyncio.to_thread(ending, feed)
    assert (code, "it answers again" in said) == (0, True), said
    assert worker.poll() is None
    client = Client(await connect_embedded(server.address))
    assert (await client.leaves.status(plays, 0))["accepted"] == 200_000
    await assert_exact(client, plays, 500)
    await asyncio.to_thread(stop, worker)
    await server.stop()


@pytest.mark.real_server
async def test_of_several_addresses_one_that_answers_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = spec()
    async with (
        make_server(tmp_path / "dev.db") as server,
        Host.before(server.address) as first,
        Host.before(server.address) as second,
    ):
        gone = f"127.0.0.1:{free_port()}"
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"{gone},{first.address}, {second.address}")
        timelines = await Client.connect(patience="10m")
        async with make_worker(timelines.temporal):
            await timelines.registry.register(wanted)
            assert (first.used.is_set(), second.used.is_set()) == (True, False)
            first.go()
            assert wanted.name in await timelines.registry.specs()
            assert second.used.is_set()
            await timelines.registry.remove(wanted.name)
        second.go()
        timelines.registry.asking.patience.seconds = 0.2
        with pytest.raises(UnavailableError, match=r"waited for 200ms \(--patience\)"):
            await timelines.registry.specs()

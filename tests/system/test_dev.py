"""`timeline dev` has its database to itself, and takes its server along however it ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path
from subprocess import Popen

import pytest

from tests.support.cli import Cli, stop, wait_for_line
from tests.support.http import ask
from tests.support.waiting import eventually
from timeline.errors import ServiceError
from workflows.server import DevServer

DEV = ("dev", "--headless", "--no-worker", "--port", "0")


def address(process: Popen[str]) -> str:
    return wait_for_line(process, "  Temporal").split()[1]


def test_one_database_has_one_server(local_cli: Cli) -> None:
    first = local_cli.start(*DEV, "--db", "kept/dev.db")
    at = address(first)
    said = local_cli.bad(*DEV, "--db", "kept/dev.db")
    assert f"kept/dev.db is in use by process {first.pid}, whose server is at {at}; use that, stop it" in said
    # Of a port that is taken too, this is what counts.
    said = local_cli.bad(*DEV[:-1], at.split(":")[1], "--db", "kept/dev.db")
    assert "is in use by process" in said
    modes = {path.name: path.stat().st_mode & 0o777 for path in (local_cli.folder / "kept").iterdir()}
    assert modes.keys() >= {"dev.db", "dev.log", "dev.lock"}
    assert set(modes.values()) == {0o600}
    assert (local_cli.folder / "kept").stat().st_mode & 0o777 == 0o700
    # Killed, it has the database no more, once its server is gone.
    stop(first, signal.SIGKILL)
    again = local_cli.start(*DEV, "--db", "kept/dev.db")
    assert address(again)


async def test_a_server_that_was_left_behind_keeps_the_database(tmp_path: Path) -> None:
    server = DevServer(tmp_path / "dev.db")
    await server.start()
    server._release()  # as when its process is killed
    (tmp_path / "dev.lock").write_text("process 1, whose server is elsewhere")
    with pytest.raises(ServiceError, match="is in use by process 1, whose server is elsewhere"):
        await DevServer(tmp_path / "dev.db").start()
    await server.stop()
    async with DevServer(tmp_path / "dev.db") as other:
        assert str(other.pid)


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGINT, signal.SIGTERM], [signal.SIGTERM, signal.SIGINT, signal.SIGINT], [signal.SIGKILL]],
    ids=["int-term", "term-int-int", "kill"],
)
async def test_its_server_goes_with_it(local_cli: Cli, signals: list[signal.Signals]) -> None:
    process = local_cli.start("dev", "--headless", "--db", "dev.db", "--port", "0")
    wait_for_line(process, "Stop with Ctrl-C.")
    assert servers(local_cli.folder)
    *before, last = signals
    for number in before:
        process.send_signal(number)
    code = await asyncio.to_thread(stop, process, last)

    async def gone() -> bool:
        return not servers(local_cli.folder)

    await eventually(gone)
    assert code == (-signal.SIGKILL if last is signal.SIGKILL else 0)


def test_a_sink_elsewhere_waits_for_a_worker_that_may(local_cli: Cli) -> None:
    folder = local_cli.folder
    here, there = folder / "here", folder / "there"
    here.mkdir()
    there.mkdir()
    spec = f"name = 't'\nexpression = 'count(x == 1)'\n[sink]\nfolder = {str(there / 'rows')!r}\n"
    (here / "t.toml").write_text(spec)
    events = [{"key": "a", "time": 1, "x": 1}, {"key": "a", "time": 900_000, "x": 1}]
    (here / "e.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    first = Cli(None, here)
    dev = first.start("dev", "--headless", "--db", "dev.db", "--port", "0")
    first.environment["TEMPORAL_ADDRESS"] = address(dev)
    wait_for_line(dev, "Stop with Ctrl-C.")
    first.good("register", "t.toml")
    feeding = first.start("feed", "t", "e.jsonl")  # which waits for the sink
    problem = f"the sink's folder {there / 'rows'} is not below {here}, where sinks of this worker may write"
    described = (first.good("describe", "t") for _ in range(300))
    assert any(problem in said for said in described)
    assert list(there.iterdir()) == []
    stop(feeding)
    assert stop(dev) == 0
    dev = first.start("dev", "--headless", "--db", "dev.db", "--port", "0", "--sink-root", "../there")
    first.environment["TEMPORAL_ADDRESS"] = address(dev)
    wait_for_line(dev, "Stop with Ctrl-C.")
    first.good("feed", "t", "e.jsonl")
    [file] = (there / "rows").iterdir()
    assert [json.loads(line)["value"] for line in file.read_text().splitlines()] == [1]
    assert stop(dev) == 0


def test_the_page_is_there_too(local_cli: Cli) -> None:
    process = local_cli.start("dev", "--db", "dev.db", "--port", "0")
    page = wait_for_line(process, "  page").split()[1]
    wait_for_line(process, "Stop with Ctrl-C.")
    assert ask(f"{page}/api/v1/timelines").json == {"timelines": [], "next": None}
    assert b"Timeline" in ask(f"{page}/").body
    assert stop(process) == 0


def test_without_the_extra_it_says_how_to_get_the_page(local_cli: Cli) -> None:
    (local_cli.folder / "sitecustomize.py").write_text("import sys\nsys.modules['nicegui'] = None\n")
    local_cli.environment["PYTHONPATH"] = str(local_cli.folder)
    process = local_cli.start("dev", "--db", "dev.db", "--port", "0")
    said = wait_for_line(process, "  page")
    assert said == '  page       none; pip install "timeline-analytics[page]"\n'
    assert stop(process) == 0
    assert 'needs more: pip install "timeline-analytics[page]"' in local_cli.bad("serve")


def servers(folder: Path) -> list[str]:
    """The process ids of Temporal servers that run in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
            if re.search(rb"start-dev", words) and (entry / "cwd").resolve() == folder:
                found.append(entry.name)
        except OSError:
            continue
    return found

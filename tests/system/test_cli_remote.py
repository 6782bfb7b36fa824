"""The command line against a server and a worker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.cli import Cli, stop, wait_for_line
from tests.support.places import CIRR, ROOT

NODE = "latest_event_to_state(playerStateChange)"


def write_spec(folder: Path, name: str, *, expression: str = CIRR) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f"name = '{name}'\nexpression = '''{expression}'''\n[source]\nkey = 'session'\n")
    return path


async def good(cli: Cli, *arguments: str | Path) -> str:
    return await asyncio.to_thread(cli.good, *arguments)


async def bad(cli: Cli, *arguments: str | Path) -> str:
    message = await asyncio.to_thread(cli.bad, *arguments)
    assert message.count("rror: ") == 1
    return message


@pytest.fixture
async def fed(cli: Cli) -> AsyncIterator[Cli]:
    """A timeline ``plays`` that was fed the reference example."""
    await good(cli, "register", write_spec(cli.folder, "plays"))
    await good(cli, "feed", "plays", ROOT / "examples" / "cirr.jsonl")
    yield cli
    await good(cli, "remove", "plays")


async def test_from_register_to_remove(cli: Cli) -> None:
    spec = write_spec(cli.folder, "life")
    assert (await good(cli, "register", spec)).startswith("registered life: 7 nodes on 1 stream\n")
    again = json.loads(await good(cli, "register", spec, "--json"))
    assert len(again["event-processor-workers"]) == 3
    assert ".duration_where." in again["result-worker"]
    events = ROOT / "examples" / "cirr.jsonl"
    assert await good(cli, "feed", "life", events) == "life: 3 events accepted\n"
    assert await good(cli, "feed", "life", events) == "life: nothing new in these files\n"
    listed = [json.loads(line) for line in (await good(cli, "list", "--json")).splitlines()]
    assert "life" in [one["name"] for one in listed]
    described = json.loads(await good(cli, "describe", "life", "--json"))
    assert described["spec"]["name"] == "life"
    assert [node["position"] for node in described["nodes"]] == [[1, 3]] * 7
    removed = json.loads(await good(cli, "remove", "life", "--json"))
    assert (removed["timeline"], len(removed["stopped"])) == ("life", 5)
    assert "no timeline 'life' is registered" in await bad(cli, "query", "life", "reference")


async def test_query_and_show(fed: Cli) -> None:
    ask = ["query", "plays", "reference"]
    at = [part for tick in ("0", "7s", "8s", "10s") for part in ("--at", tick)]
    rows = [json.loads(line) for line in (await good(fed, *ask, *at, "--json")).splitlines()]
    assert [(row["time"], row["value"]) for row in rows] == [(0, 0), (7000, 0), (8000, 1), (10_000, 3)]
    assert rows[0].keys() == {"timeline", "key", "time", "value", "position", "final"}
    seek = await good(fed, *ask, "--node", NODE, "--at", "3s")
    assert seek.startswith("seek  (reference at 3000 ms, position 1.3, ")
    shown = await good(fed, "show", "plays", "reference", "--to", "11s")
    local = await good(fed, "eval", ROOT / "examples" / "cirr.toml", "--format", "lanes", "--to", "11s")
    assert shown == local
    drawn = await good(fed, "show", "plays", "reference", "--to", "11s", "--format", "svg")
    assert drawn.startswith("<svg ")
    local_picture = ("eval", ROOT / "examples" / "cirr.toml", "--format", "svg", "--to", "11s")
    assert drawn == await good(fed, *local_picture)
    lanes = [
        json.loads(line) for line in (await good(fed, "show", "plays", "reference", "--json")).splitlines()
    ]
    assert [lane["node"] for lane in lanes][-1] == CIRR


WRONG_USE = [
    ("query play reference", ["no timeline 'play' is registered; did you mean 'plays'?"]),
    ("describe no-such", ["no timeline 'no-such' is registered; `timeline list` shows what there is"]),
    ("remove no-such", ["no timeline 'no-such' is registered"]),
    ("feed no-such cirr.jsonl", ["no timeline 'no-such' is registered"]),
    ("query plays referenc", ["no events of key 'referenc'; did you mean 'reference'?"]),
    ("show plays zzz", ["no events of key 'zzz'; it has heard of 1 key"]),
    ("query plays \udcff", ["KEY is not UTF-8 text, got '\\udcff'"]),
    ("query plays reference --node no", ["no node 'no'; the nodes are:", NODE, CIRR]),
    ("query plays reference --node=", ["more than one node ''"]),
    ("query plays reference --at soon", ["not a time: 'soon'"]),
    ("show plays reference --from 4s --to 3s", ["--to 3s is before --from 4s"]),
    ("feed plays no.jsonl", ["no such file: ", "no.jsonl"]),
    ("feed plays other", ["no files of events in the folder other"]),
    ("feed plays", ["give files of events: the spec of plays names none"]),
    ("feed plays -", ["standard input cannot be fed", "write it to a file"]),
    ("feed plays a.jsonl --pulsar", ["give files of events, or --pulsar"]),
    ("feed plays --pulsar --strict", ["--strict is for files"]),
    ("register no.toml", ["no.toml: 1 problem\n  file: does not exist"]),
    ("register other/plays.toml", ["'plays' is registered with another spec", "timeline remove plays"]),
    ("dry-run plays.toml", ["give at least one file of events"]),
    ("dry-run plays.toml x.jsonl --to 3s", ["--from and --to need --every or --lanes"]),
    ("dry-run plays.toml x.jsonl --lanes --json", ["give --json or --lanes, not both"]),
]


async def test_wrong_use(fed: Cli) -> None:
    (fed.folder / "other").mkdir()
    write_spec(fed.folder / "other", "plays", expression="has_existed(a == 1)")
    messages = await asyncio.gather(*(bad(fed, *arguments.split()) for arguments, _ in WRONG_USE))
    for (arguments, phrases), message in zip(WRONG_USE, messages, strict=True):
        assert [phrase for phrase in phrases if phrase not in message] == [], (arguments, message)


async def test_feed_goes_on_after_a_broken_line_and_counts_it(cli: Cli) -> None:
    await good(cli, "register", write_spec(cli.folder, "broken"))
    (cli.folder / "broken.jsonl").write_text(
        '{"session":7,"time":1000,"playerStateChange":"play"}\n{oops\n{"time":1}\n'
        '{"session":"-☃","time":4000,"playerStateChange":"buffer"}\n'
    )
    done = await asyncio.to_thread(cli.run, "feed", "broken", "broken.jsonl")
    assert (done.returncode, done.stdout) == (0, "broken: 2 events accepted, 2 lines skipped\n")
    assert "broken.jsonl:2: not JSON: {oops\n" in done.stderr
    assert 'broken.jsonl:3: no key: {"time":1}\n' in done.stderr
    assert done.stderr.endswith("2 lines skipped that hold no event\n")
    assert (await good(cli, "query", "broken", "7")).startswith("0  (7 at 1000 ms, position 1.4, ")
    assert json.loads(await good(cli, "query", "broken", "--json", "--", "-☃"))["key"] == "-☃"
    (cli.folder / "empty.jsonl").touch()
    assert await good(cli, "feed", "broken", "empty.jsonl") == "broken: nothing new in these files\n"
    await good(cli, "remove", "broken")


async def test_dry_run_agrees(cli: Cli) -> None:
    spec, events = write_spec(cli.folder, "dry"), ROOT / "examples" / "cirr.jsonl"
    said = await good(cli, "dry-run", spec, events, "--at", "10s")
    assert said.endswith("7 timelines (1 key, 7 nodes): all equal to local evaluation\n")
    row = json.loads(await good(cli, "dry-run", spec, events, "--at", "10s", "--json"))
    assert row == {"key": "reference", "time": 10_000, "workflows": 3, "local": 3, "equal": True}
    await good(cli, "remove", "dry")


async def test_dry_run_finds_a_difference(cli: Cli) -> None:
    """The workflows had other events than the file holds now."""
    spec, events = write_spec(cli.folder, "tampered"), cli.folder / "events.jsonl"
    text = (ROOT / "examples" / "cirr.jsonl").read_text()
    events.write_text(text)
    await good(cli, "dry-run", spec, events)
    events.write_text(text.replace('"buffer"', '"pause"'))
    done = await asyncio.to_thread(cli.run, "dry-run", spec, events, "--at", "10s")
    assert done.returncode == 1
    # The leaf of the state, its comparison, and all above.
    assert "DIFFERENT" in done.stdout
    assert "7 timelines (1 key, 7 nodes): 4 differ" in done.stdout
    assert NODE in done.stderr
    await good(cli, "remove", "tampered")


# --- nobody there ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["list"], ["worker"], ["worker", "--processes", "2"]])
def test_no_server(local_cli: Cli, command: list[str]) -> None:
    local_cli.environment["TEMPORAL_ADDRESS"] = "127.0.0.1:1"
    message = local_cli.bad(*command)
    assert "no Temporal server answers at 127.0.0.1:1" in message
    assert "`timeline dev`, or set TEMPORAL_ADDRESS" in message


async def test_no_such_namespace_for_a_worker(cli: Cli) -> None:
    cli.environment["TEMPORAL_NAMESPACE"] = "nowhere"
    assert "Namespace nowhere is not found" in await bad(cli, "worker")


def test_port_that_is_taken(local_cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in (["dev", "--headless"], ["codec"]):
            assert f"port {port} is taken" in local_cli.bad(*command, "--port", port)
    assert "65535" in local_cli.bad("dev", "--port", "65536")


async def test_interrupted(cli: Cli) -> None:
    """Ctrl-C ends what runs until it is stopped with 0, and says nothing."""
    for command, ready in (
        (["worker"], "Worker is ready"),
        (["codec", "--port", "0"], "Codec endpoint is ready"),
    ):
        process = cli.start(*command)
        await asyncio.to_thread(wait_for_line, process, ready)
        assert await asyncio.to_thread(stop, process, signal.SIGINT) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes by /proc")
async def test_worker_processes(cli: Cli) -> None:
    """One that is killed is started anew; Ctrl-C ends all of them."""
    process = cli.start("worker", "--processes", "2")
    ready = await asyncio.to_thread(wait_for_line, process, "2 processes. Worker is ready: task queue")
    assert ready.strip().endswith("Stop with Ctrl-C.")
    first, second = _children(process.pid)
    os.kill(first, signal.SIGKILL)
    await asyncio.to_thread(wait_for_line, process, f"worker {first} was ended by signal 9")
    await asyncio.to_thread(wait_for_line, process, "worker ")
    third = next(pid for pid in _children(process.pid) if pid != second)
    assert third != first
    assert await asyncio.to_thread(stop, process, signal.SIGINT) == 0
    for pid in (second, third):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

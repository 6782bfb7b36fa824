"""Durability: answers are the same after any of the processes was killed and started again."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest
from temporalio.worker import Replayer

from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from tests.support.cli import Cli, stop, wait_for_line
from tests.support.places import CIRR
from tests.support.servers import make_server
from tests.support.timelines import many, spec, write
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import REGISTRY_ID, node_id
from workflows.payloads.codec import data_converter
from workflows.worker import RUNNER, WORKFLOWS, make_worker


def query(cli: Cli, *at: str) -> list[object]:
    arguments = [part for tick in at for part in ("--at", tick)]
    lines = cli.good("query", "cirr", "reference", "--json", *arguments).splitlines()
    return [json.loads(line)["value"] for line in lines]


def test_killed_worker_and_restarted_server_change_no_answer(tmp_path: Path) -> None:
    spec_file = tmp_path / "cirr.toml"
    spec_file.write_text(f"name = 'cirr'\nexpression = '''{CIRR}'''\n[source]\nkey = 'session'\n")
    rows = [("reference", 1000, "play"), ("reference", 2000, "seek"), ("reference", 4000, "buffer")]
    events = write(tmp_path / "reference.jsonl", rows)
    arguments = ["dev", "--headless", "--db", "dev.db", "--ready-file", "ready"]
    cli = Cli(None, tmp_path)

    def start_dev(port: int, *more: str) -> tuple[Cli, object]:
        process = cli.start(*arguments, "--port", str(port), *more)
        wait_for_line(process, "Stop with Ctrl-C.")
        return Cli((tmp_path / "ready").read_text().strip(), tmp_path), process

    # The worker is a process of its own, to be killed between feeding and asking.
    here, dev = start_dev(0, "--no-worker")
    worker = here.start("worker")
    wait_for_line(worker, "Worker is ready")
    here.good("register", spec_file)
    here.good("feed", "cirr", events)
    stop(worker, signal.SIGKILL)
    worker = here.start("worker")
    wait_for_line(worker, "Worker is ready")
    assert query(here, "7s", "8s", "9s", "10s") == [0, 1, 2, 3]
    assert stop(worker, signal.SIGINT) == 0
    # The server is stopped and started again on its database, with a worker inside.
    assert stop(dev, signal.SIGINT) == 0  # type: ignore[arg-type]
    assert not (tmp_path / "ready").exists()
    here, dev = start_dev(0)
    assert query(here, "7s", "8s", "9s", "10s") == [0, 1, 2, 3]
    more = write(tmp_path / "more.jsonl", [("reference", 12_000, "play")])
    here.good("feed", "cirr", more)
    assert query(here, "12s", "13s") == [5, 5]
    assert stop(dev) == 0  # type: ignore[arg-type]


@pytest.mark.real_server
async def test_killed_server_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    cirr = spec()
    database = tmp_path / "dev.db"
    server = make_server(database)
    client = await server.start()
    async with make_worker(client):
        timelines = Client(client)
        await timelines.registry.register(cirr)
        rows = many(5, 20)
        file = write(tmp_path / "many.jsonl", rows[:60])
        await feed_files(timelines, cirr, [file])
        await server.stop(kill=True)
        await server.start()
        write(file, rows)
        await feed_files(timelines, cirr, [file])
        comparison = await compare(timelines, cirr)
    await server.stop()
    assert comparison.differences == []
    assert comparison.evaluation.accepted == 100


@pytest.mark.real_server
async def test_continuing_as_new_carries_everything(tmp_path: Path) -> None:
    """The server suggests it every few events, while signals are in flight; histories replay."""
    cirr = spec(shards=2)
    often = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=12")
    async with make_server(tmp_path / "dev.db", options=often) as server:
        client = await connect_embedded(server.address)
        async with make_worker(client):
            timelines = Client(client)
            await timelines.registry.register(cirr)
            rows = many(6, 30)
            file = tmp_path / "many.jsonl"
            for end in range(20, len(rows) + 1, 20):
                write(file, rows[:end])
                await feed_files(timelines, cirr, [file])
            comparison = await compare(timelines, cirr)
            assert comparison.differences == []
            assert comparison.evaluation.accepted == len(rows)
            ids = [node_id(cirr, node, 0) for node in cirr.plan.nodes]
            runs = {}
            for workflow_id in ids:
                query = f'WorkflowId = "{workflow_id}"'
                runs[workflow_id] = [w async for w in client.list_workflows(query)]
            assert all(len(found) > 2 for found in runs.values()), runs
            replayer = Replayer(workflows=WORKFLOWS, workflow_runner=RUNNER, data_converter=data_converter)
            for workflow_id in [*ids, REGISTRY_ID]:
                history = await client.get_workflow_handle(workflow_id).fetch_history()
                await replayer.replay_workflow(history)


async def test_a_worker_that_is_not_there_is_said_soon(tmp_path: Path) -> None:
    async with make_server(tmp_path / "dev.db") as server:
        cli = Cli(server.address, tmp_path)
        spec_file = tmp_path / "cirr.toml"
        spec_file.write_text(f"name = 'cirr'\nexpression = '''{CIRR}'''\n")
        begin = asyncio.get_running_loop().time()
        message = await asyncio.to_thread(cli.bad, "register", spec_file)
        assert "no worker answers on task queue 'timeline'" in message
        assert "timeline worker" in message
        # An order of magnitude below the time-outs of the protocol underneath.
        assert asyncio.get_running_loop().time() - begin < 30

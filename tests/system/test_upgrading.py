"""Rolling upgrades: live nodes go from workers of one build to those of another, and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.worker import Replayer

from feeder.files.feed import feed_files
from tests.support import sinks, timelines
from tests.support.cli import Cli, stop, wait_for_line
from tests.support.failures import failures, runs
from tests.support.feeding import Feeding
from tests.support.servers import Server, make_server
from tests.support.waiting import eventually
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import REGISTRY_ID, node_id, sink_id
from workflows.patience import Patience
from workflows.payloads.codec import data_converter
from workflows.worker import RUNNER, WORKFLOWS, make_worker


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Server]:
    """A server of the test's own: which build is current holds for all of a namespace."""
    async with make_server(tmp_path / "dev.db") as server:
        yield server


async def worker(cli: Cli, *options: str) -> Any:
    return await asyncio.to_thread(cli.worker, "--sink-root", cli.folder, *options)


async def workflows_of(client: Client, *specs: Spec) -> set[str]:
    found = {REGISTRY_ID}
    for spec in specs:
        for stream in await client.registry.streams(spec):
            found |= {node_id(spec, planned, stream) for planned in spec.plan.nodes}
            found |= {sink_id(spec, sink, stream) for sink in spec.sinks}
    return found


@pytest.mark.real_server
async def test_live_nodes_go_to_another_build_and_back(alone: Server, tmp_path: Path) -> None:
    cli = Cli(alone.address, tmp_path)
    temporal = await connect_embedded(alone.address)
    client = Client(temporal, Patience(120))
    fed = sinks.spec({"folder": str(tmp_path / "out")}, shards=2)
    idle = timelines.spec()
    every = await workflows_of(client, fed, idle)
    feeding = Feeding(client, fed, tmp_path / "fed.jsonl")
    first = await worker(cli)
    await client.registry.register_all([fed, idle])
    idle_file = timelines.write(tmp_path / "idle.jsonl", timelines.many(3, 10))
    await feed_files(client, idle, [idle_file])
    assert await client.builds.running() == dict.fromkeys(every)

    async def go(process: Any, build: str | None, *options: str) -> tuple[Any, str]:
        """Has all go to a worker of a build while it is fed, and stops the one of before."""
        after = await worker(cli, *(["--build-id", build] if build else []))
        command = asyncio.to_thread(cli.good, "upgrade", *([build] if build else ["--no-build"]), *options)
        said = await feeding.during(asyncio.create_task(command))
        assert await client.builds.running() == dict.fromkeys(every, build)
        assert await asyncio.to_thread(stop, process) == 0
        await feeding.some()
        return after, said

    second, said = await go(first, "one")
    assert said == "All runs on build one. Workers of any other build can be stopped.\n"
    third, said = await go(second, "two", "--json")
    assert json.loads(said) == {"build": "two", "before": "one", "not_moved": {}}
    told = await asyncio.to_thread(cli.good, "upgrade")
    assert told == f"The current one is build two.\n  {len(every)} workflows run on build two\n"
    back, _ = await go(third, "one")
    last, said = await go(back, None)
    assert said == "All runs on workers without a build. Workers of any other build can be stopped.\n"

    await feeding.assert_exact()
    await timelines.assert_exact(client, idle, 3)

    async def all_are_listed() -> bool:
        return all([await runs(temporal, workflow_id) >= 4 for workflow_id in every])

    # Each upgrade from a build began runs anew, of idle ones too, and what they did replays. A run of no
    # build may have been taken over by the first one as it was.
    await eventually(all_are_listed)
    assert await failures(temporal) == []
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=RUNNER, data_converter=data_converter)
    for workflow_id in every:
        await replayer.replay_workflow(await temporal.get_workflow_handle(workflow_id).fetch_history())
    await asyncio.to_thread(stop, last)


async def test_a_run_is_only_taken_by_its_build(alone: Server, tmp_path: Path) -> None:
    """What was registered on one build goes on there while another is there, and even current; who has
    something to do then moves by itself."""
    client = Client(await connect_embedded(alone.address), Patience(120))
    spec = timelines.spec()
    async with make_worker(await connect_embedded(alone.address), build_id="one"):
        await client.builds.make_current("one")
        await client.registry.register(spec)
        async with make_worker(await connect_embedded(alone.address), build_id="two"):
            await client.builds.make_current("two")
            every = await workflows_of(client, spec)
            assert await client.builds.running() == dict.fromkeys(every, "one")
            rows, fed = timelines.many(3, 40), list[tuple[Any, ...]]()
            leaf = next(i for i in every if ".has_existed." in i)

            async def moved() -> bool:
                fed.append(rows[len(fed)])
                file = timelines.write(tmp_path / "events.jsonl", fed)
                await feed_files(client, spec, [file])
                return (await client.builds.running())[leaf] == "two"

            await eventually(moved)
            assert (await client.builds.running())[REGISTRY_ID] == "one"
            assert await client.builds.move("two", 120) == {}
            assert await client.builds.running() == dict.fromkeys(every, "two")


async def test_what_cannot_move_is_named(alone: Server, tmp_path: Path) -> None:
    """Here: because the worker of its build is gone. Once it is back, the same command does it."""
    cli = Cli(alone.address, tmp_path)
    client = Client(await connect_embedded(alone.address), Patience(120))
    spec = timelines.spec()
    one = await worker(cli, "--build-id", "one")
    await asyncio.to_thread(cli.good, "upgrade", "one")
    await client.registry.register(spec)
    await asyncio.to_thread(stop, one)
    two = await worker(cli, "--build-id", "two")
    done = await asyncio.to_thread(cli.run, "upgrade", "two", "--within", "1s")
    assert (done.returncode, done.stdout) == (
        1,
        "Build two is the current one, but some have not moved:\n"
        "  timeline-registry runs on build one\n"
        "Keep workers of their builds, look what they are at (`timeline describe`), and do this again.\n",
    )
    one = await worker(cli, "--build-id", "one")
    said = await asyncio.to_thread(cli.good, "upgrade", "two")
    assert said == "All runs on build two. Workers of any other build can be stopped.\n"
    assert set((await client.builds.running()).values()) == {"two"}
    for process in (one, two):
        await asyncio.to_thread(stop, process)


async def test_a_build_without_workers_is_refused(alone: Server, tmp_path: Path) -> None:
    cli = Cli(alone.address, tmp_path)
    said = await asyncio.to_thread(cli.bad, "upgrade", "none")
    assert said == (
        "error: no worker of build 'none' has been seen (deployment 'timeline'); "
        "start one with `timeline worker --build-id none`\n"
    )
    said = await asyncio.to_thread(cli.bad, "upgrade", "none", "--no-build")
    assert said == "error: give a build, or --no-build, not both\n"
    # Nothing runs yet, and nothing is versioned: then there is nothing to do.
    assert await asyncio.to_thread(cli.good, "upgrade", "--no-build")
    assert await asyncio.to_thread(cli.good, "upgrade") == "The current one is workers without a build.\n"
    process = cli.start("worker", "--build-id", "new")
    line = await asyncio.to_thread(wait_for_line, process, "Nothing begins")
    assert line == "Nothing begins on build 'new' before `timeline upgrade new`.\n"
    await asyncio.to_thread(stop, process)


async def test_no_signal_takes_the_registry_away(alone: Server) -> None:
    client = Client(await connect_embedded(alone.address), Patience(120))
    async with make_worker(client.temporal):
        await client.registry.register(timelines.spec())
        handle = client.temporal.get_workflow_handle(REGISTRY_ID)
        run = (await handle.describe()).run_id
        await handle.signal("nonsense", args=[1, 2, 3])
        assert len(await client.registry.specs()) == 1
        assert (await handle.describe()).run_id == run
        # With arguments that it has not.
        await handle.signal("renew", args=["what", None])
        assert await client.builds.move(None, 120) == {}
        assert len(await client.registry.specs()) == 1
        assert (await handle.describe()).run_id != run

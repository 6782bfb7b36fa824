"""States that are too large for a message: through a store, on the real server, and swept from it."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import temporalio.client
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from tests.support.cli import PATIENCE, Cli, stop, wait_for_line
from tests.support.servers import make_server
from tests.support.timelines import many, spec, write
from timeline.errors import LimitError, ServiceError, StoreError
from timeline.spec.spec import Spec
from workflows import gauge
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import node_id
from workflows.payloads.codec import data_converter
from workflows.stores.opening import with_store
from workflows.stores.store import Store
from workflows.stores.sweep import places, sweep
from workflows.worker import RUNNER, WORKFLOWS, agree, make_worker

OFTEN = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=12")
LEAF = 'has_existed(playerStateChange == "play")'

SMALL = 'duration_where(latest_event_to_state(playerStateChange) == "buffer")'


@asynccontextmanager
async def working(
    client: temporalio.client.Client, directory: Path | None, sinks: Path | None = None
) -> AsyncIterator[Store | None]:
    """A worker, with a store in that directory or without one, that has told the registry so."""
    async with AsyncExitStack() as stack:
        store = None
        if directory is not None:
            client, store = await stack.enter_async_context(with_store(client, f"file:{directory}"))
        await stack.enter_async_context(make_worker(client, sink_roots=None if sinks is None else [sinks]))
        await agree(client, store)
        yield store


def long_names(count: int) -> list[tuple[str, int, str]]:
    """Events of keys whose names nothing can compress: 100 bytes each, as text 200."""
    chance = random.Random(1)
    return [(chance.randbytes(100).hex(), 1000 + i, "play") for i in range(count)]


async def started_with(client: temporalio.client.Client, workflow_id: str) -> tuple[str, set[str]]:
    """The open run of a node, and the stored state that it was started with."""
    handle = client.get_workflow_handle(workflow_id)
    run_id = (await handle.describe()).run_id
    async for event in client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history_events():
        return run_id, places(event.workflow_execution_started_event_attributes.input.payloads, "path")
    raise AssertionError


async def test_large_state(tmp_path: Path) -> None:
    """Without a store a node is full at 1 MiB; given one it goes on, is carried through it, and restarts."""
    large, directory = spec(LEAF), tmp_path / "store"
    rows = long_names(24_000)
    node = node_id(large, large.plan.result, 0)
    async with make_server(tmp_path / "dev.db", options=OFTEN) as server:
        client = await connect_embedded(server.address)
        timelines = Client(client)
        async with working(client, None):
            await timelines.registry.register(large)
            with pytest.raises(LimitError, match=r"no more events are taken. Give the workers a store"):
                await feed_files(timelines, large, [write(tmp_path / "large.jsonl", rows)])
            full = await timelines.nodes.status(node)
            assert gauge.MAX_STATE < full["state_bytes"] < gauge.MAX_INLINE
            waiting = full["waiting"]
            # A feeder that is started again and again adds nothing to what waits.
            with pytest.raises(LimitError):
                await feed_files(timelines, large, [tmp_path / "large.jsonl"])
            assert (await timelines.nodes.status(node))["waiting"] == waiting == 3
        async with working(client, directory) as store:
            await feed_files(timelines, large, [tmp_path / "large.jsonl"])
            status = await timelines.nodes.status(node)
            assert (status["full"], status["waiting"], status["accepted"]) == (None, 0, len(rows))
            files = (await started_with(client, node))[1]
            assert sum((directory / file).stat().st_size for file in files) > 2 << 20
            # Moved to another policy, its state goes through the store too, and stays there.
            [done] = await timelines.registry.register_all([large.by_policy("stream")], {large.name: 1})
            large = done.spec
            node = node_id(large, large.plan.result, 0)
            assert (await timelines.nodes.status(node))["accepted"] == len(rows)
            [file] = (await started_with(client, node))[1]
            assert (directory / file).stat().st_size > 2 << 20
            assert store is not None
            await sweep(client, store, min_age=0)
            assert (directory / file).exists()
        async with working(client, directory):
            comparison = await compare(timelines, large)
            assert comparison.differences == []
            assert comparison.timelines == len(rows)
        async with make_worker(client):
            with pytest.raises(StoreError, match=f"start it with --store file:{directory}"):
                await agree(client, None)


@dataclass
class Kept:
    """A timeline on a server with a worker that stores every carried state, however small."""

    client: temporalio.client.Client
    timelines: Client
    spec: Spec
    directory: Path
    file: Path
    rows: list[tuple[object, ...]] = field(default_factory=lambda: many(6, 30))

    @property
    def nodes(self) -> list[str]:
        return [node_id(self.spec, node, 0) for node in self.spec.plan.nodes]

    def files(self) -> set[str]:
        return {str(p.relative_to(self.directory)) for p in self.directory.glob("*/*/*")}


@pytest.fixture
async def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kept]:
    monkeypatch.setattr("workflows.stores.store.THRESHOLD", 0)
    async with make_server(tmp_path / "dev.db", options=OFTEN) as server:
        client = await connect_embedded(server.address)
        timelines = Client(client)
        kept = Kept(client, timelines, spec(SMALL), tmp_path / "store", tmp_path / "many.jsonl")
        async with working(client, kept.directory):
            await timelines.registry.register(kept.spec)
            for end in range(20, len(kept.rows) + 1, 20):
                write(kept.file, kept.rows[:end])
                await feed_files(timelines, kept.spec, [kept.file])
        yield kept


async def forget_closed_runs_of(client: temporalio.client.Client, nodes: list[str]) -> None:
    """Deletes closed runs, as the server itself does when the namespace's retention is over."""
    closed = []
    for node in nodes:
        open_run, _ = await started_with(client, node)
        runs = [run.run_id async for run in client.list_workflows(f'WorkflowId = "{node}"')]
        closed += [WorkflowExecution(workflow_id=node, run_id=run) for run in runs if run != open_run]
    for run in closed:
        request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=run)
        await client.workflow_service.delete_workflow_execution(request)
    end = asyncio.get_running_loop().time() + PATIENCE
    for run in closed:
        while await is_known(client, run):
            assert asyncio.get_running_loop().time() < end, f"{run.run_id} is still there"
            await asyncio.sleep(0.05)


async def is_known(client: temporalio.client.Client, run: WorkflowExecution) -> bool:
    try:
        await client.get_workflow_handle(run.workflow_id, run_id=run.run_id).describe()
    except RPCError as error:
        return error.status != RPCStatusCode.NOT_FOUND
    return True


async def test_sweep(kept: Kept) -> None:
    """What no run refers to goes; what one does stays, open or closed; the same answers after it all."""
    before = kept.files()
    async with working(kept.client, kept.directory) as store:
        assert store is not None
        assert await sweep(kept.client, store) == 0, "all of it is new"
        await sweep(kept.client, store, min_age=0)
        referred = set()
        for node in kept.nodes:
            async for run in kept.client.list_workflows(f'WorkflowId = "{node}"'):
                handle = kept.client.get_workflow_handle(node, run_id=run.run_id)
                history = await handle.fetch_history()
                started = history.events[0].workflow_execution_started_event_attributes
                referred |= places(started.input.payloads, "path")
        assert len(referred) > 2 * len(kept.nodes)
        assert kept.files() >= referred, "closed runs can still be looked at"
        await forget_closed_runs_of(kept.client, kept.nodes)
        deleted = await sweep(kept.client, store, min_age=0)
        assert deleted >= len(referred) - len(kept.nodes) > 0
        now = set()
        for node in kept.nodes:
            now |= (await started_with(kept.client, node))[1]
        assert len(now) == len(kept.nodes)
        registry = {file for file in kept.files() if "/timeline-registry/" in file}
        assert kept.files() - registry == now
        assert now < before
    async with working(kept.client, kept.directory):
        assert (await compare(kept.timelines, kept.spec)).differences == []
        more = write(kept.file, many(6, 40))
        await feed_files(kept.timelines, kept.spec, [more])
        assert (await compare(kept.timelines, kept.spec)).differences == []
        for node in await kept.timelines.registry.remove(kept.spec.name):
            await kept.client.get_workflow_handle(node).result()


@pytest.mark.real_server
async def test_sweep_keeps_what_the_open_run_stored(kept: Kept) -> None:
    """It may be about to continue as new with it: a server that was away, say."""
    node = kept.nodes[0]
    run_id, [file] = await started_with(kept.client, node)
    path = kept.directory / file
    mine = path.with_name(f"{run_id}.{'0' * 64}")
    orphan = path.with_name(f"{path.name.split('.')[0]}.{'0' * 64}")
    for copy in (mine, orphan):
        shutil.copy(path, copy)
    async with with_store(kept.client, f"file:{kept.directory}") as (client, store):
        await sweep(client, store, min_age=0)
    assert (path.exists(), mine.exists(), orphan.exists()) == (True, True, False)


@pytest.mark.real_server
async def test_missing_state_is_said(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    node = kept.nodes[-1]
    _, [file] = await started_with(kept.client, node)
    path = kept.directory / file
    path.rename(path.with_name("away"))
    async with working(kept.client, kept.directory):
        with pytest.raises(ServiceError) as caught:
            await kept.timelines.nodes.status(node)
        assert f"the state of {node} cannot be read from {path}: No such file" in str(caught.value)
        assert "the node waits until then" in str(caught.value)
        path.with_name("away").rename(path)
        assert (await compare(kept.timelines, kept.spec)).differences == []
    async with make_worker(kept.client):
        with pytest.raises(ServiceError, match="start it with --store"):
            await kept.timelines.nodes.status(node)


async def test_too_large_to_be_carried_inline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose state and inbox would not fit goes on, and continues as new once they may be large."""
    monkeypatch.setattr(gauge, "MAX_INLINE", 100)
    one = spec(LEAF)
    node = node_id(one, one.plan.result, 0)
    async with make_server(tmp_path / "dev.db", options=OFTEN) as server:
        client = await connect_embedded(server.address)
        timelines = Client(client)
        rows = many(3, 40)

        async def feed() -> str:
            for end in range(len(rows) // 2 + 1, len(rows), 4):
                await feed_files(timelines, one, [write(tmp_path / "some.jsonl", rows[:end])])
            return (await client.get_workflow_handle(node).describe()).run_id

        async with working(client, None):
            await timelines.registry.register(one)
            first = (await client.get_workflow_handle(node).describe()).run_id
            assert await feed() == first
        rows = many(3, 80)
        async with working(client, tmp_path / "store"):
            history = await client.get_workflow_handle(node, run_id=first).fetch_history()
            assert await feed() != first
            assert (await compare(timelines, one)).differences == []
        # A version that finds other sizes must decide as was decided then.
        replayer = Replayer(workflows=WORKFLOWS, workflow_runner=RUNNER, data_converter=data_converter)
        to_state = "timeline.engine.state_wire.to_state"
        for size in (1, 1 << 22):
            monkeypatch.setattr(to_state, lambda *_, size=size, **__: bytes(size))
            await replayer.replay_workflow(history)


def test_dev_and_workers(tmp_path: Path) -> None:
    """`timeline dev` has a store without being told; another worker needs the same one."""
    cli = Cli(None, tmp_path)
    process = cli.start("dev", "--headless", "--db", "dev.db", "--port", "0", "--ready-file", "ready")
    wait_for_line(process, "Stop with Ctrl-C.")
    here = Cli((tmp_path / "ready").read_text().strip(), tmp_path)
    assert (tmp_path / "dev.store").is_dir()
    message = here.bad("worker")
    assert f"start it with --store file:{tmp_path / 'dev.store'}" in message
    here.environment["TIMELINE_STORE"] = "file:dev.store"
    worker = here.start("worker")
    wait_for_line(worker, "Worker is ready")
    assert stop(worker) == 0
    for url, phrase in (
        ("dev.store", "a store is file:PATH, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, got 'dev.store'"),
        ("file:ready/x", "the store " + str(tmp_path / "ready" / "x") + " cannot be written to"),
        ("s3://bucket", 'pip install "timeline-analytics[s3]"'),
        ("gs://bucket/below", 'pip install "timeline-analytics[gcs]"'),
    ):
        assert phrase in here.bad("worker", "--store", url)
    assert stop(process) == 0

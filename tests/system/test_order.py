"""A batch or a patch that was lost is noticed: nothing behind it is taken, and no answer becomes wrong."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import feeder.stream
from feeder.files.feed import feed_files
from feeder.stream import MissedError
from tests.support.cli import Cli
from tests.support.servers import make_server
from tests.support.timelines import assert_exact, many, spec, write
from tests.support.waiting import eventually
from timeline.engine.fragment import LiveFragment
from timeline.engine.wire import to_patch
from timeline.errors import WireError
from timeline.fragments import fragments_of
from timeline.limits import Limits
from timeline.plan import PlanNode, make_plan
from timeline.tables.events import Position, from_rows
from timeline.tables.wire import Wire, to_events
from workflows import told
from workflows.client import Client
from workflows.connection import connect_embedded, task_queue
from workflows.names import node_id
from workflows.protocol import NodeSpec, node
from workflows.worker import make_worker

PLAN = make_plan('!has_existed(state == "play")')
PARENT, LEAF = PLAN.nodes[::-1]


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Client]:
    """A server that suggests continuing as new very often, and a worker."""
    often = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=10")
    async with make_server(tmp_path / "dev.db", options=often) as server:
        client = await connect_embedded(server.address)
        async with make_worker(client):
            yield Client(client)


async def start(timelines: Client, planned: PlanNode, source: str | None = None) -> str:
    args = NodeSpec(expression=planned.text, stream=0, allowed_lateness=None, retention=None, subscribers=[])
    source = source or f"order-{uuid.uuid4().hex[:8]}"
    workflow_id = f"{source}.{planned.operator.name}.{planned.digest}.0"
    await timelines.temporal.start_workflow(
        planned.operator.name, args, id=workflow_id, task_queue=task_queue()
    )
    return workflow_id


async def taken(timelines: Client, workflow_id: str) -> Any:
    """The status of a node once nothing waits: a run that has just begun must still take what it carries."""

    async def is_taken() -> bool:
        return (await timelines.nodes.status(workflow_id))["waiting"] == 0

    await eventually(is_taken)
    return await timelines.nodes.status(workflow_id)


def patches(count: int) -> list[Wire]:
    """What the leaf says of a key in each batch."""
    leaf, *_ = fragments_of(PLAN, "node")
    live = LiveFragment(PLAN, leaf, Limits(None, None))
    said: list[Wire] = []
    for number in range(1, count + 1):
        events = from_rows([(f"k{number}", 1_000 * number, {"state": "play"})], first=(number,))
        [(_, patch)] = live.accept(events, (number,))
        said.append(to_patch(patch) | {"inputs": [0], "line": "a", "number": number})
    return said


async def test_a_node_takes_no_patch_behind_one_that_is_missing(alone: Client) -> None:
    parent = await start(alone, PARENT)
    handle = alone.temporal.get_workflow_handle(parent)
    first = (await handle.describe()).run_id
    said = patches(8)

    async def told_of(*numbers: int) -> Any:
        for number in numbers:
            await handle.signal(node.PATCH.name, said[number - 1])
        return await taken(alone, parent)

    status = await told_of(1, 2, 2, 1)
    assert (status["position"], "missing" in status, "odd" in status) == ([2], False, False)
    status = await told_of(4, 5)
    assert status["missing"] == (
        "a patch for input 0 is missing: number 5 came after 2; what was between was set aside, or lost"
    )
    assert (status["position"], status["odd"]["count"], status["keys"]) == ([2], 2, 2)
    # Whatever is said of it is carried on.
    status = await told_of(*[5] * 12)
    assert (await handle.describe()).run_id != first
    assert (status["position"], status["odd"]["count"], "missing" in status) == ([2], 14, True)
    status = await told_of(3, 4, 5)
    assert (status["position"], status["keys"], "missing" in status) == ([5], 5, False)
    # A line of which the beginning is missing; one that begins; what comes of the old one then.
    said[6]["line"] = "b"
    assert (await told_of(7))["position"] == [5]
    said[5]["line"], said[5]["number"], said[6]["number"] = "b", 1, 2
    assert (await told_of(6, 7))["position"] == [7]
    said[7]["number"] = 6
    status = await told_of(8)
    assert status["position"] == [7]
    assert status["odd"]["last"][-1]["why"] == "a patch for input 0 is of line a, here that of b is taken"


@pytest.mark.parametrize(("line", "number"), [("a", None), (None, 1), (5, 1), ("a", 0), ("a" * 65, 1)])
async def test_a_number_that_is_none(timelines: Client, line: Any, number: Any) -> None:
    parent = await start(timelines, PARENT)
    patch = patches(1)[0] | {"line": line, "number": number}
    await timelines.temporal.get_workflow_handle(parent).signal(node.PATCH.name, patch)
    status = await timelines.nodes.status(parent)
    assert (status["position"], status["odd"]["count"]) == (None, 1)
    assert "a patch says its line by text and its number by a whole number" in status["odd"]["last"][0]["why"]
    await timelines.asking.signal(parent, node.STOP)


async def test_a_leaf_takes_no_batch_behind_one_that_is_missing(alone: Client) -> None:
    leaf = await start(alone, LEAF)

    async def told_of(number: int, after: Position | None) -> Any:
        batch = to_events(from_rows([(f"k{number}", 1_000, {"state": "play"})], first=(number,)), (number,))
        about = node.About() if after is None else node.About(after=list(after))
        await alone.asking.signal(leaf, node.EVENTS, batch, about)
        return await alone.nodes.status(leaf)

    status = await told_of(2, (1,))
    assert (status["position"], status["odd"]["count"]) == (None, 1)
    assert (await told_of(1, None))["position"] == [1]
    status = await told_of(3, (2,))
    assert status["position"] == [1]
    assert status["odd"]["last"][-1]["why"] == (
        "a batch before it is missing: it goes on from (2,), here is (1,)"
    )
    assert (await told_of(2, (1,)))["position"] == [2]
    # Who was behind, or does not say, is heard as before.
    assert (await told_of(3, (1,)))["position"] == [3]
    # While it is held, batches wait in the inbox, and go along with where they go on.
    await alone.asking.signal(leaf, node.HOLD)
    for number, after in ((4, 3), (6, 5)):
        status = await told_of(number, (after,))
    assert (status["position"], status["waiting"]) == ([3], 2)
    await alone.asking.signal(leaf, node.RENEW)
    await alone.asking.signal(leaf, node.GO_ON)
    status = await taken(alone, leaf)
    assert (status["position"], status["odd"]["count"], status["accepted"]) == ([4], 3, 4)


async def test_what_comes_together_is_told_one_after_another(tmp_path: Path) -> None:
    """What a workflow has got when it looks may be more in a replay: a question brought it some of it before.
    So whether it came together must not show in what follows."""
    async with make_server(tmp_path / "dev.db") as server:
        client = await connect_embedded(server.address)
        timelines = Client(client)
        leaf, parent = [await start(timelines, one, "together") for one in (LEAF, PARENT)]
        await timelines.asking.signal(leaf, node.SUBSCRIBE, node.Subscriber(workflow=parent, inputs=[0]))
        for number in range(1, 4):
            batch = to_events(
                from_rows([(f"k{number}", 1_000, {"state": "play"})], first=(number,)), (number,)
            )
            await timelines.asking.signal(leaf, node.EVENTS, batch, node.About())
        async with make_worker(client):

            async def arrived() -> bool:
                return await timelines.nodes.position(parent) == (3,)

            await eventually(arrived)
            told = await client.get_workflow_handle(parent).fetch_history()
            signals = [e for e in told.events if e.HasField("workflow_execution_signaled_event_attributes")]
            assert len(signals) == 3


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feeder of small batches, which soon looks why nothing moves."""
    monkeypatch.setattr(feeder.stream, "BATCH_EVENTS", 20)
    monkeypatch.setattr(feeder.stream, "PATIENCE", 0.5)


@pytest.mark.usefixtures("in_pieces")
async def test_a_feed_whose_batch_is_lost_says_so_and_the_next_one_sends_it(
    timelines: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = spec('latest_event_to_state(playerStateChange) == "buffer"', fragments="stream")
    await timelines.registry.register(wanted)
    root = node_id(wanted, wanted.plan.result, 0)
    file = write(tmp_path / "a.jsonl", many(10, 10))
    signal, sent = timelines.asking.signal, []

    async def losing(workflow_id: str, what: Any, *args: Any) -> None:
        sent.append(workflow_id)
        if len(sent) != 2:
            await signal(workflow_id, what, *args)

    with monkeypatch.context() as lost:
        lost.setattr(timelines.asking, "signal", losing)
        with pytest.raises(MissedError, match="a batch is lost, or was set aside; the last signal"):
            await feed_files(timelines, wanted, [file])
    assert (await timelines.nodes.status(root))["accepted"] == 20
    report = await feed_files(timelines, wanted, [file])
    assert report.accepted == 80
    await assert_exact(timelines, wanted, 10)
    await timelines.registry.remove(wanted.name)


@pytest.mark.usefixtures("in_pieces")
async def test_a_feed_behind_a_patch_that_is_lost_says_so(
    timelines: Client, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = spec('latest_event_to_state(playerStateChange) == "buffer"')
    await timelines.registry.register(wanted)
    parent = node_id(wanted, wanted.plan.result, 0)
    rows = many(10, 10)
    file = write(tmp_path / "a.jsonl", rows)
    check, seen = told.CHECKS["patch"], []

    def losing(patch: Any) -> None:
        seen.append(patch)
        if len(seen) == 2:
            raise WireError("lost by a test")
        check(patch)

    with monkeypatch.context() as lost:
        lost.setitem(told.CHECKS, "patch", losing)
        with pytest.raises(MissedError, match=f"{parent} cannot go on: a patch for input 0 is missing"):
            await feed_files(timelines, wanted, [file])
    status = await timelines.nodes.status(parent)
    assert (status["keys"], status["odd"]["last"][0]["why"]) == (10, "lost by a test")
    # What it says is right as far as it got.
    states = {(key, at): state for key, at, state in rows}
    for key in ("k0", "k1", "k9"):
        [found] = await timelines.questions.values(wanted, wanted.plan.result, [(key, None)])
        assert found.at is not None
        assert found.at < 9_000
        assert found.value is (states[key, found.at] == "buffer")
    shown = await asyncio.to_thread(cli.good, "describe", wanted.name)
    assert f"{parent} cannot go on: a patch for input 0 is missing: number" in shown
    await timelines.registry.remove(wanted.name)
    await timelines.registry.register(wanted)
    await feed_files(timelines, wanted, [file])
    await assert_exact(timelines, wanted, 10)
    await timelines.registry.remove(wanted.name)

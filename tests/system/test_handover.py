"""Continue-as-new at its worst moment: a patch cannot be delivered yet, and batches wait behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.servers import make_server
from tests.support.waiting import eventually
from timeline.plan import PlanNode, make_plan
from timeline.tables.events import Position, from_rows
from workflows.client import Client
from workflows.connection import connect_embedded, task_queue
from workflows.protocol import NodeSpec, Subscriber, node
from workflows.worker import make_worker

PARENT, LEAF = make_plan('!has_existed(state == "play")').nodes[::-1]
COLUMNS = frozenset({"state"})


def id_of(planned: PlanNode) -> str:
    return f"handover.{planned.operator.name}.{planned.digest}.0"


async def start(timelines: Client, planned: PlanNode, subscribers: list[Subscriber]) -> str:
    spec = NodeSpec(
        expression=planned.text, stream=0, allowed_lateness=None, retention=None, subscribers=subscribers
    )
    workflow_id = id_of(planned)
    await timelines.temporal.start_workflow(
        planned.operator.name, args=[spec], id=workflow_id, task_queue=task_queue()
    )
    return workflow_id


async def reached(timelines: Client, workflow_id: str, position: Position) -> None:
    """Waits until a node is there; there is nothing to await but its answers."""
    for _ in range(12_000):
        if await timelines.nodes.position(workflow_id) == position:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{workflow_id} did not reach {position} within 10 minutes")


@pytest.mark.real_server
async def test_one_that_is_held_stays_so_when_it_continues_as_new(tmp_path: Path) -> None:
    suggest_at_once = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=4")
    async with make_server(tmp_path / "dev.db", options=suggest_at_once) as server:
        client = await connect_embedded(server.address)
        async with make_worker(client):
            timelines = Client(client)
            parent = await start(timelines, PARENT, [])
            leaf = await start(timelines, LEAF, [])
            asking = timelines.leaves.asking
            for number in range(3):
                if number == 1:
                    await asking.signal(leaf, node.HOLD)
                batch = from_rows([(f"key-{number}", 1_000, {"state": "play"})], first=(number + 1,))
                await timelines.leaves.signal_events({leaf: COLUMNS}, batch, (number + 1,))
                if number == 0:
                    await reached(timelines, leaf, (1,))
            first = (await client.get_workflow_handle(leaf).describe()).run_id
            # That wakes it: a new parent gets what it knows, and then it continues as new.
            await asking.signal(leaf, node.SUBSCRIBE, Subscriber(workflow=parent, inputs=[0]))
            await reached(timelines, parent, (1,))

            async def renewed() -> bool:
                return (await client.get_workflow_handle(leaf).describe()).run_id != first

            await eventually(renewed)
            status = await timelines.nodes.status(leaf)
            assert (status["held"], status["waiting"], status["accepted"]) == (True, 2, 1)
            assert await asking.query(leaf, node.QUIET)
            await asking.signal(leaf, node.GO_ON)
            await reached(timelines, parent, (3,))
            status = await timelines.nodes.status(leaf)
            assert (status["held"], status["waiting"], status["accepted"]) == (False, 0, 3)


@pytest.mark.real_server
async def test_inbox_and_undelivered_patch_survive_continue_as_new(tmp_path: Path) -> None:
    suggest_at_once = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=4")
    async with make_server(tmp_path / "dev.db", options=suggest_at_once) as server:
        client = await connect_embedded(server.address)
        async with make_worker(client):
            timelines = Client(client)
            leaf = await start(timelines, LEAF, [Subscriber(workflow=id_of(PARENT), inputs=[0])])
            for number in range(3):
                # A key in each: a patch that is lost or comes twice is seen in the names that follow.
                batch = from_rows([(f"key-{number}", 1_000, {"state": "play"})], first=(number + 1,))
                await timelines.leaves.signal_events({leaf: COLUMNS}, batch, (number + 1,))
                if number == 0:
                    await reached(timelines, leaf, (1,))
            # The parent is not there: the first patch is on its way, the other batches wait.
            assert (await timelines.nodes.status(leaf))["waiting"] == 2
            parent = await start(timelines, PARENT, [])
            await reached(timelines, parent, (3,))
            status = await timelines.nodes.status(leaf)
            assert (status["accepted"], status["waiting"]) == (3, 0)
            assert await timelines.asking.query(parent, node.KEYS, 0) == ["key-0", "key-1", "key-2"]
            runs = [run async for run in client.list_workflows(f'WorkflowId = "{leaf}"')]
            assert len(runs) > 1

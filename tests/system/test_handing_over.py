"""The activity that hands states over, by itself: done again, and what it refuses."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from feeder.files.feed import feed_files
from tests.support.timelines import assert_exact, many, spec, write
from tests.support.waiting import eventually
from timeline.spec.spec import Spec
from timeline.spec.tables import Source
from timeline.tables.events import from_rows
from workflows.client import Client
from workflows.handover import HandoverActivity
from workflows.names import fragment_id
from workflows.protocol import Subscriber, node
from workflows.protocol.handover import Handover

BUFFERING = 'latest_event_to_state(playerStateChange) == "buffer"'


class Handing:
    """A timeline that was fed, and an activity that moves it to the policy ``stream``, but does not register
    that."""

    def __init__(self, timelines: Client, before: Spec) -> None:
        self.timelines, self.before = timelines, before
        self.after = before.by_policy("stream")
        self.old = [fragment_id(before, fragment, 0) for fragment in before.fragments]
        [self.new] = [fragment_id(self.after, fragment, 0) for fragment in self.after.fragments]
        self.token = uuid.uuid4().hex

    async def run(self, *, max_state: int = 1 << 20, patience: float = 60.0) -> None:
        work = Handover(
            before=[self.before.to_wire()],
            after=[self.after.to_wire()],
            stream=0,
            max_state=max_state,
            token=self.token,
        )
        activity = HandoverActivity(self.timelines.temporal, patience)
        await ActivityEnvironment().run(activity.hand_over, work)

    async def go_on(self) -> None:
        for workflow_id in self.old:
            await self.timelines.leaves.asking.signal(workflow_id, node.GO_ON)

    @property
    def handle(self) -> WorkflowHandle[object, object]:
        return self.timelines.temporal.get_workflow_handle(self.new)


@pytest.fixture
async def handing(timelines: Client, tmp_path: Path) -> Handing:
    before = spec()
    await timelines.registry.register(before)
    await feed_files(timelines, before, [write(tmp_path / "many.jsonl", many(4, 10))])
    return Handing(timelines, before)


@pytest.mark.real_server
async def test_again_is_the_same_and_anothers_is_not_touched(handing: Handing) -> None:
    await handing.run()
    run_id = (await handing.handle.describe()).run_id
    await handing.run()
    assert (await handing.handle.describe()).run_id == run_id
    status = await handing.timelines.nodes.status(handing.new)
    assert (status["accepted"], status["held"]) == (40, False)
    assert [(await handing.timelines.nodes.status(old))["held"] for old in handing.old] == [True] * 7
    handing.token = "another"
    with pytest.raises(
        ApplicationError, match=f"a workflow {handing.new} runs that no timeline uses; terminate"
    ):
        await handing.run(patience=1.0)
    # One that is about to stop is waited for.
    await handing.handle.signal(node.STOP.name)
    await handing.run()
    assert (await handing.handle.describe()).run_id != run_id
    await handing.handle.signal(node.STOP.name)
    await handing.go_on()
    await assert_exact(handing.timelines, handing.before, 4)


async def test_a_state_that_is_too_large_is_refused(handing: Handing) -> None:
    with pytest.raises(
        ApplicationError, match=r"would have \d+ bytes \(limit 100\); give the workers a store"
    ) as e:
        await handing.run(max_state=100)
    assert (e.value.type, e.value.non_retryable) == ("Limit", True)
    users = await handing.timelines.registry.users()
    assert handing.new not in users
    await handing.go_on()


@pytest.mark.real_server
async def test_nodes_that_do_not_come_to_rest_are_refused(handing: Handing, tmp_path: Path) -> None:
    """One is telling something to a parent that is there no more."""
    temporal, asking = handing.timelines.temporal, handing.timelines.leaves.asking
    leaf = handing.old[0]
    source, _, _, stream = leaf.rsplit(".", 3)
    parent = Subscriber(workflow=f"{source}.not.{handing.token}.{stream}", inputs=[0])
    # Nobody works for it, but it gets what it is told.
    gone = await temporal.start_workflow("not", id=parent["workflow"], task_queue="nobody")
    await asking.signal(leaf, node.SUBSCRIBE, parent)

    async def is_told() -> bool:
        history = await gone.fetch_history()
        return any(e.HasField("workflow_execution_signaled_event_attributes") for e in history.events)

    await eventually(is_told)
    await gone.terminate()
    lines = many(4, 12)[40:]
    more = write(tmp_path / "more.jsonl", lines[:4])
    assert (await feed_files(handing.timelines, handing.before, [more])).accepted == 4
    with pytest.raises(
        ApplicationError, match=f"{leaf} has not come to rest within 1 s: something is still"
    ) as e:
        await handing.run(patience=1.0)
    assert e.value.type == "Conflict"
    await asking.signal(leaf, node.UNSUBSCRIBE, parent["workflow"])
    await handing.run()
    await handing.handle.signal(node.STOP.name)
    await handing.go_on()
    rest = write(tmp_path / "rest.jsonl", lines[4:])
    assert (await feed_files(handing.timelines, handing.before, [rest])).accepted == 4


@pytest.mark.real_server
async def test_what_comes_while_it_is_held_waits(handing: Handing, tmp_path: Path) -> None:
    for old in handing.old:
        await handing.timelines.leaves.asking.signal(old, node.HOLD)
    leaf = handing.old[0]
    assert await handing.timelines.leaves.asking.query(leaf, node.QUIET)
    rest = write(tmp_path / "rest.jsonl", many(4, 12)[40:])
    feeding = asyncio.create_task(feed_files(handing.timelines, handing.before, [rest]))

    async def waits() -> bool:
        return (await handing.timelines.nodes.status(leaf))["waiting"] == 1

    await eventually(waits)
    assert (await handing.timelines.nodes.status(leaf))["accepted"] == 40
    # It is at rest all the same: what waits is not of the state that is handed over.
    assert await handing.timelines.leaves.asking.query(leaf, node.QUIET)
    await handing.go_on()
    assert (await feeding).accepted == 8
    await assert_exact(handing.timelines, handing.before, 4)


@pytest.mark.real_server
async def test_copies_of_a_leaf_that_are_uneven_are_waited_for(timelines: Client) -> None:
    """Each of two timelines has its own; one has had a batch more when they are held."""
    source = Source(name=f"uneven-{uuid.uuid4().hex[:8]}", key="session")
    texts = {"a": f"count_rises({BUFFERING})", "b": f"duration_where({BUFFERING})"}
    specs = [
        Spec(name=f"{source.name}-{which}", expression=text, source=source).by_policy("stream")
        for which, text in texts.items()
    ]
    await timelines.registry.register_all(specs)
    first, second = (fragment_id(one, one.fragments[0], 0) for one in specs)
    columns = frozenset({"playerStateChange"})
    rows = [(k, t, {"playerStateChange": s}) for k, t, s in many(3, 10)]
    batch = from_rows(rows, first=(1, 1))
    await timelines.leaves.signal_events({first: columns}, batch, (1, 30))
    versions = {one.name: 1 for one in specs}
    moving = asyncio.create_task(
        timelines.registry.register_all([one.by_policy("operator") for one in specs], versions)
    )

    async def released() -> bool:
        held = (await timelines.nodes.status(second))["held"]
        seen.append(held)
        return not held and True in seen

    seen: list[bool | None] = []
    await eventually(released)
    await timelines.leaves.signal_events({second: columns}, batch, (1, 30))
    moved = [one.spec for one in await moving]
    for one in moved:
        for leaf in one.fragments:
            assert await timelines.nodes.position(fragment_id(one, leaf, 0)) == (1, 30)
        await timelines.registry.remove(one.name)

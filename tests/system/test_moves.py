"""Timelines moved to another policy: new workflows get what the old ones know, and nothing is read again."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from temporalio.worker import Replayer

from feeder.files.feed import feed_files
from tests.support.timelines import assert_exact, many, spec, write
from timeline.errors import TimelineError
from timeline.fragments import Policy
from timeline.spec.changes import changes
from timeline.spec.spec import Spec
from timeline.spec.tables import Source
from workflows.client import Client
from workflows.names import REGISTRY_ID, fragment_id
from workflows.payloads.codec import data_converter
from workflows.worker import RUNNER, WORKFLOWS

BUFFERING = 'latest_event_to_state(playerStateChange) == "buffer"'


def leaves(wanted: Spec) -> list[str]:
    shards = range(wanted.limits.shards)
    return [fragment_id(wanted, f, shard) for shard in shards for f in wanted.fragments if f.leaves]


async def test_nothing_is_read_again(timelines: Client, tmp_path: Path) -> None:
    cirr = spec(shards=2, allowed_lateness="10s", retention="1m")
    await timelines.registry.register(cirr)
    file, aside = tmp_path / "many.jsonl", tmp_path / "aside.jsonl"
    await feed_files(timelines, cirr, [write(file, many(9, 30)[:110])])
    policies: list[Policy] = ["operator", "stream", "node", "stream", "operator", "node"]
    for version, policy in enumerate(policies, 1):
        moved = cirr.by_policy(policy)
        change = changes(cirr, moved)
        assert (change.moves, change.anew, change.new, change.goes) == (True, False, (), ())
        before = {(await timelines.leaves.stands(leaf))[0] for leaf in leaves(cirr)}
        file.rename(aside)
        [done] = await timelines.registry.register_all([moved], {cirr.name: version})
        assert len(done.stopped) == 2 * len(cirr.fragments)
        # The source is gone, and every answer is there.
        assert {(await timelines.leaves.stands(leaf))[0] for leaf in leaves(moved)} == before
        aside.rename(file)
        await assert_exact(timelines, moved, 9)
        cirr = moved
        write(file, many(9, 30)[: 110 + 20 * version])
        report = await feed_files(timelines, cirr, [file])
        assert (report.events, report.accepted, report.refused) == (20, 20, 0)
        await assert_exact(timelines, cirr, 9)
    await timelines.registry.remove(cirr.name)


def two(policy: Policy) -> tuple[Spec, Spec]:
    """Two timelines on one source that share leaves."""
    source = Source(name=f"two-{uuid.uuid4().hex[:8]}", key="session")
    play = 'has_existed(playerStateChange == "play")'
    one = Spec(name=f"{source.name}-a", expression=f"duration_where({play} && !({BUFFERING}))", source=source)
    other = Spec(name=f"{source.name}-b", expression=f"count_rises({BUFFERING})", source=source)
    return one.by_policy(policy), other.by_policy(policy)


@pytest.mark.parametrize("policies", [("operator", "node"), ("node", "stream")])
async def test_others_keep_what_they_share(
    timelines: Client, tmp_path: Path, policies: tuple[Policy, Policy]
) -> None:
    one, other = two(policies[0])
    await timelines.registry.register_all([one, other])
    file = write(tmp_path / "a.jsonl", many(5, 10))
    await feed_files(timelines, one, [file])
    moved = one.by_policy(policies[1])
    file.rename(tmp_path / "aside.jsonl")
    [done] = await timelines.registry.register_all([moved], {one.name: 1})
    (tmp_path / "aside.jsonl").rename(file)
    stayed = {fragment_id(other, fragment, 0) for fragment in other.fragments}
    assert done.stopped
    assert not stayed & set(done.stopped)
    for node in stayed:
        status = await timelines.nodes.status(node)
        assert not status["held"]
        assert set(status["subscribers"]) <= stayed
    for timeline in (moved, other):
        await assert_exact(timelines, timeline, 5)
    report = await feed_files(timelines, other, [write(tmp_path / "b.jsonl", many(6, 20)[60:])])
    assert (report.events, report.accepted) == (60, 60)
    for timeline in (moved, other):
        await assert_exact(timelines, timeline, 6)
        await timelines.registry.remove(timeline.name)


async def test_timelines_that_share_move_together(timelines: Client, tmp_path: Path) -> None:
    both = two("operator")
    await timelines.registry.register_all(both)
    file = write(tmp_path / "a.jsonl", many(5, 10))
    await feed_files(timelines, both[0], [file])
    moved = [timeline.by_policy("node") for timeline in both]
    file.rename(tmp_path / "aside.jsonl")
    await timelines.registry.register_all(moved, {timeline.name: 1 for timeline in both})
    (tmp_path / "aside.jsonl").rename(file)
    users = await timelines.registry.users()
    wanted = {fragment_id(timeline, f, 0) for timeline in moved for f in timeline.fragments}
    assert {node for node in users if node.startswith(both[0].source_id)} == wanted
    for timeline in moved:
        await assert_exact(timelines, timeline, 5)
        await timelines.registry.remove(timeline.name)


async def test_where_others_of_that_policy_run_already_new_nodes_begin_anew(
    timelines: Client, tmp_path: Path
) -> None:
    one, other = two("node")
    one = one.by_policy("stream")
    await timelines.registry.register_all([one, other])
    file = write(tmp_path / "a.jsonl", many(5, 10))
    await feed_files(timelines, one, [file])
    moved = one.by_policy("node")
    await timelines.registry.register_all([moved], {one.name: 1})
    assert (await feed_files(timelines, moved, [])).events == 50
    await assert_exact(timelines, moved, 5)
    for timeline in (moved, other):
        await timelines.registry.remove(timeline.name)


async def test_what_cannot_be_moved_goes_on(timelines: Client, tmp_path: Path) -> None:
    cirr = spec()
    await timelines.registry.register(cirr)
    await feed_files(timelines, cirr, [write(tmp_path / "a.jsonl", many(3, 10))])
    gone = fragment_id(cirr, cirr.fragments[-1], 0)
    await timelines.temporal.get_workflow_handle(gone).terminate()
    with pytest.raises(TimelineError, match=f"states were not handed over, and all is as before: .*{gone}"):
        await timelines.registry.register_all([cirr.by_policy("stream")], {cirr.name: 1})
    assert await timelines.registry.spec(cirr.name) == cirr
    for fragment in cirr.fragments[:-1]:
        assert not (await timelines.nodes.status(fragment_id(cirr, fragment, 0)))["held"]
    users = await timelines.registry.users()
    mine = {node for node in users if node.startswith(cirr.source_id)}
    assert mine == {fragment_id(cirr, f, 0) for f in cirr.fragments}
    await timelines.registry.remove(cirr.name)


async def test_histories_of_moves_replay(timelines: Client, tmp_path: Path) -> None:
    cirr = spec()
    await timelines.registry.register(cirr)
    await feed_files(timelines, cirr, [write(tmp_path / "a.jsonl", many(3, 10))])
    moved = cirr.by_policy("operator")
    await timelines.registry.register_all([moved], {cirr.name: 1})
    await feed_files(timelines, moved, [write(tmp_path / "b.jsonl", many(3, 12)[30:])])
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=RUNNER, data_converter=data_converter)
    nodes = [fragment_id(one, fragment, 0) for one in (cirr, moved) for fragment in one.fragments]
    for workflow_id in [REGISTRY_ID, *nodes]:
        history = await timelines.temporal.get_workflow_handle(workflow_id).fetch_history()
        await replayer.replay_workflow(history)
    await timelines.registry.remove(cirr.name)

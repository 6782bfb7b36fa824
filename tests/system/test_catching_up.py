"""Leaves that are more batches behind than may be in flight, on the real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import feeder.stream
from feeder.files.feed import feed_files
from tests.support.cli import PATIENCE
from tests.support.timelines import assert_exact, many, spec, two_on_a_topic, write
from timeline.tables.events import from_rows
from workflows.client import Client
from workflows.client.leaves import Leaves
from workflows.names import node_id


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder.stream, "BATCH_EVENTS", 4)


@pytest.mark.real_server
async def test_a_new_leaf_is_many_batches_behind_one_that_is_shared(
    timelines: Client, tmp_path: Path
) -> None:
    """Its result cannot follow before the new leaf is where the shared one stands."""
    play = 'has_existed(playerStateChange == "play")'
    first, second = two_on_a_topic(play, f'{play} && has_existed(playerStateChange == "pause")')
    await timelines.registry.register(first)
    file = write(tmp_path / "many.jsonl", many(3, 20))
    await feed_files(timelines, first, [file])
    await timelines.registry.register(second)
    # Without end if it waits for that result at a batch in between.
    async with asyncio.timeout(PATIENCE):
        await feed_files(timelines, second, [write(tmp_path / "more.jsonl", [("k1", 99_000, "seek")])])
    for timeline in (first, second):
        await assert_exact(timelines, timeline, 3)
        # There is no such topic: a feeder in a test after this one must not look for it.
        await timelines.registry.remove(timeline.name)


@pytest.mark.real_server
async def test_leaves_become_uneven_while_they_are_fed(
    timelines: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another feeder brings one leaf far ahead after this one has asked where they stand, and dies."""
    cirr = spec()
    await timelines.registry.register(cirr)
    rows = many(3, 20)
    leaf = cirr.plan.leaves[0]
    assert leaf.leaf is not None
    ahead = from_rows([(k, t, {"playerStateChange": s}) for k, t, s in rows[:41]], (1, 1))
    ends: list[object] = []

    class Overtaken(Leaves):
        async def signal_events(self, leaves, events, last, about=None):  # type: ignore[no-untyped-def]
            if not ends:
                await super().signal_events({node_id(cirr, leaf, 0): leaf.leaf.columns}, ahead, (1, 41))  # type: ignore[union-attr]
            ends.append(last)
            await super().signal_events(leaves, events, last, about)

    file = write(tmp_path / "many.jsonl", rows)
    async with asyncio.timeout(PATIENCE):
        client = Client(timelines.temporal)
        client.leaves = Overtaken(client.leaves.asking)
        await feed_files(client, cirr, [file])
    assert len(ends) > 5
    await assert_exact(timelines, cirr, 3)

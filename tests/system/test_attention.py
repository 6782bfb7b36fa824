"""What needs a person's attention, through the real server: refused events, quarantined keys."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from tests.support.cli import Cli
from tests.support.timelines import spec, write
from timeline.errors import NotFoundError
from timeline.operators.duration_where import DurationWhere
from timeline.tables.table import Table, Window
from workflows.client import Client
from workflows.names import node_id

EXPRESSION = 'duration_where(latest_event_to_state(playerStateChange) == "buffer") > 2'


async def test_refused_events_are_listed(timelines: Client, cli: Cli, tmp_path: Path) -> None:
    timeline = spec(EXPRESSION, allowed_lateness="1s", key_ttl="10s")
    await timelines.registry.register(timeline)
    rows = [("a", 5000, "play"), ("a", 3000, "seek"), ("a", 4000, "buffer"), ("b", 30_000, "play")]
    rows += [("a", 6000, "play"), ("a", 31_000, "buffer")]
    report = await feed_files(timelines, timeline, [write(tmp_path / "a.jsonl", rows)])
    assert (report.events, report.accepted, report.refused) == (6, 4, 2)
    listed = [event async for event in timelines.leaves.refused(timeline, 0)]
    assert [(e["position"], e["key"], e["time"], e["reason"]) for e in listed] == [
        ([1, 2], "a", 3000, "late"),
        ([1, 5], "a", 6000, "closed"),
    ]
    out = (await asyncio.to_thread(cli.good, "refused", timeline.name, "--json")).splitlines()
    assert [json.loads(line) for line in out] == [{"stream": 0, **event} for event in listed]
    assert "1.5       a    6000       closed" in await asyncio.to_thread(cli.good, "refused", timeline.name)
    comparison = await compare(timelines, timeline)
    assert not comparison.differences
    assert comparison.timelines == 12, "a has two lives"


async def test_a_poisoned_key_is_lost_alone_and_released(
    timelines: Client, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeline = spec(EXPRESSION)
    await timelines.registry.register(timeline)
    rows = [("a", 1000, "buffer"), ("b", 1000, "buffer"), ("a", 3000, "play")]
    await feed_files(timelines, timeline, [write(tmp_path / "a.jsonl", rows)])
    whole = DurationWhere.compute

    def compute(self: Any, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        if 0 in window.key:  # the code of "a"
            raise ValueError("cannot stand it")
        return whole(self, inputs, window, own)

    with monkeypatch.context() as patch:
        patch.setattr(DurationWhere, "compute", compute)
        more = [("a", 4000, "buffer"), ("b", 2000, "play"), ("b", 5000, "buffer")]
        await feed_files(timelines, timeline, [write(tmp_path / "b.jsonl", more)])
        held = await timelines.nodes.quarantined(timeline)
        assert [(q["key"], q["position"], q["error"]) for q in held] == [
            ("a", [2, 3], "ValueError: cannot stand it")
        ]
        (b,) = await timelines.questions.values(timeline, timeline.plan.result, [("b", 9000)])
        assert b.value is True
        (a,) = await timelines.questions.values(timeline, timeline.plan.result, [("a", 9000)])
        assert a.error is not None
        assert "'a' is quarantined since position [2, 3]" in a.error
        described = await asyncio.to_thread(cli.good, "describe", timeline.name)
        assert "quarantined: key 'a' since position 2.3, in duration_where(" in described
        failed = await asyncio.to_thread(cli.run, "query", timeline.name, "a")
        assert failed.returncode != 0
        assert "cannot stand it" in failed.stderr
    with pytest.raises(NotFoundError, match=r"'b' of timeline .* is not quarantined"):
        await timelines.nodes.release(timeline, "b")
    assert "released a in 1 nodes" in await asyncio.to_thread(cli.good, "release", timeline.name, "a")
    rows = [("a", 8000, "play")]
    await feed_files(timelines, timeline, [write(tmp_path / "c.jsonl", rows)])
    assert await timelines.nodes.quarantined(timeline) == []
    comparison = await compare(timelines, timeline)
    assert not comparison.differences


async def test_a_workflow_task_that_takes_longer_than_the_sdk_allows_gets_done(
    timelines: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeline = spec(EXPRESSION)
    await timelines.registry.register(timeline)
    whole, never = DurationWhere.compute, threading.Event()
    slow: list[bool] = []

    def compute(self: Any, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        if not slow:  # as on a loaded machine, where the SDK's two seconds are over soon
            slow.append(True)
            never.wait(3)
        return whole(self, inputs, window, own)

    with monkeypatch.context() as patch:
        patch.setattr(DurationWhere, "compute", compute)
        await feed_files(timelines, timeline, [write(tmp_path / "a.jsonl", [("a", 1000, "buffer")])])
    assert slow
    [node] = [n for n in timeline.plan.nodes if isinstance(n.operator, DurationWhere)]
    history = await timelines.temporal.get_workflow_handle(node_id(timeline, node, 0)).fetch_history()
    assert not [e for e in history.events if e.HasField("workflow_task_failed_event_attributes")]

"""A question that nobody should ask is refused or answered at once, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowQueryFailedError, WorkflowUpdateFailedError

from feeder.files.feed import feed_files
from tests.support.hostile import bomb, raw
from tests.support.timelines import assert_exact, spec, write
from timeline.spec.spec import Spec
from timeline.tables.table import Table
from workflows import asked
from workflows.client import Client
from workflows.names import REGISTRY_ID, node_id
from workflows.protocol import node

EVENTS = [("k", 1_000, "play"), ("l", 2_000, "buffer"), ("k", 4_000, "buffer"), ("l", 6_000, "play")]
#: By what is asked, with what, and what is said of it; `None`: it is answered.
QUESTIONS: list[tuple[str, list[Any], str | None]] = [
    ("values", [], "missing 1 required positional argument"),
    ("values", [7], "has no len"),
    ("values", [[], "x", 3], "positional arguments"),
    ("values", [["k"]], "not enough values to unpack"),
    ("values", [[[["k"], 1]]], "unhashable"),
    ("values", [[["k", "x"]]], "not supported between"),
    ("values", [[["k", 1 << 50], ["k", -1], ["x" * 100_000, 1]]], None),
    ("values", [[["k", 1]] * 2_001], "at most 2000 values are told at once, got 2001"),
    ("values", [[["k", 1]] * 100_000], "lists and tables in it"),
    ("values", [[], "no such node"], "no node no such node lives in"),
    ("timelines", [["k"] * 2_000], None),
    ("timelines", [[["k"]]], "unhashable"),
    ("timelines", [{"k": 1}], "unhashable"),
    ("lives", [["k", 1, None, 0.5] * 500], None),
    ("keys", [-5], None),
    ("keys", ["x"], "concatenate"),
    ("keys", [1e300], "slice indices"),
    ("recent", [-1], None),
    ("recent", [1 << 60], None),
    ("refused", [["x"]], "decoding arguments"),
    ("refused", [[1] * 9_000], None),
    ("quarantined", [-1], None),
    ("aggregate", [{}], "aggregates"),
    ("aggregate", [[]], "indices must be integers"),
    ("carried", [0], "only a node that is held says what it carries"),
    ("carried", [-1], "only a node that is held says what it carries"),
    ("status", [1], None),
    ("explode", [], "expected but not found"),
    ("values", [raw("json/plain", b"[" * 5_000)], "are no JSON"),
    ("values", [raw("binary/zstd", b"nothing of zstd's")], "cannot be decompressed"),
    ("values", [raw("binary/of-tomorrow", b"?")], "cannot be read"),
    ("values", [raw("json/external-storage-reference", b"{}")], "cannot be read"),
    ("values", [bomb(20 << 20)], "bytes, at most 1"),
]


async def fed(timelines: Client, folder: Path) -> Spec:
    wanted = spec('latest_event_to_state(state) == "buffer"')
    await timelines.registry.register(wanted)
    await feed_files(timelines, wanted, [write(folder / "first.jsonl", EVENTS, "state")])
    return wanted


async def test_no_question_changes_a_node(timelines: Client, tmp_path: Path) -> None:
    wanted = await fed(timelines, tmp_path)
    for planned in wanted.plan.nodes:
        handle = timelines.temporal.get_workflow_handle(node_id(wanted, planned, 0))
        for question, args, said in QUESTIONS:
            if said is None:
                await handle.query(question, args=args)
                continue
            with pytest.raises(WorkflowQueryFailedError) as refused:
                await handle.query(question, args=args)
            assert said in str(refused.value), (question, args)
            assert len(str(refused.value)) < 2_000
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("register", args=[{}, {}])
    await assert_exact(timelines, wanted, 2)
    await timelines.registry.remove(wanted.name)


@pytest.mark.parametrize("question", ["timelines", "lives"])
async def test_a_key_that_is_asked_for_often_is_told_once(
    timelines: Client, tmp_path: Path, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = await fed(timelines, tmp_path)
    told: list[int] = []
    whole = Table.json_rows

    def rows(table: Table) -> list[list[Any]]:
        told.append(len(table))
        return whole(table)

    monkeypatch.setattr(Table, "json_rows", rows)
    handle = timelines.temporal.get_workflow_handle(node_id(wanted, wanted.plan.result, 0))
    answer = await handle.query(question, args=[["k", "l"] * 1_000])
    assert (sorted(answer[question]), told) == (["k", "l"], [2, 2])
    monkeypatch.setattr(asked, "MAX_ROWS", 3)
    with pytest.raises(WorkflowQueryFailedError, match="more than 3 rows are not told at once"):
        await handle.query(question, args=[["k", "l"]])
    await timelines.registry.remove(wanted.name)


async def test_what_a_node_carries_is_that_of_when_it_is_asked(timelines: Client, tmp_path: Path) -> None:
    """Once it was told, it is not told again after the node has gone on."""
    wanted = await fed(timelines, tmp_path)
    leaf = node_id(wanted, wanted.plan.leaves[0], 0)

    async def carried() -> str:
        await timelines.asking.signal(leaf, node.HOLD)
        digest: str = (await timelines.asking.query(leaf, node.CARRIED, 0))["digest"]
        await timelines.asking.signal(leaf, node.GO_ON)
        return digest

    first = await carried()
    assert await carried() == first
    await feed_files(timelines, wanted, [write(tmp_path / "later.jsonl", [("m", 9_000, "seek")], "state")])
    assert await carried() != first
    await timelines.registry.remove(wanted.name)


async def test_no_question_changes_the_registry(timelines: Client) -> None:
    handle = timelines.temporal.get_workflow_handle(REGISTRY_ID)
    wanted = spec()
    await timelines.registry.register(wanted)
    for question, args, said in (
        ("versions", [{}], "unhashable"),
        ("versions", [], "missing 1 required"),
        ("log", ["x" * 1_000_000], None),
        ("users", [1, 2, 3], None),
        ("explode", [], "expected but not found"),
        ("log", [bomb(20 << 20)], "bytes, at most 1"),
    ):
        if said is None:
            await handle.query(question, args=args)
        else:
            with pytest.raises(WorkflowQueryFailedError, match=said):
                await handle.query(question, args=args)
    assert wanted.name in await timelines.registry.specs()
    await timelines.registry.remove(wanted.name)

"""Workflow code replays what nodes of released versions did: it can be upgraded under them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from timeline.language.signatures import signatures
from workflows.names import REGISTRY_ID
from workflows.payloads.codec import data_converter
from workflows.worker import RUNNER, WORKFLOWS

STARTED = "workflowTaskStartedEventAttributes"
HISTORIES = sorted((Path(__file__).parents[1] / "histories").glob("*.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=[path.stem for path in HISTORIES])
async def test_recorded_history_replays(path: Path) -> None:
    await replay(path, await asyncio.to_thread(path.read_text))


@pytest.mark.parametrize("path", HISTORIES, ids=[path.stem for path in HISTORIES])
async def test_a_run_that_went_on_goes_on_whatever_the_server_suggests(path: Path) -> None:
    """A question brings a signal before the task for it has begun: then the suggestion that the workflow saw
    was that of the task before, and not the one that the history has."""
    history = json.loads(await asyncio.to_thread(path.read_text))
    started = [e["workflowTaskStartedEventAttributes"] for e in history["events"] if STARTED in e]
    for task in started[:-1]:
        task["suggestContinueAsNew"] = True
    await replay(path, json.dumps(history))


async def replay(path: Path, text: str) -> None:
    # On a loaded machine to import alone may take the 2 s that a workflow's task has.
    replayer = Replayer(
        workflows=WORKFLOWS, workflow_runner=RUNNER, data_converter=data_converter, debug_mode=True
    )
    workflow_id = REGISTRY_ID if REGISTRY_ID in path.stem else path.stem
    await replayer.replay_workflow(WorkflowHistory.from_json(workflow_id, text))


def test_every_operator_is_recorded_and_one_continued_as_new() -> None:
    types = set()
    continued = 0
    for path in HISTORIES:
        [start] = [
            event["workflowExecutionStartedEventAttributes"]
            for event in json.loads(path.read_text())["events"]
            if "workflowExecutionStartedEventAttributes" in event
        ]
        types.add(start["workflowType"]["name"])
        continued += "continuedExecutionRunId" in start
    operators = {s.name for s in signatures()} | {"equal", "not_equal", "less", "outputs", "in"}
    assert types >= operators | {"timeline_registry"}
    assert continued > 0

"""What the nodes' histories say of how they continued as new."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
from temporalio.client import Client

from timeline.engine.fragment import LiveFragment
from timeline.engine.state_wire import from_state
from timeline.fragments import Fragment
from timeline.spec.spec import Spec
from workflows.names import fragment_id
from workflows.payloads.codec import data_converter


@dataclass(slots=True)
class Runs:
    """How many runs of nodes continued another, and how many were handed signals in flight."""

    continued: int = 0
    with_inbox: int = 0

    def add(self, other: Runs) -> None:
        """Counts another's in."""
        self.continued += other.continued
        self.with_inbox += other.with_inbox


async def count_runs(client: Client, spec: Spec) -> Runs:
    """Goes through all runs of all nodes of a timeline, from the newest back."""
    runs = Runs()
    for stream in range(spec.limits.shards):
        for fragment in spec.fragments:
            workflow_id = fragment_id(spec, fragment, stream)
            started = await _started(client, workflow_id, None)
            while started.continued_execution_run_id:
                runs.continued += 1
                runs.with_inbox += await _has_inbox(spec, fragment, started)
                started = await _started(client, workflow_id, started.continued_execution_run_id)
    return runs


async def _started(
    client: Client, workflow_id: str, run_id: str | None
) -> WorkflowExecutionStartedEventAttributes:
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    events = handle.fetch_history_events(page_size=1)
    return (await anext(events)).workflow_execution_started_event_attributes


async def _has_inbox(
    spec: Spec, fragment: Fragment, started: WorkflowExecutionStartedEventAttributes
) -> bool:
    """Whether a run was handed signals that the one before had not worked at."""
    _, state = await data_converter.decode(started.input.payloads, [dict, bytes])
    live = LiveFragment(spec.plan, fragment, spec.node_limits)
    return bool(from_state(state, live.states)["inbox"])

"""What workflows' histories say went wrong."""

from __future__ import annotations

import temporalio.client
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent


def _went_wrong(event: HistoryEvent) -> bool:
    """Whether an event is one that a worker which ends as it should never leaves.

    Not that a task timed out: the server may give one to a worker in the moment in which that ends, and gives
    it to another after ten seconds.
    """
    match event.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            # A run was to end when something came: Temporal has it look at that first.
            came = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
            return event.workflow_task_failed_event_attributes.cause != came
        case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            return event.activity_task_started_event_attributes.attempt > 1
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            return True
    return False


async def failures(client: temporalio.client.Client) -> list[tuple[str, str]]:
    """The failures in the histories of all runs: workflow, and the event."""
    found = []
    async for run in client.list_workflows('TaskQueue = "timeline"'):
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        found += [(run.id, str(event)) for event in history.events if _went_wrong(event)]
    return found


async def runs(client: temporalio.client.Client, workflow_id: str) -> int:
    """How many runs a workflow has had."""
    return len([run async for run in client.list_workflows(f'WorkflowId = "{workflow_id}"')])

"""Starting workflows that outlive whoever starts them. A part of the registry's workflow."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.common import TypedSearchAttributes
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

#: How long (s) a workflow that was told to stop may take to be gone, before another of its id is given up.
STOPPING = 10.0


async def started(
    workflow_id: str,
    kind: str,
    args: Any,
    *,
    stopping: set[str],
    patch: str,
    summary: str | None = None,
    found_by: TypedSearchAttributes | None = None,
) -> bool:
    """Starts a workflow of a kind; false if there is one of that id, and not one of ``stopping``: those were
    told to stop, so that they will soon be gone. ``patch`` is since when they are waited for."""
    waited = 0.0
    while True:
        try:
            await workflow.start_child_workflow(
                kind,
                args=[args],
                id=workflow_id,
                static_summary=summary,
                search_attributes=found_by,
                parent_close_policy=ParentClosePolicy.ABANDON,
                cancellation_type=ChildWorkflowCancellationType.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            if not (workflow_id in stopping and waited < STOPPING and workflow.patched(patch)):
                return False
            await workflow.sleep(0.1)
            waited += 0.1
        else:
            stopping.discard(workflow_id)
            return True

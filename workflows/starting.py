"""Starting workflows that outlive whoever starts them. A part of the registry's workflow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from temporalio import workflow
from temporalio.common import TypedSearchAttributes
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    import orjson

#: Bytes of arguments that are on their way at once: the server ends a workflow that sends it more than
#: 4 MiB in one message.
AT_ONCE = 1 << 20
#: How long (s) a workflow that was told to stop may take to be gone, before another of its id is given up.
STOPPING = 10.0


class Ways:
    """How much is on its way to the server in the starts of one workflow's run."""

    def __init__(self) -> None:
        self.bytes = 0

    @asynccontextmanager
    async def taken(self, args: Any) -> AsyncIterator[None]:
        """Waits until there is room for what a start carries; what is larger than all goes alone."""
        size = len(orjson.dumps(args))
        while not self._has_room(size) and workflow.patched("bytes-at-once"):
            # Others that wait may be woken by the same, and come first.
            await workflow.wait_condition(lambda: self._has_room(size))
        self.bytes += size
        try:
            yield
        finally:
            self.bytes -= size

    def _has_room(self, size: int) -> bool:
        return not self.bytes or self.bytes + size <= AT_ONCE


async def started(
    workflow_id: str,
    kind: str,
    args: Any,
    *,
    ways: Ways,
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
            async with ways.taken(args):
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

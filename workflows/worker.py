"""The worker: runs the nodes and the registry."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.connection import task_queue
from workflows.node import NodeWorkflow
from workflows.registry import RegistryWorkflow

#: Trusted modules: they are deterministic and know nothing of clocks, so the sandbox need not load
#: them anew for every workflow.
PASSED_THROUGH = (
    "lark",
    "numpy",
    "orjson",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "timeline",
    "workflows",
    "zstandard",
)

WORKFLOWS = (NodeWorkflow, RegistryWorkflow)


def sandbox() -> SandboxedWorkflowRunner:
    """The sandbox that workflows run in, here and in replay tests."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )


def make_worker(client: Client, *, max_cached_workflows: int = 2_000) -> Worker:
    """A worker for the task queue; run it with ``async with`` or ``await worker.run()``.

    The cache must hold all live nodes: one that falls out is replayed at its next signal.
    """
    return Worker(
        client,
        task_queue=task_queue(),
        workflows=WORKFLOWS,
        workflow_runner=sandbox(),
        max_cached_workflows=max_cached_workflows,
        max_concurrent_workflow_tasks=8,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(maximum=5),
        # A worker that was killed holds its workflows up no longer than this.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )

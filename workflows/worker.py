"""The worker: runs the nodes and the registry, and looks after the store of large states."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import (
    PollerBehaviorSimpleMaximum,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
)

from timeline.aggregate.parsing import parse_aggregates
from timeline.errors import ServiceError, StoreError
from timeline.plan import make_plan
from timeline.sinks.batches import Open
from timeline.tables import bounds
from workflows.attributes import AttributesActivity
from workflows.backoff import retry
from workflows.client.asking import Asking
from workflows.client.registry import Registry
from workflows.connection import deployment, task_queue
from workflows.gauge import MAX_STORED_STATE
from workflows.handover import HandoverActivity
from workflows.node import NodeWorkflow
from workflows.payloads.guarded import WorkerCodec, WorkerPayloadConverter, without_claims
from workflows.registry import RegistryWorkflow
from workflows.sink import SinkWorkflow
from workflows.sink_merging import MergedSinkWorkflow
from workflows.stores.store import Store
from workflows.stores.sweep import sweep
from workflows.writing.activity import SinkActivity
from workflows.writing.receivers import receivers

#: What workflows run in, here and in replay tests. Not the SDK's sandbox: all that they import would have to
#: be passed through it, so it would only watch over a few builtins, for 5 to 7 % of a worker's processor
#: time (measured). What keeps workflows deterministic are the floors, and the replays of committed histories.
RUNNER = UnsandboxedWorkflowRunner()

#: Seconds between two sweeps of the store.
SWEEP_EVERY = 3_600.0
#: Seconds before the first and before any other try of what did not succeed.
AGAIN_AFTER, AGAIN_AT_MOST = 10.0, 60.0

#: How long (s) a workflow task may compute until the SDK takes it for hung (the SDK has 2) and throws an
#: exception into its thread, wherever that is. Such a run cannot always be evicted: then it stands still,
#: and its worker does not end. A loaded machine needs seconds for a large batch. The server gives a task
#: anew after 10 s, which asks for no exception: so this is only for what never ends.
TASK_TIMEOUT = 60

WORKFLOWS = (NodeWorkflow, RegistryWorkflow, SinkWorkflow, MergedSinkWorkflow)


def make_worker(
    client: Client,
    *,
    build_id: str | None = None,
    max_cached_workflows: int = 2_000,
    topic_writer: Open | None = None,
    sink_roots: Sequence[Path] | None = None,
) -> Worker:
    """A worker for the task queue; run it with ``async with`` or ``await worker.run()``.

    The cache must hold all live nodes: one that falls out is replayed at its next signal. Rows of sinks
    go to Pulsar by ``topic_writer`` (`producer.pulsar.sink.TopicWriter`), to files in folders that are or
    lie below ``sink_roots`` (the working folder), and to webhooks that the environment allows. With a
    ``build_id`` it has only the runs that began with that build, and new ones while that is the current one
    (`workflows.client.builds`).

    Raises:
        ServiceError: the environment names webhooks that are none.
    """
    receivers()
    bounds.OLD_STATES = os.environ.get("TIMELINE_STATES_OF_0_2") == "accept"
    # A grammar is read at the first expression or list of aggregates: not in a workflow's first task.
    make_plan("has_existed(a == 1)")
    parse_aggregates("count", {})
    worker = Worker(
        _guarded(client),
        task_queue=task_queue(),
        workflows=WORKFLOWS,
        activities=[
            SinkActivity([Path.cwd()] if sink_roots is None else sink_roots, topic_writer).write,
            HandoverActivity(client).hand_over,
            AttributesActivity(client).known,
        ],
        workflow_runner=RUNNER,
        max_cached_workflows=max_cached_workflows,
        max_concurrent_workflow_tasks=8,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(maximum=5),
        deployment_config=None if build_id is None else _deployed(build_id),
        # A worker that is told to end finishes what it is writing.
        graceful_shutdown_timeout=timedelta(seconds=10),
        # A worker that was killed holds its workflows up no longer than this.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )
    # There is no option for it but one that also computes on the event loop.
    assert worker._workflow_worker is not None
    worker._workflow_worker._deadlock_timeout_seconds = TASK_TIMEOUT
    _look_at_tasks(worker)
    return worker


def _look_at_tasks(worker: Worker) -> None:
    """Has each task looked at before the SDK reads its payloads, for which there is no option either."""
    poll = worker._bridge_worker.poll_workflow_activation

    async def polled() -> WorkflowActivation:
        return without_claims(await poll())

    worker._bridge_worker.poll_workflow_activation = polled  # type: ignore[method-assign]


def _deployed(build_id: str) -> WorkerDeploymentConfig:
    version = WorkerDeploymentVersion(deployment(), build_id)
    return WorkerDeploymentConfig(version, True, VersioningBehavior.PINNED)


def _guarded(client: Client) -> Client:
    """The same connection, whose payloads are read as those of strangers."""
    config = client.config()
    config["data_converter"] = dataclasses.replace(
        client.data_converter, payload_codec=WorkerCodec(), payload_converter_class=WorkerPayloadConverter
    )
    return Client(**config)


async def agree(client: Client, store: Store | None) -> None:
    """Tells the registry which store this worker has, so that states may be larger from now on.

    Raises:
        StoreError: other workers keep states in a store, and this one has none.
        ServiceError: the registry does not answer.
    """
    registry = Registry(Asking(client))
    if store is not None:
        await registry.use_store(store.url, MAX_STORED_STATE)
    elif (url := await registry.store()) is not None:
        # It could not read them, and would fail to write any of more than 2 MiB.
        raise StoreError(
            f"large states are kept in {url}, and this worker has no store; "
            f"start it with --store {url}, or set TIMELINE_STORE"
        )


async def attend(client: Client, store: Store | None) -> None:
    """What goes on beside a running worker: it agrees on the store, then sweeps it every hour.

    Returns if there is nothing to do but to run.

    Raises:
        StoreError: other workers keep states in a store, and this one has none.
    """
    log = logging.getLogger(__name__)

    def again(error: Exception) -> bool:
        if not isinstance(error, ServiceError) or isinstance(error, StoreError):
            return False
        # The worker may be busy with reading its nodes anew; they do not wait for this.
        log.warning("cannot tell the registry of the store, trying again: %s", error)
        return True

    patiently = retry(on=again, attempts=None, timeout=None, wait_initial=AGAIN_AFTER, wait_max=AGAIN_AT_MOST)
    await patiently(agree)(client, store)
    while store is not None:
        try:
            await sweep(client, store)
        except (RPCError, OSError, ServiceError) as error:
            log.warning("the store %s was not swept, trying again in an hour: %s", store.url, error)
        await asyncio.sleep(SWEEP_EVERY)

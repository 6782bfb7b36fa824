"""Deletes from a store the states that no run refers to any more."""

from __future__ import annotations

import time
from collections.abc import Iterable

from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.sdk.v1.external_storage_pb2 import ExternalStorageReference
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from workflows.metrics import store_holds
from workflows.stores.store import Store, Stored

#: Seconds that a state is kept in any case: by then the server lists the run that was started with it.
MIN_AGE = 3_600.0
_REFERENCE = ExternalStorageReference.DESCRIPTOR.full_name.encode()


async def sweep(client: Client, store: Store, *, min_age: float = MIN_AGE) -> int:
    """Deletes what was stored more than ``min_age`` seconds ago and is not referred to; how many.

    Kept is what any run that the server still knows was started with, open or closed: a closed one
    can be looked at and reset until the namespace's retention takes it away. Kept is also all that
    the open run of a workflow stored itself, for it may be about to continue as new with it.
    Whatever goes wrong ends the sweep before anything is deleted for want of knowledge.

    Raises:
        RPCError: the server does not answer.
        StoreError: the store does not.
    """
    owners: dict[str, list[Stored]] = {}
    held: dict[str, int] = {}
    async for stored in store.stored():
        held[stored.place] = stored.size
        if time.time() - stored.modified >= min_age:
            owners.setdefault(stored.workflow_id, []).append(stored)
    deleted = 0
    for workflow_id, candidates in owners.items():
        # First what runs: a run that starts after this was started with what its predecessor, which
        # is the one found here, has stored.
        current = await _open_run(client, workflow_id)
        kept = set()
        for run_id in {current, *await _known_runs(client, workflow_id)} - {None}:
            assert run_id is not None
            kept |= await _started_with(client, workflow_id, run_id, store.place)
        for stored in candidates:
            if stored.place not in kept and stored.run_id != current:
                await store.delete(stored.place)
                del held[stored.place]
                deleted += 1
    store_holds(len(held), sum(held.values()))
    return deleted


async def _open_run(client: Client, workflow_id: str) -> str | None:
    """The run of a workflow that is open. Never out of date, unlike the list of all runs."""
    try:
        newest = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise
    return newest.run_id if newest.status == WorkflowExecutionStatus.RUNNING else None


async def _known_runs(client: Client, workflow_id: str) -> list[str]:
    """All runs of a workflow that the server has not forgotten."""
    quoted = workflow_id.replace("\\", "\\\\").replace('"', '\\"')
    return [run.run_id async for run in client.list_workflows(f'WorkflowId = "{quoted}"')]


async def _started_with(client: Client, workflow_id: str, run_id: str, field: str) -> set[str]:
    """The places that the arguments of a run refer to: only there are states referred to."""
    request = GetWorkflowExecutionHistoryRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        maximum_page_size=1,
    )
    try:
        answer = await client.workflow_service.get_workflow_execution_history(request, retry=True)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return set()
        raise
    started = answer.history.events[0].workflow_execution_started_event_attributes
    return places(started.input.payloads, field)


def places(payloads: Iterable[Payload], field: str) -> set[str]:
    """Where the stored ones among payloads are; ``field`` is the one of a claim that says so."""
    return {
        json_format.Parse(payload.data, ExternalStorageReference()).claim_data[field]
        for payload in payloads
        if payload.metadata.get("messageType") == _REFERENCE
    }

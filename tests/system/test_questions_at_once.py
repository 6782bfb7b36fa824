"""Several who ask a node that is busy are all answered, and none is told to come again later."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import QueryWorkflowRequest

from tests.support.servers import make_server
from tests.support.timelines import spec
from timeline.tables.events import from_rows
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import node_id
from workflows.protocol import node as protocol
from workflows.worker import make_worker

ASKING = 5


@pytest.mark.real_server
async def test_several_may_ask_a_busy_node(tmp_path: Path) -> None:
    wanted = spec('has_existed(state == "play")')
    node = node_id(wanted, wanted.plan.result, 0)
    async with make_server(tmp_path / "dev.db") as server:
        client = await connect_embedded(server.address)
        timelines = Client(client)
        async with make_worker(client):
            await timelines.registry.register(wanted)
            assert await timelines.nodes.position(node) is None
        batch = from_rows([("a", 1, {"state": "play"})], first=(1, 1))
        await timelines.leaves.signal_events({node: frozenset({"state"})}, batch, (1, 1))
        # It is busy as long as no worker takes the signal. The SDK would try again what the server refuses.
        request = QueryWorkflowRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=node),
            query=WorkflowQuery(query_type=protocol.POSITION.name),
        )
        ask = client.workflow_service.query_workflow
        asked = [asyncio.create_task(ask(request, retry=False)) for _ in range(ASKING)]
        async with make_worker(client):
            answers = await asyncio.gather(*asked)
    decoded = [await client.data_converter.decode(answer.query_result.payloads) for answer in answers]
    assert decoded == [[[1, 1]]] * ASKING

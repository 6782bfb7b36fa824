"""Search attributes: nodes and sinks are found by them where the namespace has them, and start where not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, RemoveSearchAttributesRequest
from temporalio.client import Client as TemporalClient

from feeder.files.feed import feed_files
from tests.support.cli import Cli
from tests.support.timelines import many, write
from tests.support.waiting import eventually
from timeline.spec.spec import Spec
from workflows.attributes import KEYS, known_to
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import fragment_id, merged_id, sink_id
from workflows.server import DevServer
from workflows.worker import make_worker

RUNNING = "ExecutionStatus = 'Running'"
STATE = "latest_event_to_state(playerStateChange)"


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[tuple[Client, Cli]]:
    """A server of its own, whose nodes continue as new often."""
    often = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40")
    async with DevServer(tmp_path / "dev.db", options=often) as server:
        client = await connect_embedded(server.address)
        async with make_worker(client, sink_roots=[tmp_path]):
            yield Client(client), Cli(server.address, tmp_path)


def spec(name: str, expression: str, **more: Any) -> Spec:
    source = {"key": "session", "name": "shared"}
    return Spec.from_wire({"name": name, "expression": expression, "source": source, **more})


async def found(client: TemporalClient, query: str) -> set[str]:
    return {one.id async for one in client.list_workflows(f"{query} AND {RUNNING}")}


async def finds(client: TemporalClient, query: str, ids: set[str]) -> None:
    """Waits until these are found, and no others."""

    async def there() -> bool:
        return await found(client, query) == ids

    await eventually(there)


async def test_nodes_are_found_once_the_namespace_is_prepared(
    fresh: tuple[Client, Cli], tmp_path: Path
) -> None:
    timelines, cli = fresh
    client = timelines.temporal
    await timelines.registry.register(spec("before", f"{STATE} == 'play'"))
    assert await known_to(client) == []
    said = await asyncio.to_thread(cli.good, "namespace", "prepare")
    assert said.startswith("namespace 'default' was given TimelineName, TimelineOperator, TimelineStream, ")
    said = await asyncio.to_thread(cli.good, "namespace", "prepare")
    assert said == "namespace 'default' has all search attributes\n"
    assert set(await known_to(client)) == set(KEYS)

    sink = {"folder": str(tmp_path / "rows"), "every": "1s", "agg": "count", "merged": True}
    limits = {"limits": {"key_ttl": "5s", "shards": 2}}
    one = spec("one", f"duration_where({STATE} == 'play')", sink=sink, **limits)
    two = spec("two", f"count_rises({STATE} == 'play')", **limits)
    await timelines.registry.register_all([one, two])
    every = ids(one) | ids(two)
    sinks = {sink_id(one, one.sink(), n) for n in (0, 1)}
    merged = {merged_id(one, one.sink())}
    assert len(every) == 2 * 4
    await finds(client, "TimelineKeyColumn = 'session'", every | sinks | merged)
    await finds(client, "TimelineName = 'two'", ids(two))
    root = fragment_id(two, two.fragments[-1], 1)
    await finds(client, "TimelineOperator = 'count_rises' AND TimelineStream = 1", {root})
    await finds(client, "TimelineOperator = 'timeline_sink'", sinks)
    await finds(client, "TimelineStream IS NULL AND TimelineName = 'one'", merged)
    # What continues as new keeps them; so do nodes of another policy, which the states are handed over to.
    first = {one.run_id async for one in client.list_workflows("TimelineName = 'two'")}
    for end in range(20, 101, 8):
        await feed_files(timelines, one, [write(tmp_path / "events.jsonl", many(10, 10)[:end])])
    await finds(client, "TimelineKeyColumn = 'session'", every | sinks | merged)
    now = f"TimelineName = 'two' AND {RUNNING}"
    assert not first & {one.run_id async for one in client.list_workflows(now)}
    moved = two.by_policy("stream")
    await timelines.registry.register_all([moved], {"two": 1})
    await finds(client, "TimelineName = 'two' AND TimelineOperator = 'count_rises'", ids(moved))


def ids(of: Spec) -> set[str]:
    """Of the nodes on both streams."""
    return {fragment_id(of, fragment, stream) for fragment in of.fragments for stream in (0, 1)}


async def test_what_the_namespace_has_no_more_is_done_without(fresh: tuple[Client, Cli]) -> None:
    timelines, cli = fresh
    client = timelines.temporal
    await asyncio.to_thread(cli.good, "namespace", "prepare")
    remove = RemoveSearchAttributesRequest(namespace="default", search_attributes=["TimelineStream"])
    await client.operator_service.remove_search_attributes(remove)
    one = spec("one", STATE)
    await timelines.registry.register(one)
    await finds(client, "TimelineName = 'one'", {fragment_id(one, one.fragments[0], 0)})
    kind = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    add = AddSearchAttributesRequest(namespace="default", search_attributes={"TimelineStream": kind})
    await client.operator_service.add_search_attributes(add)
    assert "TimelineStream" not in await known_to(client)
    said = await asyncio.to_thread(cli.bad, "namespace", "prepare")
    assert "has a search attribute TimelineStream that is a Keyword and not a Int; remove it" in said
    await timelines.registry.register(spec("two", f"count_rises({STATE} == 'play')"))

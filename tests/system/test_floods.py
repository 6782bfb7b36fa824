"""Many hostile signals at once, each of a few bytes: no worker dies of them, and a node goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import zstandard
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from feeder.files.feed import feed_files
from tests.support.bombs import peak
from tests.support.cli import Cli
from tests.support.servers import make_server
from tests.support.timelines import assert_exact, spec, write
from tests.support.waiting import eventually
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import node_id
from workflows.payloads.codec import prepared

EVENTS = [("k", 1_000, "play"), ("l", 2_000, "buffer"), ("k", 4_000, "buffer"), ("l", 6_000, "play")]
#: Signals at once, and MiB that a worker may have then.
MANY, MOST = 40, 300


@pytest.fixture
async def flooded(tmp_path: Path) -> AsyncIterator[tuple[Client, int]]:
    """A client of a server of its own, and the process of its worker."""
    async with make_server(tmp_path / "dev.db") as server:
        process = Cli(server.address, tmp_path).worker()
        yield Client(await connect_embedded(server.address)), process.pid


def packed(value: bytes) -> RawValue:
    inner = Payload(metadata={"encoding": b"json/plain"}, data=value).SerializeToString()
    return RawValue(Payload(metadata={"encoding": b"binary/zstd"}, data=zstandard.compress(inner)))


def batch(number: int, events: int) -> dict[str, Any]:
    """A good one, of a key that says the same thing again and again."""
    nothing = np.zeros(events, np.int64)
    first = nothing.copy()
    first[0] = 5 + number
    column = {"values": ["play"], "codes": nothing + 1}
    columns = {"state": column}
    return {
        "last": [5 + number, 0],
        "keys": ["k"],
        "key": nothing,
        "tick": nothing,
        "columns": columns,
        "position": [first, nothing],
    }


#: By name: a signal of the number so and so, that is read as far more than it has.
FLOODS: dict[str, Any] = {
    "numbers": lambda _: packed(b'{"a":[' + b"257," * 2_000_000 + b"0]}"),
    "numbers that fit": lambda _: packed(b'{"a":[' + b"257," * 200_000 + b"0]}"),
    "lists": lambda _: packed(orjson.dumps({"a": [{"b": [[i, [i]] for i in range(60)]}] * 900})),
    "lists that fit": lambda _: packed(orjson.dumps({"a": [{"b": [[i, [i]] for i in range(60)]}] * 160})),
    "columns": lambda _: prepared({"a": np.zeros(4_000_000, np.int64)}),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_what_is_nothing_takes_no_memory_together(
    flooded: tuple[Client, int], tmp_path: Path, flood: str
) -> None:
    timelines, worker = flooded
    wanted = spec('latest_event_to_state(state) == "buffer"')
    await timelines.registry.register(wanted)
    leaf, parent = (node_id(wanted, node, 0) for node in wanted.plan.nodes)
    made = FLOODS[flood](0)
    assert len(made.payload.data) < 4_000
    handles = [timelines.temporal.get_workflow_handle(i) for i in (leaf, parent)]
    signals = zip(handles, ("events", "patch"), strict=True)
    await asyncio.gather(*(h.signal(name, made) for h, name in signals for _ in range(MANY)))
    await feed_files(timelines, wanted, [write(tmp_path / "first.jsonl", EVENTS, "state")])
    await assert_exact(timelines, wanted, 2)
    assert [(await timelines.nodes.status(i))["odd"]["count"] for i in (leaf, parent)] == [MANY, MANY]
    assert peak(worker) < MOST


async def test_more_than_a_task_can_take_is_taken_in_several(flooded: tuple[Client, int]) -> None:
    """A task that takes longer than the server waits would be begun again for ever."""
    timelines, worker = flooded
    wanted = spec("latest_event_to_state(state)")
    await timelines.registry.register(wanted)
    leaf = node_id(wanted, wanted.plan.result, 0)
    handle = timelines.temporal.get_workflow_handle(leaf)
    made = [prepared(batch(number, 400_000)) for number in range(20)]
    assert max(len(one.payload.data) for one in made) < 4_000
    for one in made:
        await handle.signal("events", one)

    async def taken() -> bool:
        return (await timelines.nodes.position(leaf) or [0])[0] >= 20

    await eventually(taken)
    events = [event async for event in handle.fetch_history_events()]
    assert sum(event.HasField("timer_fired_event_attributes") for event in events) >= 1
    assert not any(event.HasField("workflow_task_timed_out_event_attributes") for event in events)
    assert peak(worker) < MOST
    too_many = prepared(batch(90, 1_000_001) | {"columns": {}, "position": [[1], [1]]})
    await handle.signal("events", too_many)

    async def refused() -> bool:
        return (await timelines.nodes.status(leaf)).get("odd", {}).get("count") == 1

    await eventually(refused)

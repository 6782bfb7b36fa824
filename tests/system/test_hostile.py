"""A signal that nobody can make anything of is set aside, shown with its reason, and changes no answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from feeder.files.feed import feed_files
from tests.support.cli import Cli
from tests.support.hostile import SIGNALS, filled
from tests.support.servers import make_server
from tests.support.timelines import assert_exact, spec, write
from tests.support.waiting import eventually
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import node_id
from workflows.protocol import NodeSpec, node
from workflows.worker import make_worker

EVENTS = [("k", 1_000, "play"), ("l", 2_000, "buffer"), ("k", 4_000, "buffer"), ("l", 6_000, "play")]
LATER = [("k", 9_000, "seek"), ("m", 9_500, "buffer")]


@pytest.mark.parametrize("name", SIGNALS)
async def test_it_is_set_aside_and_the_node_goes_on(timelines: Client, tmp_path: Path, name: str) -> None:
    where, signal, args = SIGNALS[name]
    wanted = spec('latest_event_to_state(state) == "buffer"')
    await timelines.registry.register(wanted)
    leaf, parent = (node_id(wanted, node, 0) for node in wanted.plan.nodes)
    first = write(tmp_path / "first.jsonl", EVENTS, "state")
    await feed_files(timelines, wanted, [first])
    target = {"leaf": leaf, "parent": parent}[where]
    handle = timelines.temporal.get_workflow_handle(target)
    await handle.signal(signal, args=filled(args, parent))
    # What was set aside is told of in the next answer: signals come before.
    odd = (await timelines.nodes.status(target))["odd"]
    assert (odd["count"], odd["last"][0]["signal"]) == (1, signal)
    assert 0 < len(odd["last"][0]["why"]) < 400
    await feed_files(timelines, wanted, [write(tmp_path / "later.jsonl", LATER, "state")])
    at = [("k", 3_000), ("k", 4_000), ("k", None), ("l", None), ("m", None)]
    answers = await timelines.questions.values(wanted, wanted.plan.result, at)
    assert [answer.value for answer in answers] == [False, True, False, False, True]
    await assert_exact(timelines, wanted, 3)
    await timelines.registry.remove(wanted.name)


async def test_a_parent_that_is_not_there_holds_nobody_up(timelines: Client, tmp_path: Path) -> None:
    """Before anything was fed and after; once there is a parent of that name, it gets what it missed."""
    wanted = spec('latest_event_to_state(state) == "buffer"')
    await timelines.registry.register(wanted)
    leaf, _ = (node_id(wanted, node, 0) for node in wanted.plan.nodes)
    handle = timelines.temporal.get_workflow_handle(leaf)
    absent = [f"{wanted.source_id}.{name}.0123456789.0" for name in ("not", "count")]
    await handle.signal("subscribe", {"workflow": absent[0], "inputs": [0]})
    await feed_files(timelines, wanted, [write(tmp_path / "first.jsonl", EVENTS, "state")])
    await handle.signal("subscribe", {"workflow": absent[1], "inputs": [0]})
    await feed_files(timelines, wanted, [write(tmp_path / "later.jsonl", LATER, "state")])
    await assert_exact(timelines, wanted, 3)
    assert not set(absent) & set((await timelines.nodes.status(leaf))["subscribers"])
    # Some workflow of that name, which takes what a node is told.
    planned = wanted.plan.result
    args = NodeSpec(expression=planned.text, stream=0, allowed_lateness=None, retention=None, subscribers=[])
    await timelines.temporal.start_workflow(planned.operator.name, args, id=absent[0], task_queue="timeline")

    async def stands() -> bool:
        return await timelines.nodes.position(absent[0]) == await timelines.nodes.position(leaf)

    await eventually(stands)
    assert absent[0] in (await timelines.nodes.status(leaf))["subscribers"]
    await timelines.asking.signal(absent[0], node.STOP)
    await timelines.asking.signal(leaf, node.UNSUBSCRIBE, absent[0])
    await timelines.registry.remove(wanted.name)


async def test_hundreds_that_are_not_there_are_not_carried_for_ever(
    timelines: Client, tmp_path: Path
) -> None:
    wanted = spec('latest_event_to_state(state) == "buffer"')
    await timelines.registry.register(wanted)
    leaf, _ = (node_id(wanted, node, 0) for node in wanted.plan.nodes)
    handle = timelines.temporal.get_workflow_handle(leaf)
    await feed_files(timelines, wanted, [write(tmp_path / "first.jsonl", EVENTS, "state")])
    # What they all want to be told for would not go into a message.
    inputs = list(range(1_000, 9_000))
    for number in range(120):
        absent = f"{wanted.source_id}.not.{number:010}.0"
        await handle.signal("subscribe", {"workflow": absent, "inputs": inputs if number < 10 else [0]})
    await feed_files(timelines, wanted, [write(tmp_path / "later.jsonl", LATER, "state")])
    await assert_exact(timelines, wanted, 3)
    before = (await handle.describe()).run_id
    await timelines.asking.signal(leaf, node.RENEW)
    odd = (await timelines.nodes.status(leaf))["odd"]
    # Of the first ten one is waited for, of the others as many as there is room for.
    assert odd["count"] >= 9 + 10
    assert odd["last"][-1]["why"].endswith("is not there, nor are many others")

    async def renewed() -> bool:
        return (await handle.describe()).run_id != before

    await eventually(renewed)
    await assert_exact(timelines, wanted, 3)
    await timelines.registry.remove(wanted.name)


async def test_the_last_ones_are_shown_and_carried_on(tmp_path: Path) -> None:
    often = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=20")
    async with make_server(tmp_path / "dev.db", options=often) as server:
        client = await connect_embedded(server.address)
        async with make_worker(client):
            await _carried_on(Client(client), Cli(server.address, tmp_path))


async def _carried_on(timelines: Client, cli: Cli) -> None:
    wanted = spec('latest_event_to_state(state) == "buffer"', fragments="stream")
    await timelines.registry.register(wanted)
    root = node_id(wanted, wanted.plan.result, 0)
    handle = timelines.temporal.get_workflow_handle(root)
    born = (await handle.describe()).run_id
    for number in range(30):
        await handle.signal("explode", number)
    assert (await handle.describe()).run_id != born
    shown = await asyncio.to_thread(cli.good, "describe", wanted.name)
    assert f"{root}: 30 signals were not understood and set aside, at last:" in shown
    assert shown.count("  explode: there is no such signal") == 5

"""The registry cannot be taken away: by what it is told or carries, or by how much is to start."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import temporalio.client
import zstandard
from temporalio.api.common.v1 import Payload
from temporalio.client import WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import RawValue, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from tests.support.cli import Cli, stop
from tests.support.servers import Server, make_server
from tests.support.timelines import spec
from tests.support.waiting import eventually
from timeline.errors import LimitError, TimelineError
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import DEFAULT_TASK_QUEUE, REGISTRY_ID, REGISTRY_TYPE
from workflows.protocol.node import RENEW
from workflows.worker import make_worker

PLAYS = {"name": "plays", "expression": "has_existed(a == 1)"}
FILE = {"path": "a.jsonl", "fingerprint": "1", "after": 0, "last": 3}
TOPIC = {"partitions": 1, "starts": [None]}
#: What does not get smaller than what a registry without a store carries.
NOISE = base64.b64encode(random.Random(1).randbytes(2_060_000)).decode()


@pytest.fixture(scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server whose registry these tests may harm."""
    async with make_server(tmp_path_factory.mktemp("temporal") / "dev.db") as running:
        yield running


@pytest.fixture
async def harmed(own: Server) -> AsyncIterator[Client]:
    """A client of that server, with a worker and a registry of its own."""
    client = await connect_embedded(own.address)
    async with make_worker(client):
        yield Client(client)
        await client.get_workflow_handle(REGISTRY_ID).terminate()


def json_of(value: Any) -> RawValue:
    """JSON as Python's own writer makes it, of what others cannot write."""
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode()))


async def raw(timelines: Client, update: str, *args: Any) -> Any:
    """An update as any client may send it."""
    start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        REGISTRY_TYPE,
        id=REGISTRY_ID,
        task_queue=DEFAULT_TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    return await timelines.temporal.execute_update_with_start_workflow(
        update, args=args, start_workflow_operation=start
    )


async def carrying(timelines: Client, state: dict[str, Any]) -> None:
    """Starts a registry that carries this."""
    carried = zstandard.ZstdCompressor().compress(orjson.dumps(state))
    await timelines.temporal.start_workflow(
        REGISTRY_TYPE, carried, id=REGISTRY_ID, task_queue=DEFAULT_TASK_QUEUE
    )


#: What is wrong, and what is said of it.
MISTAKES: dict[str, tuple[str, list[Any], str]] = {
    "of a later version": ("register", [PLAYS | {"colour": "red"}, {}], "colour: is not known here"),
    "no expression": (
        "register",
        [PLAYS | {"expression": "has_existed("}, {}],
        "( is never closed",
    ),
    "no spec": ("register", [["plays"], {}], "is none"),
    "no name": ("register", [{"expression": "has_existed(a == 1)"}, {}], "name: is missing"),
    "nothing": ("register", [], "missing 1 required positional argument"),
    "many": ("register_all", [[PLAYS, {"name": 3}], {}, {}], "expression: is missing"),
    "no list": ("register_all", [7, {}, {}], "decoding arguments"),
    "two of a name": (
        "register_all",
        [[PLAYS, PLAYS | {"description": "b"}], {}, {}],
        "two specs are",
    ),
    "more arguments": ("register_all", [[PLAYS], {}, {}, 1, 2], "positional arguments"),
    "places": ("register_all", [[PLAYS], {}, {"x": 5}], "decoding arguments"),
    "pause what": ("pause", ["nobody", True], "no timeline 'nobody' is registered"),
    "pause how": ("pause", [{}], "missing 1 required positional argument"),
    "remove": ("remove", ["nobody"], "no timeline 'nobody' is registered"),
    "log": ("extend_log", ["s", [{"path": "a"}]], "no path, fingerprint, after and last"),
    "log of text": ("extend_log", ["s", "file"], "decoding arguments"),
    "log backwards": ("extend_log", ["s", [FILE | {"after": 9}]], "lines 10 to 3"),
    "too much to start": (
        "register",
        [PLAYS | {"expression": f'has_existed(a == "{NOISE[:100_000]}")', "limits": {"shards": 100}}, {}],
        "would be started with 10002000 bytes of expressions and specs in all, at most 8388608 are taken",
    ),
    "a long topic": (
        "register",
        [PLAYS | {"source": {"key": "k", "topic": "t" * 300}}, {}],
        "would have workflows with ids of 337 characters, at most 255 are taken",
    ),
    "a topic of many bytes": (
        "register",
        [PLAYS | {"source": {"key": "k", "topic": "\U0001f600" * 240}}, {}],
        "at most 255 are taken (and 1000 bytes)",
    ),
    "log of nobody": ("extend_log", ["s", [FILE]], "no timeline is registered on source s"),
    "log of half a character": (
        "extend_log",
        ["SOURCE", json_of([FILE | {"path": "\ud800"}])],
        "are no JSON",
    ),
    "log beyond 64 bits": ("extend_log", ["SOURCE", json_of([FILE | {"now": 10**30}])], "a time of a piece"),
    "log without room": ("extend_log", ["SOURCE", [FILE | {"more": NOISE}]], "the registry is full"),
    "topic": ("open_topic", ["s", {"partitions": 0, "starts": []}], "partitions"),
    "topic starts": ("open_topic", ["s", {"partitions": 3, "starts": [None]}], "3 partitions and 1 starts"),
    "topic places": (
        "open_topic",
        ["SOURCE", {"partitions": 1, "starts": [[1] * 9]}],
        "are no positions",
    ),
    "topic without room": ("open_topic", ["SOURCE", TOPIC | {"more": NOISE}], "the registry is full"),
    "topic of none": ("open_topic", ["s", TOPIC], "no timeline is registered on source s"),
    "warnings of nobody": ("note_warnings", ["nobody", 1, []], "no timeline 'nobody' is registered"),
    "no warnings": ("note_warnings", ["GOOD", 1, ["text"], None], "decoding arguments"),
    "no warnings, of a feeder of before": (
        "note_warnings",
        ["GOOD", 1, ["text"]],
        "a warning is a table, got text",
    ),
    "half a warning": (
        "note_warnings",
        ["GOOD", 1, [{"kind": "type"}]],
        "a warning has no kind, place, text and suggestion: {'kind': 'type'}",
    ),
    "warnings of no partition": ("note_warnings", ["GOOD", 1, [], [-1]], "partitions are numbers from 0"),
    "long warnings": (
        "note_warnings",
        ["GOOD", 1, [{"kind": "type", "place": "", "text": "x" * 4_096, "suggestion": None}]],
        "warnings have at most 4096 bytes as JSON together, got 4",
    ),
    "store": ("use_store", ["s", -1], "max_state"),
    "a store of nothing": ("use_store", ["s", 1], "max_state must be 1048576 to"),
    "unknown": ("take_over", [], "take_over"),
    "too many nodes": (
        "register",
        [PLAYS | {"expression": " || ".join(f"has_existed(a == {i})" for i in range(400))}, {}],
        "has 401 nodes a stream, at most 300 are taken",
    ),
    "too long": (
        "register",
        [PLAYS | {"expression": " || ".join(["has_existed(a == 1)"] * 2_000)}, {}],
        "at most 10000 words and signs",
    ),
}


@pytest.mark.real_server
@pytest.mark.parametrize("mistake", MISTAKES)
async def test_an_update_that_is_not_understood_is_refused(harmed: Client, mistake: str) -> None:
    update, args, said = MISTAKES[mistake]
    good = spec()
    await harmed.registry.register(good)
    named = {"GOOD": good.name, "SOURCE": good.source_id}
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await raw(harmed, update, *[named.get(arg, arg) if isinstance(arg, str) else arg for arg in args])
    message = ""
    cause: BaseException | None = refused.value.cause
    while isinstance(cause, ApplicationError):
        message, cause = f"{message}{cause.message}\n", cause.cause
    assert said in message
    assert len(message) < 2_000
    assert await harmed.registry.specs() == {good.name: good}
    assert len(await harmed.registry.users()) == len(good.fragments)
    await harmed.registry.remove(good.name)


@pytest.mark.real_server
async def test_what_starts_goes_to_the_server_in_pieces(harmed: Client) -> None:
    """The server ends a workflow that sends it more than 4 MiB at once, and the registry with all it has."""
    expression = f'has_existed(a == "{NOISE[:200_000]}")'
    large = Spec.from_wire({"name": "large", "expression": expression, "limits": {"shards": 24}})
    told = spec(shards=8, allowed_lateness="1s", retention="1h").to_wire() | {"sink": {"folder": "rows"}}
    for wanted in large, Spec.from_wire(told | {"description": NOISE[:450_000]}):
        await harmed.registry.register(wanted)
        assert wanted.name in await harmed.registry.specs()
        assert len(await harmed.registry.users()) == wanted.limits.shards * len(wanted.fragments)
        await harmed.registry.remove(wanted.name)


@pytest.mark.real_server
async def test_changes_do_not_fill_the_registry(harmed: Client) -> None:
    """The versions of a timeline are carried too, so that one that is changed often needs room."""
    wanted = spec()
    await harmed.registry.register(wanted)

    async def changed() -> None:
        for version in range(1, 10):
            text = NOISE[version * 290_000 :][:290_000]
            after = Spec.from_wire(wanted.to_wire() | {"description": text})
            await harmed.registry.register_all([after], {wanted.name: version})

    with pytest.raises(LimitError, match="the registry is full"):
        await changed()
    assert 5 < len(await harmed.registry.versions(wanted.name)) < 10
    await harmed.asking.signal(REGISTRY_ID, RENEW)
    assert wanted.name in await harmed.registry.specs()
    await harmed.registry.remove(wanted.name)


@pytest.mark.real_server
async def test_what_is_carried_and_not_understood_stays(harmed: Client, tmp_path: Path) -> None:
    good = spec()
    newer = {"name": "newer", "expression": "a_new_operator(x)", "colour": "red"}
    state = {
        "timelines": {"newer": newer, "cut": {"name": "cut"}},
        "logs": {"newer.12345678": [{"path": "a"}]},
        "from_later": {"kept": True},
    }
    await carrying(harmed, state)
    await harmed.registry.register(good)
    assert await harmed.registry.specs() == {good.name: good}
    unread = await harmed.registry.unreadable()
    assert sorted(unread) == ["cut", "newer"]
    assert "colour: is not known here" in unread["newer"]
    registry = harmed.registry
    for work in (registry.remove("newer"), registry.pause("newer"), registry.spec("newer")):
        with pytest.raises(TimelineError, match="'newer' is registered, but not understood here"):
            await work
    with pytest.raises(TimelineError, match="registered with another spec"):
        await harmed.registry.register(Spec.from_wire({"name": "newer", "expression": "has_existed(a == 1)"}))
    address = harmed.temporal.service_client.config.target_host
    listed = await asyncio.to_thread(Cli(address, tmp_path).good, "list")
    assert "newer  not understood here: " in listed
    assert good.name in listed
    await harmed.registry.remove(good.name)
    # Not even the files of sources that only what is not understood may be on are forgotten.
    handle = harmed.temporal.get_workflow_handle(REGISTRY_ID)
    assert await handle.query("log", "newer.12345678") == [{"path": "a"}]
    assert (await handle.query("timelines"))["newer"] == newer


async def test_many_streams_are_started_in_slices(harmed: Client) -> None:
    wide = spec(shards=128)
    told: list[str] = []
    [done] = await harmed.registry.register_all([wide], on_progress=told.append)
    assert done.new
    users = await harmed.registry.users()
    assert len(users) == 128 * 7
    assert set(map(tuple, users.values())) == {(wide.name,)}
    assert told[0].endswith("of 896 workflows started")
    runs = [run async for run in harmed.temporal.list_workflows(f'WorkflowId="{REGISTRY_ID}"')]
    assert len(runs) >= 4
    stopped = await harmed.registry.remove(wide.name)
    assert len(stopped) == 128 * 7
    assert await harmed.registry.users() == {}


@pytest.mark.real_server
async def test_more_than_can_be_is_refused_before_anything_starts(harmed: Client) -> None:
    await harmed.registry.use_store("file:/nowhere", 1 << 20)
    many = " || ".join(f"has_existed(a == {i})" for i in range(300))
    with pytest.raises(LimitError, match="has 301 nodes a stream, at most 300 are taken"):
        await harmed.registry.register(spec(many))
    wide = " || ".join(f"has_existed(a == {i})" for i in range(100))
    with pytest.raises(LimitError, match="would start 25856 workflows, at most 20000"):
        await harmed.registry.register(spec(wide, shards=256))
    assert (await harmed.registry.users(), await harmed.registry.begun()) == ({}, {})


async def test_a_registration_that_was_left_goes_on_or_is_removed(tmp_path: Path) -> None:
    async with make_server(tmp_path / "dev.db") as server:
        await _left(await connect_embedded(server.address), Cli(server.address, tmp_path))


async def _left(client: temporalio.client.Client, cli: Cli) -> None:
    timelines = Client(client)
    worker = cli.worker()
    wide, other = spec(shards=100), spec("has_existed(playerStateChange == 'play')", shards=250)

    class GoneError(Exception):
        """The one who registered was killed."""

    def die(_: str) -> None:
        raise GoneError

    for half in (wide, other):
        with pytest.raises(GoneError):
            await timelines.registry.register_all([half], on_progress=die)
    os.kill(worker.pid, signal.SIGKILL)
    stop(worker)
    cli.worker()
    assert await timelines.registry.specs() == {}
    assert sorted(await timelines.registry.begun()) == sorted([wide.name, other.name])
    listed = await asyncio.to_thread(cli.good, "list")
    assert f"{wide.name}  registration has begun" in listed
    [done] = await timelines.registry.register_all([wide])
    assert (done.new, list(await timelines.registry.begun())) == (True, [other.name])
    assert len([node for node, by in (await timelines.registry.users()).items() if by == [wide.name]]) == 700
    await timelines.registry.remove(other.name)
    await timelines.registry.remove(wide.name)
    assert (await timelines.registry.users(), await timelines.registry.begun()) == ({}, {})
    left = f'ExecutionStatus="Running" AND WorkflowId STARTS_WITH "{wide.source_id}"'

    async def all_have_ended() -> bool:
        return [run.id async for run in client.list_workflows(left)] == []

    # They were told to stop, and end by themselves.
    await eventually(all_have_ended)

"""Keys: what is not encrypted is refused, and who has another key takes nobody down."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest

from feeder.files.feed import feed_files
from tests.support.cli import Cli, stop
from tests.support.timelines import assert_exact, spec, write
from tests.support.waiting import eventually
from timeline.errors import EncryptionError, NotFoundError, ServiceError, TimelineError
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import node_id
from workflows.payloads.encryption import new_key
from workflows.protocol import node as protocol
from workflows.protocol import registry
from workflows.server import DevServer

pytestmark = pytest.mark.skipif(
    "TIMELINE_TESTS_ALONE" not in os.environ,
    reason="has this process change its keys, which a worker that other tests share would take over too: "
    "TIMELINE_TESTS_ALONE=1 pytest tests/system/test_keys.py, as tests/run.sh does",
)

OLD, NEW = new_key("old"), new_key("new")
STATE = 'latest_event_to_state(state) == "buffer"'
EVENTS = [("k", 1_000, "play"), ("k", 2_000, "buffer")]
MORE = [("k", 5_000, "play")]


@pytest.fixture
async def idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cli]:
    """A server; commands have a key, as this process has."""
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEY", OLD)
    async with DevServer(tmp_path / "dev.db") as server:
        yield Cli(server.address, tmp_path)


@pytest.fixture
async def cli(idle: Cli) -> Cli:
    """The same with a worker of another process."""
    await asyncio.to_thread(idle.worker)
    return idle


async def client(cli: Cli) -> Client:
    return Client(await connect_embedded(cli.environment["TEMPORAL_ADDRESS"]))


async def fed(timelines: Client, folder: Path) -> tuple[str, Path]:
    """A timeline with some events, in one workflow: its id; and a file with one more event."""
    wanted = spec(STATE, fragments="stream")
    await timelines.registry.register(wanted)
    await feed_files(timelines, wanted, [write(folder / "a.jsonl", EVENTS, "state")])
    return node_id(wanted, wanted.plan.result, 0), write(folder / "b.jsonl", MORE, "state")


async def goes_on_exactly(timelines: Client, more: Path) -> None:
    """Feeds the only timeline that there is."""
    [wanted] = (await timelines.registry.specs()).values()
    await feed_files(timelines, wanted, [more])
    await assert_exact(timelines, wanted, 1)


async def test_what_is_not_encrypted_is_refused(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, more = await fed(await client(cli), tmp_path)
    with monkeypatch.context() as without:
        without.delenv("TIMELINE_ENCRYPTION_KEY")
        stranger = await client(cli)
        await stranger.asking.signal(root, protocol.RELEASE, "k")
        with pytest.raises(TimelineError, match="not encrypted, and here keys are set"):
            await stranger.asking.update(registry.REMOVE, "plays")
        with pytest.raises(EncryptionError, match="encrypted with key 'old', and here no keys are set"):
            await stranger.registry.specs()
    timelines = await client(cli)
    odd = (await timelines.nodes.status(root))["odd"]
    assert [one["signal"] for one in odd["last"]] == ["release"]
    assert "not encrypted, and here keys are set" in odd["last"][0]["why"]
    await goes_on_exactly(timelines, more)


async def test_while_encryption_is_switched_on_plain_payloads_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DevServer(tmp_path / "dev.db") as server:
        cli = Cli(server.address, tmp_path)
        before = await asyncio.to_thread(cli.worker)
        _, more = await fed(await client(cli), tmp_path)
        await asyncio.to_thread(stop, before)
        cli.environment |= {"TIMELINE_ENCRYPTION_KEY": OLD, "TIMELINE_ENCRYPTION_PLAIN": "accept"}
        await asyncio.to_thread(cli.worker)
        monkeypatch.setenv("TIMELINE_ENCRYPTION_KEY", OLD)
        timelines = await client(cli)
        await goes_on_exactly(timelines, more)


def database(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("dev.db*"))


async def test_reasons_are_encrypted_too_and_told(cli: Cli, tmp_path: Path) -> None:
    timelines = await client(cli)
    root, _ = await fed(timelines, tmp_path)
    with pytest.raises(NotFoundError, match="no timeline 'very-private-name' is registered"):
        await timelines.asking.update(registry.REMOVE, "very-private-name")
    with pytest.raises(ServiceError, match="no node 0123 lives in the fragment of"):
        await timelines.asking.query(root, protocol.VALUES, [("k", None)], "0123")
    assert b"very-private" not in await asyncio.to_thread(database, tmp_path)


async def test_who_has_a_new_key_first_is_told_and_nobody_is_taken_down(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, more = await fed(await client(cli), tmp_path)
    with monkeypatch.context() as other:
        other.delenv("TIMELINE_ENCRYPTION_KEY")
        other.setenv("TIMELINE_ENCRYPTION_KEYS_FILE", rotated(tmp_path, NEW, OLD))
        early = await client(cli)
        [wanted] = (await early.registry.specs()).values()
        lacking = "encrypted with key 'new', and here there are old"
        with pytest.raises(TimelineError, match=lacking):
            await early.registry.register(spec())
        with pytest.raises(TimelineError, match=lacking):
            await feed_files(early, wanted, [more])
        with pytest.raises(TimelineError, match=lacking):
            await early.questions.values(wanted, wanted.plan.result, [("k", None)])
    timelines = await client(cli)
    assert await timelines.registry.paused() == set()
    await feed_files(timelines, wanted, [more])
    await assert_exact(timelines, wanted, 1)
    assert "odd" not in await timelines.nodes.status(root)


async def test_a_signal_of_an_unknown_key_is_set_aside_and_the_node_goes_on(
    idle: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when a worker that has the key replays it: what became of the signal is in the history."""
    cli = idle
    worker = await asyncio.to_thread(cli.worker)
    root, more = await fed(await client(cli), tmp_path)
    with monkeypatch.context() as other:
        other.setenv("TIMELINE_ENCRYPTION_KEY", NEW)
        stranger = await client(cli)
        for _ in range(3):
            await stranger.asking.signal(root, protocol.RELEASE, "k")
    timelines = await client(cli)
    odd = (await timelines.nodes.status(root))["odd"]
    assert (odd["count"], odd["last"][0]["signal"]) == (3, "release")
    assert odd["last"][0]["why"].startswith("a payload is encrypted with key 'new', and here there are old;")
    assert not await failures(timelines, root)
    await asyncio.to_thread(stop, worker)
    del cli.environment["TIMELINE_ENCRYPTION_KEY"]
    cli.environment["TIMELINE_ENCRYPTION_KEYS_FILE"] = rotated(tmp_path, OLD, NEW)
    await asyncio.to_thread(cli.worker)
    again = (await timelines.nodes.status(root))["odd"]
    assert again["count"] == 3
    assert again["last"][0]["why"] == "the worker that got it could not decrypt it, and it was set aside"
    await goes_on_exactly(timelines, more)
    assert not await failures(timelines, root)


async def test_a_signal_of_a_key_that_others_have_waits_for_them_or_is_given_up(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sender has the old key too: while keys are changed, to set it aside would lose it."""
    root, more = await fed(await client(cli), tmp_path)
    with monkeypatch.context() as other:
        other.delenv("TIMELINE_ENCRYPTION_KEY")
        other.setenv("TIMELINE_ENCRYPTION_KEYS_FILE", rotated(tmp_path, NEW, OLD))
        await (await client(cli)).asking.signal(root, protocol.RELEASE, "k")
    timelines = await client(cli)

    async def has_failed() -> bool:
        return bool(await failures(timelines, root))

    await eventually(has_failed)
    cli.environment["TIMELINE_ENCRYPTION_LOST_KEYS"] = "new"
    await asyncio.to_thread(cli.worker)

    async def goes_on() -> bool:
        try:
            return "odd" in await timelines.nodes.status(root)
        except (ServiceError, EncryptionError):
            return False

    await eventually(goes_on)
    await goes_on_exactly(timelines, more)


def rotated(folder: Path, *lines: str) -> str:
    """A file with these keys."""
    keys = folder / "rotated"
    keys.write_text("\n".join(lines))
    keys.chmod(0o600)
    return str(keys)


async def failures(timelines: Client, workflow_id: str) -> list[str]:
    """Why tasks of a workflow have failed."""
    history = await timelines.temporal.get_workflow_handle(workflow_id).fetch_history()
    failed = [event.workflow_task_failed_event_attributes for event in history.events]
    return [one.failure.message for one in failed if one.failure.message]


async def test_what_was_sent_to_one_workflow_is_not_taken_by_another(cli: Cli, tmp_path: Path) -> None:
    """Who may write to the namespace, and has no key, has taken the events of one timeline's node."""
    timelines = await client(cli)
    root, more = await fed(timelines, tmp_path)
    other = spec(STATE, fragments="stream")
    await timelines.registry.register(other)
    stolen = (await sent(timelines, root))[protocol.EVENTS.name]
    target = node_id(other, other.plan.result, 0)
    await timelines.temporal.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id=target),
            signal_name=protocol.EVENTS.name,
            input=stolen,
        )
    )
    odd = (await timelines.nodes.status(target))["odd"]
    assert [one["signal"] for one in odd["last"]] == [protocol.EVENTS.name]
    assert f"was encrypted for the workflow {root} came to {target}" in odd["last"][0]["why"]
    assert (await timelines.nodes.status(target))["position"] is None
    [wanted] = [
        one for one in (await timelines.registry.specs()).values() if one.source_id != other.source_id
    ]
    await feed_files(timelines, wanted, [more])
    await assert_exact(timelines, wanted, 1)


async def sent(timelines: Client, workflow_id: str) -> dict[str, Payloads]:
    """What a workflow was told, as the server has it, by signal."""
    history = await timelines.temporal.get_workflow_handle(workflow_id).fetch_history()
    signals = [event.workflow_execution_signaled_event_attributes for event in history.events]
    return {one.signal_name: one.input for one in signals if one.signal_name}

"""Payload encryption: nothing readable reaches the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.worker import Replayer

from tests.support.timelines import spec, write
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import node_id
from workflows.payloads.codec import data_converter
from workflows.payloads.encryption import new_key
from workflows.server import DevServer
from workflows.worker import RUNNER, WORKFLOWS, make_worker

WORD = "very-private-session"


async def fill(folder: Path) -> bytes:
    """Registers, feeds, asks, and replays one node; all bytes of the server's database afterwards."""
    timeline = spec('has_existed(playerStateChange == "very-private-value")')
    async with DevServer(folder / "dev.db") as server:
        client = await connect_embedded(server.address)
        async with make_worker(client):
            timelines = Client(client)
            await timelines.registry.register(timeline)
            from feeder.files.feed import feed_files

            await feed_files(
                timelines, timeline, [write(folder / "e.jsonl", [(WORD, 5, "very-private-value")])]
            )
            [answer] = await timelines.questions.values(timeline, timeline.plan.result, [(WORD, None)])
            assert answer.value is True
        leaf = client.get_workflow_handle(node_id(timeline, timeline.plan.result, 0))
        replayer = Replayer(workflows=WORKFLOWS, workflow_runner=RUNNER, data_converter=data_converter)
        await replayer.replay_workflow(await leaf.fetch_history())
    return await asyncio.to_thread(database, folder)


def database(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("dev.db*"))


async def test_nothing_readable_reaches_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_, closed = tmp_path / "open", tmp_path / "closed"
    open_.mkdir()
    closed.mkdir()
    assert WORD.encode() in await fill(open_)
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEY", new_key("one"))
    assert WORD.encode() not in await fill(closed)

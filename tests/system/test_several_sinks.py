"""Several sinks of a timeline, webhooks among them: each has all its rows, whatever is killed."""

from __future__ import annotations

import asyncio
import base64
import signal
from pathlib import Path
from typing import Any

import pytest

from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from tests.support.cli import PATIENCE, Cli, stop
from tests.support.receiver import Receiver
from tests.support.sinks import by_key, events, expected, spec, write, written
from timeline.errors import TimelineError
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import sink_id
from workflows.patience import Patience
from workflows.server import DevServer

SECRET = f"whsec_{base64.b64encode(b'n' * 32).decode()}"


async def test_three_kills_lose_no_message(tmp_path: Path) -> None:
    with Receiver(SECRET) as receiver:
        sinks: list[dict[str, Any]] = [
            {"folder": str(tmp_path / "rows")},
            {"name": "all", "url": f"{receiver.url}/all"},
            {"name": "late", "url": f"{receiver.url}/late", "outputs": ["late"], "where": "late"},
        ]
        wanted = spec(sinks, shards=2)
        rows = events(3, 6, 200)
        async with DevServer(tmp_path / "dev.db") as server:
            cli = Cli(server.address, tmp_path)
            cli.environment["TIMELINE_WEBHOOKS"] = f"{receiver.url} {SECRET}"

            running = await asyncio.to_thread(cli.worker)
            timelines = Client(await connect_embedded(server.address), Patience(PATIENCE))
            await timelines.registry.register(wanted)
            for end in range(len(rows) // 4, len(rows) + 1, len(rows) // 4):
                path = write(tmp_path / "events.jsonl", rows[:end])
                receiver.answers = [(200, {}), (500, {}), (503, {"Retry-After": "0"})]
                feeding = asyncio.create_task(feed_files(timelines, wanted, [path]))
                if end < len(rows):
                    await asyncio.to_thread(receiver.wait, len(receiver.messages) + 10)
                    await asyncio.to_thread(stop, running, signal.SIGKILL)
                    running = await asyncio.to_thread(cli.worker)
                await feeding
            evaluation = (await compare(timelines, wanted)).evaluation
            reports = await timelines.nodes.sinks(wanted)
            described = await asyncio.to_thread(cli.good, "describe", wanted.name)
            assert await asyncio.to_thread(stop, running) == 0
    assert {message.by for message in receiver.messages} == {SECRET}
    found = {"": written(tmp_path / "rows"), "all": [], "late": []}
    for name in ("all", "late"):
        once = {m.number: m.data for m in receiver.messages if m.path == f"/{name}"}
        # One that came again has the same id, and says the same.
        assert all(once[m.number] == m.data for m in receiver.messages if m.path == f"/{name}")
        found[name] = list(once.values())
        assert {row["id"].split("/")[0] for row in found[name]} == {f"{wanted.name}+{name}"}
    assert by_key(found[""]) == expected(wanted, evaluation)
    assert by_key(found["all"]) == expected(wanted, evaluation, name="all")
    assert by_key(found["late"]) == expected(wanted, evaluation, lambda v: v["late"], "late")
    assert len(found["all"]) > 400
    assert [(r.get("sink"), r["stream"], r["kind"]) for r in reports] == [
        (name, stream, kind)
        for name, kind in ((None, "jsonl"), ("all", "webhook"), ("late", "webhook"))
        for stream in (0, 1)
    ]
    assert sum(r["rows"] for r in reports if r.get("sink") == "all") == len(found["all"])
    assert f"sink late of stream 1: webhook {receiver.url}/late, " in described
    assert reports[2]["workflow"] == f"{wanted.source_id}.sink.{wanted.name}+all.0"


async def test_a_timeline_that_is_registered_anew_at_once_has_its_sinks(
    timelines: Client, tmp_path: Path
) -> None:
    wanted = spec([{"folder": str(tmp_path / "a")}, {"name": "b", "folder": str(tmp_path / "b")}])
    for _ in range(2):
        await timelines.registry.register(wanted)
        ids = [sink_id(wanted, sink, 0) for sink in wanted.sinks]
        runs = {(await timelines.temporal.get_workflow_handle(i).describe()).run_id for i in ids}
        await timelines.registry.remove(wanted.name)
    await timelines.registry.register(wanted)
    for i in ids:
        described = await timelines.temporal.get_workflow_handle(i).describe()
        assert described.run_id not in runs
    await feed_files(timelines, wanted, [write(tmp_path / "events.jsonl", events(1, 3, 20))])
    assert len(written(tmp_path / "a")) == len(written(tmp_path / "b")) > 20


@pytest.mark.parametrize("several", [False, True])
async def test_a_timeline_with_a_sink_is_not_changed(
    timelines: Client, tmp_path: Path, several: bool
) -> None:
    sinks = [{"folder": str(tmp_path / "a"), "name": "a"}, {"folder": str(tmp_path / "b")}]
    wanted = spec(sinks if several else sinks[1])
    await timelines.registry.register(wanted)
    changed = wanted.model_copy(update={"description": "another"})
    for other in (changed, wanted.by_policy("stream"), wanted.model_copy(update={"sinks": ()})):
        with pytest.raises(TimelineError) as refused:
            await timelines.registry.register_all([other], {wanted.name: 1})
        assert str(refused.value) == (
            f"timeline {wanted.name!r} has a [sink] and cannot be changed: rows of both specs would have the "
            "same ids; register the changed one under another name, with a place of its own, or remove this "
            "one first"
        )
    assert await timelines.registry.spec(wanted.name) == wanted
    await timelines.registry.remove(wanted.name)
    # Once it is gone, another may have its name.
    await timelines.registry.register(changed)
    assert await timelines.registry.spec(wanted.name) == changed
    await timelines.registry.remove(wanted.name)

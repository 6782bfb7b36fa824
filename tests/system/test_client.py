"""The client API, and the program of docs/client.md against the server."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from temporalio.service import RPCError, RPCStatusCode

from feeder.files.feed import feed_files
from tests.support.places import ROOT, needs_traces
from tests.support.servers import make_server
from timeline.errors import DurationError, NotFoundError, RequestError, SpecError
from timeline.spec.loading import load_spec
from timeline.values.kinds import Kind
from workflows import Client
from workflows.client.asking import until_answered
from workflows.connection import connect_embedded
from workflows.worker import make_worker

PAGE = ROOT / "docs" / "client.md"
CDN = ROOT / "examples" / "rebuffering-by-cdn.toml"


@pytest.fixture(autouse=True)
async def nothing_left(timelines: Client) -> AsyncIterator[None]:
    """Removes what a failed test did not."""
    yield
    with contextlib.suppress(NotFoundError):
        await timelines.registry.remove("rebuffering-by-cdn")


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a server that has no other timelines, with a worker."""
    async with (
        make_server(tmp_path / "dev.db") as server,
        make_worker(await connect_embedded(server.address)),
    ):
        yield server.address


async def test_the_program_of_the_page(alone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block prints what the comments behind its ``print`` say."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", alone)
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 8
    names: dict[str, Any] = {}
    for block in blocks:
        promised = "".join(line[2:] + "\n" for line in block.splitlines() if line.startswith("# "))
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = compile(block, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            done = eval(code, names)
            if inspect.iscoroutine(done):
                await done
        assert out.getvalue() == promised


async def test_from_register_to_remove(timelines: Client) -> None:
    client = timelines
    timeline = await client.register(load_spec(CDN))
    assert (timeline.name, timeline.streams) == ("rebuffering-by-cdn", 1)
    assert timeline.outputs == {"cdn": Kind.STATE, "rebuffering": Kind.NUMERIC, "on_c1": Kind.NUMERIC}
    assert await client.timeline(timeline.name) == timeline
    watching = client.watch(timeline.name, every=timedelta(milliseconds=50))
    assert (await anext(watching)).accepted == 0
    await feed_files(timelines, timeline.spec, timeline.spec.source.files)
    async for look in watching:
        if look.accepted == 12 and look.count == 3 and look.positions == ((1, 12),):
            break
    assert [row.key for row in look.keys] == ["s2", "s1", "s3"]
    assert look.keys[0].value == {"cdn": "C2", "rebuffering": 8, "on_c1": 0}
    ten = [
        10_000,
        "10s",
        datetime.fromtimestamp(10, UTC),
        datetime.fromtimestamp(10, timezone(-timedelta(hours=5))),
    ]
    for at in ten:
        [value] = await client.query(timeline.name, "s1", at)  # type: ignore[arg-type]
        assert value.value == {"cdn": "C2", "rebuffering": 4, "on_c1": 3}
    table = (await client.query(timeline.name, ["s3", "s2"])).to_arrow()
    assert table.to_pylist() == [
        {"key": "s3", "time": 9500, "cdn": "C1", "rebuffering": 0, "on_c1": 0, **about},
        {"key": "s2", "time": 14_000, "cdn": "C2", "rebuffering": 8, "on_c1": 0, **about},
    ]
    assert [str(type) for type in table.schema.types[:5]] == ["string", "int64", "string", "double", "double"]
    series = await client.aggregate(
        timeline.name,
        "sum(on_c1)",
        start="5s",
        end=datetime.fromtimestamp(15, UTC),
        every=timedelta(seconds=5),
    )
    assert series.rows == [
        {"time": at, "sum(on_c1)": value} for at, value in ((5000, 1), (10_000, 3), (15_000, 4))
    ]
    assert len(await client.remove(timeline.name)) == len(timeline.spec.fragments)
    with pytest.raises(NotFoundError, match="no timeline 'rebuffering-by-cdn' is registered"):
        await client.aggregate(timeline.name, "count")


about = {"final": False, "position": [1, 12], "error": None}


async def test_what_is_wrong_is_said(timelines: Client, tmp_path: Path) -> None:
    client = timelines
    (tmp_path / "wrong.toml").write_text("name = 'wrong'\n")
    with pytest.raises(SpecError, match="1 problem"):
        await client.register(tmp_path / "wrong.toml")
    with pytest.raises(NotFoundError, match="no timeline 'none' is registered"):
        await client.query("none", "k")
    with pytest.raises(RequestError, match="every=0"):
        await anext(client.watch("none", every=0))
    await client.register(CDN)
    with pytest.raises(DurationError, match="a datetime needs a zone"):
        await client.query("rebuffering-by-cdn", "s1", datetime(2026, 1, 1))
    with pytest.raises(RequestError, match="a time is ms, text"):
        await client.aggregate("rebuffering-by-cdn", at=1.5)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="there is no output cdm; expected cdn"):
        await client.aggregate("rebuffering-by-cdn", group_by="cdm")
    await client.remove("rebuffering-by-cdn")


SCRIPT = ROOT / "examples" / "quality_by_rendition.py"


def script(*arguments: str | Path, folder: Path) -> str:
    command = [sys.executable, "-W", "error", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_quality_by_rendition_is_skipped_without_data(tmp_path: Path) -> None:
    assert script(tmp_path, folder=tmp_path).startswith("skipped: no playback sessions (*.jsonl) in ")


@needs_traces
def test_quality_by_rendition(tmp_path: Path) -> None:
    out = script("--plot", "q.png", folder=tmp_path).splitlines()
    assert [line.split() for line in out[:6]] == [
        ["rendition", "watched", "(s)", "stalled", "(s)", "share"],
        ["144p", "13.8", "4.4", "31.9%"],
        ["240p", "1.9", "0.0", "0.0%"],
        ["360p", "271.8", "31.8", "11.7%"],
        ["480p", "874.3", "40.4", "4.6%"],
        ["720p", "4762.3", "0.0", "0.0%"],
    ]
    if out[-1].startswith("drawn"):
        assert (tmp_path / "q.png").read_bytes().startswith(b"\x89PNG")
    else:
        assert out[-1] == "no plot: matplotlib is not installed; pip install matplotlib"


class Asked:
    """Stands for a query: each time it is asked, what the script says happens."""

    def __init__(self, *script: object) -> None:
        self.script = list(script)
        self.times = 0

    async def __call__(self) -> object:
        happens = self.script[self.times]
        self.times += 1
        if happens == "lost":
            await asyncio.Event().wait()
        if isinstance(happens, BaseException):
            raise happens
        return happens


async def test_a_query_that_a_killed_worker_had_is_asked_again() -> None:
    cut = RPCError("context canceled", RPCStatusCode.CANCELLED, b"")
    refused = RPCError("no such workflow", RPCStatusCode.NOT_FOUND, b"")
    for script, times in ((["a"], 1), (["lost", "a"], 2), ([cut, "lost", cut, "lost", "a"], 5)):
        asked = Asked(*script)
        assert await until_answered(asked, 0.01) == "a"
        assert asked.times == times
    with pytest.raises(RPCError, match="no such workflow"):
        await until_answered(Asked("lost", refused, "a"), 0.01)

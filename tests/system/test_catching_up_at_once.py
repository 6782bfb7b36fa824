"""A timeline that comes over running ones answers with all that they had, or says that it cannot yet."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from feeder.files.feed import feed_files
from timeline.aggregate import Request
from timeline.errors import NotCaughtUpError, NotFoundError
from timeline.spec.spec import Spec
from tests.support.cli import Cli
from workflows.client import Client
from workflows.client.catching_up import CatchingUp

EVENTS, KEYS = 100_000, 20_000
STATES = ("play", "buffer", "seek")
PLAYED = 'count(state == "play")'
BUFFERED = 'duration_where(latest_event_to_state(state) == "buffer")'
#: Of new leaves, of a new result over leaves that run, and of both.
LATER = ('count(state == "buffer")',)


def write(path: Path, events: int, keys: int) -> Path:
    rows = (
        {"key": f"k{i % keys}", "time": i // keys * 1_000, "state": STATES[i % 7 % 3]} for i in range(events)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def spec(source: str, name: str, expression: str, **more: Any) -> Spec:
    about = {"name": source, **more.pop("source", {})}
    return Spec.from_wire({"name": f"{source}-{name}", "expression": expression, "source": about, **more})


@pytest.fixture
async def source(timelines: Client) -> AsyncIterator[str]:
    """The name of a source, of which no timeline is left in the end."""
    name = f"s-{uuid.uuid4().hex[:8]}"
    yield name
    for timeline in await timelines.registry.specs():
        if timeline.startswith(name):
            await timelines.registry.remove(timeline)


async def whole(timelines: Client, wanted: Spec) -> tuple[int, float]:
    """How many keys there are, and the sum of their values."""
    result = await timelines.aggregate(wanted.name, "count, sum(value)")
    [row] = result.rows
    return row["count"], row["sum(value)"]


async def test_exploring(timelines: Client, source: str, tmp_path: Path) -> None:
    import time
    first = spec(source, "first", BUFFERED)
    await timelines.registry.register(first)
    await feed_files(timelines, first, [write(tmp_path / "e.jsonl", EVENTS, KEYS)])
    print(await whole(timelines, first))
    for i in range(5):
        for wait in (True, False):
            t = time.monotonic()
            one = spec(source, f"{i}-{int(wait)}", f'count_rises(latest_event_to_state(state) == "buffer") + {i} + {int(wait)}')
            await timelines.register(one, wait=wait)
            print(i, wait, time.monotonic() - t)
            for _ in range(100):
                try:
                    print(await whole(timelines, one), (await timelines.query(one.name, "k1"))[0].value)
                    break
                except NotCaughtUpError as e:
                    print(e, time.monotonic() - t)
                    await asyncio.sleep(0.1)
    t = time.monotonic()
    one = spec(source, "newleaf", 'count(state == "buffer")')
    await timelines.register(one)
    print(time.monotonic() - t)
    try:
        print(await whole(timelines, one))
    except NotCaughtUpError as e:
        print(e)

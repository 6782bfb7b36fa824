"""Specs, files of events and comparisons for tests that run workflows."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from feeder.checks.dry_run import compare
from tests.support.places import CIRR
from timeline.fragments import Policy
from timeline.spec.spec import Spec
from workflows.client import Client


def spec(expression: str = CIRR, *, shards: int = 1, fragments: Policy = "node", **limits: Any) -> Spec:
    """A spec with a name of its own, so that tests do not meet."""
    return Spec.from_wire(
        {
            "name": f"t-{uuid.uuid4().hex[:8]}",
            "expression": expression,
            "source": {"key": "session"},
            "limits": {"shards": shards, **limits},
            "run": {"fragments": fragments},
        }
    )


def spec_of_outputs(outputs: dict[str, str]) -> Spec:
    """A spec of several outputs, with a name of its own."""
    return Spec(name=f"t-{uuid.uuid4().hex[:8]}", outputs=outputs, source=spec().source)


def two_on_a_topic(first: str, second: str) -> tuple[Spec, Spec]:
    """Two timelines on one new topic, ``...-a`` and ``...-b``, which share what they have in common."""
    topic = f"topic-{uuid.uuid4().hex[:6]}"
    source = {"topic": topic, "key": "session"}
    named = ((f"{topic}-a", first), (f"{topic}-b", second))
    a, b = (Spec.from_wire({"name": n, "expression": e, "source": source}) for n, e in named)
    return a, b


def write(path: Path, rows: list[tuple[Any, ...]], column: str = "playerStateChange") -> Path:
    """A file of events: session, time in ms, and what the column says."""
    lines = [json.dumps({"session": session, "time": time, column: value}) for session, time, value in rows]
    path.write_text("".join(line + "\n" for line in lines))
    return path


def many(keys: int, each: int) -> list[tuple[Any, ...]]:
    states = ("play", "buffer", "seek", "buffer", "pause")
    return [
        (f"k{key}", 1000 * step + key, states[(step + key) % 5])
        for step in range(each)
        for key in range(keys)
    ]


async def assert_exact(timelines: Client, wanted: Spec, keys: int) -> None:
    comparison = await compare(timelines, wanted)
    assert comparison.differences == []
    assert comparison.timelines == keys * len(wanted.plan.nodes)

"""Sinks: what they write is what queries say of final values, each row once, whatever is killed."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet
import pytest

from feeder.dry_run import compare
from feeder.feed import feed_files
from timeline.evaluate import Evaluation
from timeline.spec import Spec
from workflows.client import Timelines

OUTPUTS = {
    "state": "latest_event_to_state(state)",
    "seconds": 'duration_where(@state == "buffer")',
    "late": "@seconds > 2.5",
}
LIMITS = {"allowed_lateness": "3s", "retention": "1h"}
Values = dict[str, Any]


def spec(sink: dict[str, Any], *, shards: int = 1, **limits: str) -> Spec:
    return Spec.from_wire(
        {
            "name": f"t-{uuid.uuid4().hex[:8]}",
            "outputs": OUTPUTS,
            "source": {"key": "session"},
            "limits": LIMITS | limits | {"shards": shards},
            "sink": sink,
        }
    )


def events(seed: int, keys: int, each: int) -> list[dict[str, Any]]:
    """Some of every key, a little out of order, at ms that are not round."""
    chance = random.Random(seed)
    return [
        {
            "session": f"k{key}",
            "time": 1_000 * step + chance.randrange(4_000),
            "state": chance.choice(["play", "buffer", "seek"]),
        }
        for step in range(each)
        for key in range(keys)
        # The later ones go on for longer, so that others close meanwhile.
        if step < each * (key + 1) / keys
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


async def feed_in_parts(timelines: Timelines, wanted: Spec, path: Path, rows: list[dict[str, Any]]) -> None:
    for end in range(len(rows) // 4, len(rows) + 1, len(rows) // 4):
        write(path, rows[:end])
        await feed_files(timelines, wanted, [path])


def expected(
    wanted: Spec, local: Evaluation, holds: Callable[[Values], bool] = lambda _: True
) -> dict[str, dict[int, Values]]:
    """By key and tick what the sink must say, found by looking at every single ms."""
    sink, limits = wanted.sink, wanted.limits
    assert sink is not None
    newest_of_all = max(local.span(key)[1] for key in local.names())
    found: dict[str, dict[int, Values]] = {}
    for key in local.names():
        origin, newest = local.span(key)
        over = limits.key_ttl is not None and newest_of_all - newest >= limits.key_ttl
        until = newest + (limits.key_ttl or 0) if over else newest - limits.allowed_lateness
        if until <= origin:
            continue
        values: dict[int, Any] = {
            row.at: row.value for row in local.values(every=1, start=origin, end=until - 1, keys=[key])
        }
        if sink.when == "close":
            ticks = [newest] if over else []
        elif sink.every:
            ticks = [t for t in values if t % sink.every == 0]
        else:
            nodes = [local.plan.outputs[name] for name in sink.outputs or OUTPUTS]
            breaks = {row[0] for node in nodes for row in local.timeline(key, node).json_rows()}
            ticks = [t for t in values if t in breaks or (t > origin and not holds(values[t - 1]))]
        shown = sink.outputs or tuple(OUTPUTS)
        rows = {t: {name: values[t][name] for name in shown} for t in ticks if holds(values[t])}
        if rows:
            found[key] = rows
    return found


def by_key(rows: list[Values]) -> dict[str, dict[int, Values]]:
    """Written rows likewise; fails if an id or a place is there twice."""
    assert len({row["id"] for row in rows}) == len(rows)
    found: dict[str, dict[int, Values]] = {}
    for row in rows:
        values = {n: v for n, v in row.items() if n not in ("id", "timeline", "stream", "key", "at")}
        assert row["at"] not in found.setdefault(row["key"], {})
        found[row["key"]][row["at"]] = values
    return found


def written(folder: Path) -> list[Values]:
    return [orjson.loads(line) for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines()]


def written_parquet(folder: Path) -> list[Values]:
    return [row for path in folder.glob("*.parquet") for row in pyarrow.parquet.read_table(path).to_pylist()]


@pytest.mark.parametrize(
    ("more", "ttl", "holds"),
    [
        ({}, None, lambda v: True),
        ({"where": "seconds > 2.5"}, None, lambda v: v["seconds"] > 2.5),
        ({"outputs": ["late"], "where": "late"}, "5s", lambda v: v["late"]),
        ({"every": "700ms", "where": 'state == "buffer"'}, "5s", lambda v: v["state"] == "buffer"),
        ({"every": "2s", "outputs": ["seconds"]}, None, lambda v: True),
        ({"on": "close", "where": "seconds > 1"}, "5s", lambda v: v["seconds"] > 1),
    ],
    ids=["change", "where", "alert", "every", "every-output", "close"],
)
async def test_rows_are_the_final_values(
    timelines: Timelines,
    tmp_path: Path,
    more: dict[str, Any],
    ttl: str | None,
    holds: Callable[[Values], bool],
) -> None:
    limits = {"key_ttl": ttl} if ttl else {}
    wanted = spec({"folder": str(tmp_path / "out")} | more, shards=2, **limits)
    await timelines.register(wanted)
    await feed_in_parts(timelines, wanted, tmp_path / "events.jsonl", events(1, 5, 24))
    comparison = await compare(timelines, wanted)
    assert comparison.differences == []
    rows = written(tmp_path / "out")
    assert by_key(rows) == expected(wanted, comparison.evaluation, holds)
    assert rows
    # Asked for, the same; and nothing of it may still change.
    answers = await timelines.values(wanted, wanted.plan.result, [(row["key"], row["at"]) for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        assert answer.final
        assert isinstance(answer.value, dict)
        assert {n: v for n, v in row.items() if n in OUTPUTS}.items() <= answer.value.items()

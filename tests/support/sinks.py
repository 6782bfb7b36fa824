"""Sinks of tests: what they are told to write, what they must have written, and what they have."""

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

from timeline.local.evaluation import Evaluation
from timeline.sinks.batches import Batch
from timeline.spec.spec import Spec
from workflows.names import shard_of

OUTPUTS = {
    "state": "latest_event_to_state(state)",
    "seconds": 'duration_where(@state == "buffer")',
    "late": "@seconds > 2.5",
}


LIMITS = {"allowed_lateness": "3s", "retention": "1h"}


Values = dict[str, Any]


def spec(sink: dict[str, Any] | list[dict[str, Any]], *, shards: int = 1, **limits: str) -> Spec:
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


def expected(
    wanted: Spec,
    local: Evaluation,
    holds: Callable[[Values], bool] = lambda _: True,
    name: str | None = None,
) -> dict[str, dict[int, Values]]:
    """By key and tick what the sink of that name must say, found by looking at every single ms."""
    sink, limits = wanted.sink(name), wanted.limits
    shards = limits.shards
    newest_of = [-1] * shards
    for key in local.names():
        newest_of[shard_of(key, shards)] = max(newest_of[shard_of(key, shards)], local.span(key)[1])
    found: dict[str, dict[int, Values]] = {}
    every_life = [(key, n, *life) for key in local.names() for n, life in enumerate(local.lives(key))]
    for key, number, origin, newest in every_life:
        ttl, lateness = limits.key_ttl, limits.allowed_lateness
        over = ttl is not None and newest_of[shard_of(key, shards)] - newest >= ttl + lateness
        until = newest + (ttl or 0) if over else newest - lateness
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
            breaks = {row[0] for node in nodes for row in local.timeline(key, node, number).json_rows()}
            ticks = [t for t in values if t in breaks or (t > origin and not holds(values[t - 1]))]
        shown = sink.outputs or tuple(OUTPUTS)
        rows = {t: {name: values[t][name] for name in shown} for t in ticks if holds(values[t])}
        if rows:
            found[key] = found.get(key, {}) | rows
    return found


def by_key(rows: list[Values]) -> dict[str, dict[int, Values]]:
    """Written rows likewise; fails if an id or a place is there twice."""
    assert len({row["id"] for row in rows}) == len(rows)
    found: dict[str, dict[int, Values]] = {}
    for row in rows:
        values = {n: v for n, v in row.items() if n not in ("id", "timeline", "stream", "key", "time")}
        assert row["time"] not in found.setdefault(row["key"], {})
        found[row["key"]][row["time"]] = values
    return found


def written(folder: Path) -> list[Values]:
    return [orjson.loads(line) for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines()]


def written_parquet(folder: Path) -> list[Values]:
    return [row for path in folder.glob("*.parquet") for row in pyarrow.parquet.read_table(path).to_pylist()]


def batch(place: str, number: int, rows: int, offset: int = 0, kind: str = "jsonl") -> Batch:
    first = number * 100
    head = {"timeline": "t", "stream": 0, "key": "k"}
    return Batch(
        kind=kind,
        place=place,
        name="t-0-name",
        number=number,
        first=first,
        offset=offset,
        types={"x": "float"},
        rows=[{"id": f"i/{first + n}", **head, "at": n, "x": n / 2} for n in range(rows)],
    )


def expected_groups(wanted: Spec, local: Evaluation, every: int, below: float) -> dict[tuple[int, str], Any]:
    """By tick and state how many lives there are that have waited for less than 10 s, and for how long on
    average."""
    spans = [(key, *life) for key in local.names() for life in local.lives(key)]
    end = newest_of(wanted, local) - (wanted.limits.key_ttl or 0) - wanted.limits.allowed_lateness
    begin = min(origin for _, origin, _ in spans)
    groups: dict[tuple[int, str], list[float]] = {}
    for at in range(-(-begin // every) * every, end, every):
        for key, origin, newest in spans:
            if not origin <= at < newest + (wanted.limits.key_ttl or 0):
                continue
            [row] = local.values([at], keys=[key])
            values: Any = row.value
            if values["seconds"] < below:
                groups.setdefault((at, values["state"]), []).append(values["seconds"])
    return {place: (len(found), pytest.approx(sum(found) / len(found))) for place, found in groups.items()}


def newest_of(wanted: Spec, local: Evaluation) -> int:
    """The newest event of the stream that is furthest behind."""
    newest = [-1] * wanted.limits.shards
    for key in local.names():
        number = shard_of(key, wanted.limits.shards)
        newest[number] = max(newest[number], local.span(key)[1])
    return min(newest)

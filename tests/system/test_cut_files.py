"""The same flights as one file, as 21, and as one that grows: the same alerts, and nothing is refused."""

from __future__ import annotations

import functools
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest

from examples.flights import flights
from feeder.files.feed import feed_files
from tests.support.graphs import WireGraph
from tests.support.sinks import Values, written
from timeline.sinks.emission import Emission
from timeline.spec.spec import Spec
from timeline.tables.events import from_rows
from workflows.client import Client

#: Most aircraft pause for longer than a day now and then: each has many lives.
SPEC = {
    "outputs": {"place": "latest_event_to_state(place)", "late": "latest_event_to_state(delay) > 15"},
    "source": {"key": "tail"},
    "limits": {"allowed_lateness": "1h", "key_ttl": "1d", "retention": "200d"},
}


@functools.cache
def rows() -> list[Values]:
    made = flights(1_500, 30).to_pylist()
    return [row | {"time": int(row["time"].timestamp() * 1_000)} for row in made]


def spec_of(folder: Path) -> Spec:
    name = f"t-{uuid.uuid4().hex[:8]}"
    return Spec.from_wire(SPEC | {"name": name, "sink": {"folder": str(folder), "where": "late"}})


def said_of(rows: list[Values]) -> dict[str, Any]:
    """By id, without the timeline's name, which is another each time."""
    return {row["id"].split("/", 1)[1]: (row["place"], row["late"]) for row in rows}


@functools.cache
def alerts() -> dict[str, Any]:
    """By id what the sink says of all flights in one batch."""
    spec = spec_of(Path("out"))
    graph, emission = WireGraph(spec.plan, spec.node_limits), Emission(spec, spec.sink(), 0)
    events = from_rows([(row["tail"], row["time"], row) for row in rows()])
    said = graph.feed(events, tuple(events.position[-1].tolist()))
    for index, inputs in emission.inputs().items():
        for number in inputs:
            emission.receive(number, said[index])
    emission.step(emission.next_position())
    found: dict[str, Any] = {}
    while (more := emission.rows()) is not None:
        found |= said_of(more)
    return found


@pytest.mark.parametrize("way", ["one", "many", "grows"])
async def test_alerts_do_not_depend_on_how_a_table_is_cut_into_files(
    timelines: Client, tmp_path: Path, way: str
) -> None:
    spec = spec_of(tmp_path / "out")
    await timelines.registry.register(spec)
    lines = [orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows()]
    files = 1 if way == "one" else 21
    refused = 0
    for number in range(files):
        first, end = len(lines) * number // files, len(lines) * (number + 1) // files
        path = tmp_path / (f"{number}.jsonl" if way == "many" else "all.jsonl")
        path.write_bytes(b"".join(lines[0 if way == "grows" else first : end]))
        refused += (await feed_files(timelines, spec, [path])).refused
    found = written(tmp_path / "out")
    assert refused == 0
    assert len(found) == len(alerts()) == 518
    assert said_of(found) == alerts()

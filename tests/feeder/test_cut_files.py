"""A stream as one file, as many, or as files that grow: the same rows, answers and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from feeder.files.identity import describe_files
from feeder.files.log import FileLog
from tests.engine.test_lives import SINKS, cuts, events_of, steps
from tests.support.played import fed, sink_of
from timeline.spec.parts import Watermark
from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position
from workflows.logs import had
from workflows.protocol import Segment


def from_files(
    spec: Spec, folder: Path, lines: list[bytes], at: list[int], grows: bool
) -> Iterator[tuple[Events, Position]]:
    """What a feeder reads of lines that are fed in parts: as files, or as one that grows."""
    log: list[Segment] = []
    place: Position | None = None
    ends = sorted({0, *(end for end in at if end < len(lines)), len(lines)})
    for number, (begin, end) in enumerate(pairwise(ends)):
        path = folder / ("all.jsonl" if grows else f"{number}.jsonl")
        path.write_bytes(b"".join(lines[0 if grows else begin : end]))
        [segment], known = describe_files([path], log, 0)
        assert known == []
        log.append(Segment(**{**segment, "after": had(log, segment)}))
        for piece in FileLog(spec, log).pieces(place, ["a"]):
            place = piece.last
            yield piece.events, piece.last


@settings(max_examples=100)
@given(
    steps,
    cuts,
    st.booleans(),
    st.sampled_from([0, 1, 5]),
    st.sampled_from([None, 3, 6]),
    st.sampled_from(SINKS),
    st.sampled_from(["key", "stream"]),
)
def test_any_way_of_cutting_into_files_gives_the_same(
    drawn: Any,
    at: list[int],
    grows: bool,
    lateness: int,
    ttl: int | None,
    sink: dict[str, Any],
    watermark: Watermark,
) -> None:
    if ttl is None and (sink.get("on") == "close" or ("agg" in sink and watermark == "key")):
        sink = SINKS[0]  # the others never end without
    spec = sink_of(sink, lateness, ttl, watermark)
    # Each line is another, or a file could begin as one does that was fed.
    lines = [
        orjson.dumps({"key": key, "time": tick, "n": number, **values}, option=orjson.OPT_APPEND_NEWLINE)
        for number, (key, tick, values) in enumerate(events_of(drawn))
    ]
    found = []
    for parts in (at, []):
        with TemporaryDirectory() as folder:
            cut = list(from_files(spec, Path(folder), lines, parts, grows))
        places = [tuple(place) for events, _ in cut for place in events.position.tolist()]
        assert len(places) == len(lines)
        rows, answers, refused = fed(spec, cut, "operator")
        numbered = [(places.index(position), reason) for position, reason in refused]
        found.append(({row["id"]: row for row in rows}, len(rows), answers, numbered))
    assert found[0] == found[1]

"""What operations shows of nodes and streams, as rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from feeder.sources.base import Reading
from feeder.topics.lead import feeder_of
from timeline.cli.render import place_text
from timeline.cli.serving.page.lanes import moment
from timeline.pictures.axis import DATED
from timeline.pictures.texts import short_text
from timeline.plan import PlanNode
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.tables.marks import place_of
from workflows.client.nodes import SinkReport
from workflows.protocol.node import NodeStatus

Found = Sequence[tuple[PlanNode, str, NodeStatus]]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of a timeline: the newest event (ms; -1: none), how far its result is, and what its leaves
    have accepted and refused."""

    number: int
    newest: int
    result: list[int] | None
    accepted: int
    refused: int


def bytes_text(count: int) -> str:
    """A size as a person reads it.

    >>> bytes_text(900), bytes_text(20_480), bytes_text(5 << 20)
    ('900 B', '20.0 KiB', '5.0 MiB')
    """
    if count < 1_024:
        return f"{count} B"
    return f"{count / 1_024:.1f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.1f} MiB"


def age_text(newest: int, now: float) -> str:
    """How old the newest event is (``now`` in s); nothing where times are not those of our days.

    >>> age_text(5_000, 1_700_000_000.0), age_text(1_699_999_998_500, 1_700_000_000.0)
    ('', '1.5 s')
    >>> age_text(1_699_999_000_000, 1_700_000_000.0)
    '17 min'
    """
    age = now - newest / 1_000
    if newest < DATED or not 0 <= age < 86_400:
        return ""
    return f"{age:.1f} s" if age < 120 else f"{age / 60:.0f} min" if age < 7_200 else f"{age / 3_600:.0f} h"


def trouble_of(status: NodeStatus) -> str:
    """What is wrong with a node, the worst first."""
    said = [status["full"] or "", status.get("missing", "")]
    said += [f"{status['quarantined']} keys quarantined"] if status["quarantined"] else []
    if odd := status.get("odd"):
        said.append(f"{odd['count']} signals set aside, the last: {odd['last'][-1]['why']}")
    said += ["waits for its state"] if status.get("held") else []
    return "; ".join(filter(None, said))


def node_rows(spec: Spec, found: Found, link: Callable[[str], str | None]) -> list[dict[str, Any]]:
    """A row for each node and stream; one that is not where its stream's furthest is lags."""
    furthest: dict[int, Any] = {}
    for _, _, status in found:
        here = status["position"] or []
        furthest[status["stream"]] = max(furthest.get(status["stream"], []), here)
    return [
        {
            "id": i,
            "node": short_text(node, spec.plan),
            "link": link(workflow),
            "stream": status["stream"],
            "position": place_text(status["position"]),
            "lag": "" if (status["position"] or []) == furthest[status["stream"]] else "behind",
            "keys": status["keys"],
            "rows": status["rows"],
            "bytes": bytes_text(status["state_bytes"]),
            "waiting": status["waiting"],
            "trouble": trouble_of(status),
        }
        for i, (node, workflow, status) in enumerate(found)
    ]


def streams_of(spec: Spec, found: Found) -> list[Stream]:
    """What the leaves and the result of each stream say."""
    leaves = [status for node, _, status in found if node is spec.plan.leaves[0]]
    results = [status for node, _, status in found if node is spec.plan.result]
    return [
        Stream(
            leaf["stream"],
            leaf["newest"],
            result["position"],
            leaf["accepted"],
            leaf["refused"],
        )
        for leaf, result in zip(leaves, results, strict=True)
    ]


def stream_rows(
    spec: Spec,
    streams: Sequence[Stream],
    ends: Sequence[Position | None] | None,
    leaders: Sequence[str | None],
) -> list[dict[str, Any]]:
    """A row for each stream; ``ends`` are the newest messages of a topic's partitions, ``leaders`` whose
    batches its leaves take, as far as they are known."""
    shards, now = spec.limits.shards, time.time()
    rows = []
    for one, leader in zip_longest(streams, leaders[: len(streams)]):
        partition = one.number // shards if spec.source.topic else None
        end = None if ends is None or partition is None or partition >= len(ends) else ends[partition]
        at = None if one.result is None else tuple(place_of(tuple(one.result)))
        behind = end is not None and (at is None or at < tuple(place_of(end)))
        age = age_text(one.newest, now)
        rows.append(
            {
                "id": one.number,
                "stream": one.number,
                "partition": "files" if partition is None else partition,
                "newest message": place_text(end),
                "result at": place_text(one.result),
                "lag": (age or "behind") if behind else "",
                "stream time": "-" if one.newest < 0 else moment(one.newest),
                "accepted": one.accepted,
                "refused": one.refused,
                "feeder": "" if leader is None else feeder_of(leader),
            }
        )
    return rows


def feeder_rows(found: Sequence[Reading | None]) -> list[dict[str, Any]]:
    """A row for each feeder of each partition, first who reads; ``found`` is what is known of each."""
    return [
        {"id": f"{number} {i}", "partition": number, "feeder": one.name, "since": moment(one.since)}
        | {"state": "reads" if one.reads else "waits to take over"}
        | {"acknowledged": place_text(known.acknowledged) if one.reads else ""}
        for number, known in enumerate(found)
        if known is not None
        for i, one in enumerate(known.readers)
    ]


def place_of_sink(one: SinkReport) -> str:
    """Where a sink's rows go."""
    return f"{one['kind']} {one['place']}"

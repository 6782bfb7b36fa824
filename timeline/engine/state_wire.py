"""The state that a node carries into its next run, as compressed columnar JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import zstandard

from timeline.engine.admission import Refused
from timeline.engine.edge import Edge
from timeline.engine.node import Node
from timeline.engine.patch import Pending
from timeline.engine.quarantine import Quarantine
from timeline.engine.wire import from_late, to_late
from timeline.errors import TimelineError
from timeline.tables.table import Table, Window
from timeline.tables.wire import (
    Wire,
    differences,
    from_events,
    from_places,
    from_position,
    from_table,
    sums,
    to_events,
    to_places,
    to_position,
    to_table,
)
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import Keys

#: Version of the carried state; a reader understands this one and the one before.
STATE_VERSION = 2


def to_state(node: Node, **rest: Any) -> bytes:
    """All that a node knows, compressed; ``rest`` is carried along (it must be JSON)."""
    wire = {
        "version": STATE_VERSION,
        "position": to_position(node.position),
        "names": node.keys.names,
        "origin": differences(node.origin),
        "newest": differences(node.newest),
        **_begun(node),
        "stream_newest": node.stream_newest,
        "accepted": node.accepted,
        "refused": _refused(node.refused),
        "quarantined": [_quarantine(code, held) for code, held in node.quarantined.items()],
        "sent_names": node.sent_names,
        "sent_values": node.sent_values,
        "own": to_table(node.own),
        "own_values": _values(node.own),
        "edges": [_edge(edge) for edge in node.edges],
        "rest": rest,
    }
    text = orjson.dumps(wire, option=orjson.OPT_SERIALIZE_NUMPY)
    return zstandard.ZstdCompressor(level=3).compress(text)


def _begun(node: Node) -> Wire:
    """Where the functions of keys begin, of those whose past is forgotten, if there are any."""
    codes = np.flatnonzero(node.known_from | node.counted_from)
    if not len(codes):
        return {}
    begun = {"known_from": node.known_from, "counted_from": node.counted_from}
    return {
        "begun": differences(codes),
        **{name: differences(ticks[codes]) for name, ticks in begun.items()},
    }


def _values(table: Table) -> list[Scalar]:
    return [] if table.vocabulary is None else table.vocabulary.values[1:]


def _edge(edge: Edge) -> Wire:
    return {
        "table": to_table(edge.table),
        "values": _values(edge.table),
        "position": to_position(edge.position),
        "codes": differences(edge.codes),
        "value_codes": differences(edge.value_codes),
        "quarantined": list(edge.quarantined.items()),
        "pending": [
            {
                "position": list(pending.position),
                "more": pending.more,
                "heard": to_places(pending.heard),
                "window": to_places(pending.window.at),
                "rows": to_table(pending.rows),
                "quarantined": list(pending.quarantined.items()),
                **to_late(pending),
            }
            for pending in edge.pending
        ],
    }


def _refused(refused: Refused) -> Wire:
    wire: Wire = {"count": refused.count, "settled": to_position(refused.settled)}
    if refused.events is not None and refused.reasons is not None and len(refused.events):
        last = tuple(refused.events.position[-1].tolist())
        wire |= {"events": to_events(refused.events, last), "reasons": refused.reasons}
    return wire


def _quarantine(code: int, held: Quarantine) -> Wire:
    wire = {
        "code": code,
        "error": held.error,
        "position": list(held.position),
        "own": held.own,
        "since": held.since,
        "anew": held.anew,
    }
    if held.events is not None and len(held.events):
        wire["events"] = to_events(held.events, tuple(held.events.position[-1].tolist()))
    return wire


def from_state(blob: bytes, node: Node) -> dict[str, Any]:
    """Puts a carried state into a new node of the same kind; returns what was carried along.

    Raises:
        TimelineError: the state was written by a version that this one does not know.
    """
    wire = orjson.loads(zstandard.ZstdDecompressor().decompress(blob))
    if wire["version"] not in (STATE_VERSION - 1, STATE_VERSION):
        raise TimelineError(
            f"carried state has version {wire['version']}, this worker reads {STATE_VERSION - 1} and "
            f"{STATE_VERSION}; run a worker of the version that wrote it, or of one between"
        )
    if wire["version"] == 1:
        _from_version_1(wire)
    node.position = from_position(wire["position"])
    node.keys = Keys(wire["names"])
    node.origin = sums(wire["origin"])
    node.newest = sums(wire["newest"])
    node.known_from, node.counted_from = (np.zeros(len(node.newest), np.int64) for _ in range(2))
    if "begun" in wire:
        codes = sums(wire["begun"])
        node.known_from[codes] = sums(wire["known_from"])
        node.counted_from[codes] = sums(wire["counted_from"])
    node.stream_newest = wire["stream_newest"]
    node.accepted = wire["accepted"]
    node.refused = Refused(wire["refused"]["count"], settled=from_position(wire["refused"].get("settled")))
    if "events" in wire["refused"]:
        node.refused.events, _ = from_events(wire["refused"]["events"])
        node.refused.reasons = np.array(wire["refused"]["reasons"], np.int64)
    for held in wire["quarantined"]:
        node.quarantined[held["code"]] = Quarantine(
            held["error"],
            tuple(held["position"]),
            held["own"],
            held["since"],
            held["anew"],
            from_events(held["events"])[0] if "events" in held else None,
        )
    node.sent_names = wire["sent_names"]
    node.sent_values = wire["sent_values"]
    for edge, data in zip(node.edges, wire["edges"], strict=True):
        vocabulary = edge.table.vocabulary
        if vocabulary is not None:
            vocabulary.encode(data["values"])
        edge.table = from_table(data["table"], vocabulary)
        edge.position = from_position(data["position"])
        edge.codes = sums(data["codes"])
        edge.value_codes = sums(data["value_codes"])
        edge.quarantined = dict(data["quarantined"])
        edge.pending = [
            Pending(
                tuple(p["position"]),
                p["more"],
                from_places(p["heard"]),
                Window(from_places(p["window"])),
                from_table(p["rows"], vocabulary),
                dict(p["quarantined"]),
                *from_late(p),
            )
            for p in data["pending"]
        ]
    if node.own.vocabulary is not None:
        node.own.vocabulary.encode(wire["own_values"])
    node.own = from_table(wire["own"], node.own.vocabulary)
    rest: dict[str, Any] = wire["rest"]
    return rest


def _from_version_1(wire: Wire) -> None:
    """What version 1 did not carry: it knew of no closed or quarantined keys, and only leaves had
    States, whose vocabularies were the same on both sides of an edge."""
    wire["stream_newest"] = int(sums(wire["newest"]).max(initial=-1))
    wire["refused"] = {"count": wire["refused"]}
    wire["quarantined"] = wire["own_values"] = []
    for edge in wire["edges"]:
        edge["quarantined"] = []
        edge["value_codes"] = [0, *([1] * len(edge["values"]))]
        for pending in edge["pending"]:
            pending["quarantined"] = []

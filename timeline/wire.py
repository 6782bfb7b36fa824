"""Batches, patches and carried state as columnar JSON: arrays as differences, ready for orjson.

What ``to_*`` returns may hold numpy arrays (`orjson.OPT_SERIALIZE_NUMPY`); what ``from_*`` takes has
been through JSON, so it holds lists. Compression is the payload codec's business, but for carried
state, whose size must be known where it is made.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from timeline.admission import Refused
from timeline.errors import TimelineError
from timeline.events import EventColumn, Events, Position
from timeline.exact import NULL, THOUSANDTH
from timeline.expression import Scalar
from timeline.node import Node
from timeline.patch import Edge, Patch, Pending
from timeline.quarantine import Quarantine
from timeline.table import Shape, Table, Window
from timeline.ticks import MAX_TICK, TICK_BITS
from timeline.vocabulary import I64, Keys, Vocabulary

Wire: TypeAlias = dict[str, Any]
#: Version of the carried state; a reader understands this one and the one before.
STATE_VERSION = 2


def _differences(values: I64) -> I64:
    return np.diff(values, prepend=np.int64(0)) if len(values) else values


def _sums(differences: list[int]) -> I64:
    return np.cumsum(np.array(differences, np.int64))


def _places(at: I64) -> Wire:
    """Packed places; keys and ticks apart, because each alone has small differences."""
    return {"key": _differences(at >> TICK_BITS), "tick": _differences(at & MAX_TICK)}


def _from_places(wire: Wire) -> I64:
    return (_sums(wire["key"]) << TICK_BITS) | _sums(wire["tick"])


def to_position(position: Position | None) -> list[int] | None:
    """A position as JSON has it."""
    return None if position is None else list(position)


def from_position(wire: list[int] | None) -> Position | None:
    """The inverse of `to_position`."""
    return None if wire is None else tuple(wire)


def to_events(events: Events, last: Position) -> Wire:
    """An ``events`` signal: a batch that reaches up to and including ``last``."""
    return {
        "last": list(last),
        "keys": events.keys,
        "key": events.key,
        "tick": _differences(events.tick),
        "columns": {
            name: {"values": column.values[1:], "codes": column.codes}
            for name, column in events.columns.items()
        },
        "position": [
            _differences(np.ascontiguousarray(events.position[:, i])) for i in range(events.position.shape[1])
        ],
    }


def from_events(wire: Wire) -> tuple[Events, Position]:
    """The inverse of `to_events`."""
    events = Events(
        wire["keys"],
        np.array(wire["key"], np.int64),
        _sums(wire["tick"]),
        {
            name: EventColumn(np.array(column["codes"], np.int64), [None, *column["values"]])
            for name, column in wire["columns"].items()
        },
        np.stack([_sums(part) for part in wire["position"]], axis=1),
    )
    return events, tuple(wire["last"])


def to_table(table: Table) -> Wire:
    """The rows of a table; its vocabulary travels apart."""
    wire: Wire = {"shape": table.shape.value, "at": _places(table.at)}
    if table.shape is Shape.RATIO:
        assert table.slope is not None
        value, slope = np.ascontiguousarray(table.value.T), np.ascontiguousarray(table.slope.T)
        wire["parts"] = [_numbers(value[i], slope[i], table.unit) for i in range(2)]
    elif table.shape is Shape.NUMERIC:
        assert table.slope is not None
        wire |= _numbers(table.value, table.slope, table.unit)
    else:
        wire["value"] = table.value.astype(np.int64)
    return wire


def _numbers(value: NDArray[Any], slope: NDArray[Any], unit: Fraction) -> Wire:
    # Null is the lowest int64: far from all other values, so it is told by position instead.
    null = np.flatnonzero(value == NULL)
    value = value.copy()
    value[null] = 0
    wire: Wire = {"null": _differences(null)}
    if value.dtype == object:  # JSON's numbers end at 64 bits
        wire |= {"value": list(map(str, value)), "slope": list(map(str, slope))}
    else:
        wire |= {"value": _differences(value), "slope": slope}
    if unit != THOUSANDTH:
        wire["unit"] = str(unit)
    return wire


def _from_numbers(wire: Wire) -> tuple[NDArray[Any], NDArray[Any], Fraction]:
    if wire["value"] and isinstance(wire["value"][0], str):
        value = np.array(list(map(int, wire["value"])), object)
        slope = np.array(list(map(int, wire["slope"])), object)
    else:
        value, slope = _sums(wire["value"]), np.array(wire["slope"], np.int64)
    value[_sums(wire["null"])] = NULL
    return value, slope, Fraction(wire.get("unit", THOUSANDTH))


def from_table(wire: Wire, vocabulary: Vocabulary | None) -> Table:
    """The inverse of `to_table`."""
    shape = Shape(wire["shape"])
    at = _from_places(wire["at"])
    if shape is Shape.RATIO:
        parts = [_from_numbers(part) for part in wire["parts"]]
        value = np.stack([value for value, _, _ in parts], axis=1)
        slope = np.stack([slope for _, slope, _ in parts], axis=1)
        return Table(shape, at, value, slope, None, parts[0][2])
    if shape is Shape.NUMERIC:
        value, slope, unit = _from_numbers(wire)
        return Table(shape, at, value, slope, None, unit)
    if shape is Shape.BOOL:
        return Table(shape, at, np.array(wire["value"], bool))
    return Table(shape, at, np.array(wire["value"], np.int64), None, vocabulary)


def to_patch(patch: Patch) -> Wire:
    """A ``patch`` signal, without the inputs that it is for."""
    return {
        "position": list(patch.position),
        "first_name": patch.first_name,
        "names": patch.names,
        "first_value": patch.first_value,
        "values": patch.values,
        "heard": _places(patch.heard),
        "window": _places(patch.window.at),
        "rows": to_table(patch.rows),
        "more": patch.more,
        "quarantined": patch.quarantined,
        "amends": patch.amends,
        **_late(patch),
    }


def from_patch(wire: Wire) -> Patch:
    """The inverse of `to_patch`; the rows are still in the sender's codes, without a vocabulary."""
    return Patch(
        tuple(wire["position"]),
        wire["first_name"],
        wire["names"],
        wire["first_value"],
        wire["values"],
        _from_places(wire["heard"]),
        Window(_from_places(wire["window"])),
        from_table(wire["rows"], None),
        wire["more"],
        # Patches of version 1 say nothing of these.
        wire.get("quarantined", {}),
        wire.get("amends", False),
        *_from_late(wire),
    )


def _late(patch: Patch | Pending) -> Wire:
    """Keys whose past is forgotten, if there are any: patches and states of before 0.3 know of none."""
    late = {"origins": patch.origins, "counted": patch.counted}
    return {name: _places(at) for name, at in late.items() if len(at)}


def _from_late(wire: Wire) -> tuple[I64, I64]:
    origins, counted = (
        _from_places(wire[name]) if name in wire else np.empty(0, np.int64) for name in ("origins", "counted")
    )
    return origins, counted


def to_state(node: Node, **rest: Any) -> bytes:
    """All that a node knows, compressed; ``rest`` is carried along (it must be JSON)."""
    wire = {
        "version": STATE_VERSION,
        "position": to_position(node.position),
        "names": node.keys.names,
        "origin": _differences(node.origin),
        "newest": _differences(node.newest),
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
        "begun": _differences(codes),
        **{name: _differences(ticks[codes]) for name, ticks in begun.items()},
    }


def _values(table: Table) -> list[Scalar]:
    return [] if table.vocabulary is None else table.vocabulary.values[1:]


def _edge(edge: Edge) -> Wire:
    return {
        "table": to_table(edge.table),
        "values": _values(edge.table),
        "position": to_position(edge.position),
        "codes": _differences(edge.codes),
        "value_codes": _differences(edge.value_codes),
        "quarantined": list(edge.quarantined.items()),
        "pending": [
            {
                "position": list(pending.position),
                "more": pending.more,
                "heard": _places(pending.heard),
                "window": _places(pending.window.at),
                "rows": to_table(pending.rows),
                "quarantined": list(pending.quarantined.items()),
                **_late(pending),
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
    node.origin = _sums(wire["origin"])
    node.newest = _sums(wire["newest"])
    node.known_from, node.counted_from = (np.zeros(len(node.newest), np.int64) for _ in range(2))
    if "begun" in wire:
        codes = _sums(wire["begun"])
        node.known_from[codes] = _sums(wire["known_from"])
        node.counted_from[codes] = _sums(wire["counted_from"])
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
        edge.codes = _sums(data["codes"])
        edge.value_codes = _sums(data["value_codes"])
        edge.quarantined = dict(data["quarantined"])
        edge.pending = [
            Pending(
                tuple(p["position"]),
                p["more"],
                _from_places(p["heard"]),
                Window(_from_places(p["window"])),
                from_table(p["rows"], vocabulary),
                dict(p["quarantined"]),
                *_from_late(p),
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
    wire["stream_newest"] = int(_sums(wire["newest"]).max(initial=-1))
    wire["refused"] = {"count": wire["refused"]}
    wire["quarantined"] = wire["own_values"] = []
    for edge in wire["edges"]:
        edge["quarantined"] = []
        edge["value_codes"] = [0, *([1] * len(edge["values"]))]
        for pending in edge["pending"]:
            pending["quarantined"] = []

"""The state that a node carries into its next run, as columnar JSON in bytes (`timeline.tables.columnar`).

Whole, or without what lies in layers (`timeline.engine.layers`): names, columns by key, values and rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from timeline.engine.admission import Refused
from timeline.engine.edge import Edge
from timeline.engine.key_columns import KeyColumns
from timeline.engine.mark_log import MarkLog
from timeline.engine.patch import Pending
from timeline.engine.quarantine import Quarantine
from timeline.engine.state import NodeState
from timeline.engine.wire import from_late, to_late
from timeline.errors import TimelineError, WireError
from timeline.tables.bounds import Budget
from timeline.tables.columnar import from_bytes, to_bytes
from timeline.tables.history import History
from timeline.tables.table import Window
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
from timeline.values.life_names import life_name
from timeline.values.scalars import Scalar

#: Version of a state that is carried whole, and of one in layers. Those before are understood too.
STATE_VERSION, LAYERED = 3, 4


def to_state(states: Sequence[NodeState], **rest: Any) -> bytes:
    """All that the nodes of a fragment know, compressed; ``rest`` is carried along (it must be JSON).

    That of a node that lives alone is written as version 2, which had no other.
    """
    return join([_node(state) for state in states], **rest)


def join(nodes: Sequence[Wire], **rest: Any) -> bytes:
    """The state of a fragment whose nodes' ones are these, as `members` has them."""
    wire = {"version": 2, **nodes[0]} if len(nodes) == 1 else {"version": STATE_VERSION, "nodes": list(nodes)}
    return to_bytes(wire | {"rest": rest}, level=3)


def members(blob: bytes) -> list[Wire]:
    """What a carried state has of each node of its fragment.

    Raises:
        TimelineError: the state was written by a version that this one does not know.
    """
    return _members(opened(blob, STATE_VERSION))


def _node(state: NodeState) -> Wire:
    head = _head(state)
    edges = zip(head["edges"], state.edges, strict=True)
    return head | {
        "names": state.keys.names,
        **_columns(state.by_key),
        "own": to_table(state.own.whole()),
        "own_values": _values(state.own),
        "edges": [
            wire | {"table": to_table(edge.table.whole()), "values": _values(edge.table)}
            for wire, edge in edges
        ],
    }


def to_head(states: Sequence[NodeState], rest: dict[str, Any]) -> Wire:
    """What is small in the states, or of no layer."""
    return {"nodes": [_head(state) for state in states], "rest": rest}


def _head(state: NodeState) -> Wire:
    return {
        "lives": state.limits.key_ttl is not None,
        "position": to_position(state.position),
        "stream_newest": state.stream_time,
        **_marks(state.marks),
        "accepted": state.accepted,
        "refused": _refused(state.refused),
        "quarantined": [_quarantine(code, held) for code, held in state.quarantined.items()],
        "sent_names": state.sent_names,
        "sent_values": state.sent_values,
        "edges": [_edge(edge) for edge in state.edges],
    }


def _marks(log: MarkLog) -> Wire:
    return {"marks": [list(place) for place in log.places], "marked": log.needed} if log.places else {}


def _columns(columns: KeyColumns) -> Wire:
    """The columns by key code; of sparse ones the codes (``begun``) at which any of them says something."""
    carried = {name: kind for name, kind in columns.kinds.items() if kind.carried}
    wire: Wire = {name: differences(columns[name]) for name, kind in carried.items() if not kind.sparse}
    sparse = [name for name, kind in carried.items() if kind.sparse]
    codes = np.flatnonzero(np.any([columns[name] != carried[name].fill for name in sparse], axis=0))
    if len(codes):
        wire |= {"begun": differences(codes), **{n: differences(columns[n][codes]) for n in sparse}}
    return wire


def _from_columns(wire: Wire, columns: KeyColumns, count: int) -> None:
    columns.grow(count)
    for name, kind in columns.kinds.items():
        if kind.sparse and "begun" in wire:
            columns.own(name)[sums(wire["begun"])] = sums(wire[name])
        elif kind.carried and not kind.sparse and name in wire:
            columns[name] = sums(wire[name])


def _values(table: History) -> list[Scalar]:
    return [] if table.vocabulary is None else table.vocabulary.values[1:]


def _edge(edge: Edge) -> Wire:
    return {
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
                **({"time": pending.time} if pending.time >= 0 else {}),
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


def from_state(blob: bytes, states: Sequence[NodeState]) -> dict[str, Any]:
    """Puts a state that was carried whole into those of new nodes of the same kind; returns what was
    carried along.

    Raises:
        TimelineError: the state was written by a version that this one does not know.
    """
    return from_whole(opened(blob, STATE_VERSION), states)


def opened(blob: bytes, newest: int = LAYERED, budget: Budget | None = None) -> Wire:
    """A carried state, to be looked at; ``budget`` is as `timeline.tables.columnar.from_bytes` has it.

    Raises:
        TimelineError: its version is later than ``newest``, or it is none.
    """
    wire: Wire = from_bytes(blob, budget)
    if not isinstance(wire, dict) or type(wire.get("version")) is not int:
        raise WireError(f"{len(blob)} bytes are no carried state")
    if wire["version"] not in range(1, newest + 1):
        raise TimelineError(
            f"carried state has version {wire['version']}, this worker reads those up to {newest}; "
            "run a worker of the version that wrote it, or of one between"
        )
    if wire["version"] == 1:
        _from_version_1(wire)
    return wire


def from_whole(wire: Wire, states: Sequence[NodeState]) -> dict[str, Any]:
    """`from_state` of what is `opened`."""
    for node, state in zip(_members(wire), states, strict=True):
        state.name(node["names"])
        _from_columns(node, state.by_key, len(state.keys))
        for edge, data in zip(state.edges, node["edges"], strict=True):
            vocabulary = edge.table.vocabulary
            if vocabulary is not None:
                vocabulary.encode(data["values"])
            edge.table.become(from_table(data["table"], vocabulary))
        if state.own.vocabulary is not None:
            state.own.vocabulary.encode(node["own_values"])
        state.own.become(from_table(node["own"], state.own.vocabulary))
    return from_head(wire, states)


def from_head(wire: Wire, states: Sequence[NodeState]) -> dict[str, Any]:
    """The inverse of `to_head`, for states that have their names, values and rows."""
    for node, state in zip(_members(wire), states, strict=True):
        _from_head(node, state)
        if state.limits.key_ttl is not None and not node.get("lives"):
            _give_lives(state)
    rest: dict[str, Any] = wire["rest"]
    return rest


def _members(wire: Wire) -> list[Wire]:
    alone = {name: part for name, part in wire.items() if name not in ("version", "rest")}
    nodes: list[Wire] = wire.get("nodes", [alone])
    return nodes


def _from_head(wire: Wire, state: NodeState) -> None:
    state.position = from_position(wire["position"])
    state.stream_time = wire["stream_newest"]
    state.marks = MarkLog(map(tuple, wire.get("marks", ())), wire.get("marked", False))
    state.accepted = wire["accepted"]
    state.refused = Refused(wire["refused"]["count"], settled=from_position(wire["refused"].get("settled")))
    if "events" in wire["refused"]:
        state.refused.events, _ = from_events(wire["refused"]["events"])
        state.refused.reasons = np.array(wire["refused"]["reasons"], np.int64)
    for held in wire["quarantined"]:
        state.quarantined[held["code"]] = Quarantine(
            held["error"],
            tuple(held["position"]),
            held["own"],
            held["since"],
            held["anew"],
            from_events(held["events"])[0] if "events" in held else None,
        )
    state.sent_names = wire["sent_names"]
    state.sent_values = wire["sent_values"]
    for edge, data in zip(state.edges, wire["edges"], strict=True):
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
                from_table(p["rows"], edge.table.vocabulary),
                dict(p["quarantined"]),
                *from_late(p),
                p.get("time", -1),
            )
            for p in data["pending"]
        ]


def _give_lives(state: NodeState) -> None:
    """What was carried before keys had lives: the one that each key had is its life."""
    by_key = state.by_key
    founded = np.minimum(by_key.origin, np.maximum(by_key.newest, 0))
    state.name([life_name(n, t) for n, t in zip(state.keys.names, founded.tolist(), strict=True)])
    if state.lives is not None:
        by_key["first"][:] = np.where(by_key.newest < 0, by_key.origin, founded)
    state.recoded = True


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

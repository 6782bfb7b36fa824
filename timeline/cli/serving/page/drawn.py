"""Lanes of a key at one position, wherever they come from, and from when to when they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timeline.cli.serving.models import Lane
from timeline.pictures.texts import short_text
from timeline.plan import Plan, PlanNode
from timeline.tables.events import Position
from timeline.values.kinds import Kind

KINDS = (Kind.STATE, Kind.BOOL, Kind.NUMERIC, Kind.RATIO)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The lanes, and from when to when (ms) they are drawn; ``newest`` is the key's newest event."""

    lanes: list[Lane]
    position: Position | None
    start: int
    end: int
    newest: int


def lanes_of(lanes: list[Lane], position: Position | None, over: int | None = None) -> Drawn:
    """Lanes from their origin until a little behind their last change, but not to where they are ``over``."""
    start, newest = min(lane.origin for lane in lanes), max(lane.newest for lane in lanes)
    last = max([newest, *(piece.start for lane in lanes for piece in lane.pieces)])
    end = last + max(1_000, (last - start) // 2)
    return Drawn(lanes, position, start, end if over is None else min(end, over - 1), newest)


def nodes_of(plan: Plan) -> list[PlanNode]:
    """The nodes that have a lane, results first."""
    return [node for node in plan.nodes[::-1] if node.kind in KINDS]


def labels_of(plan: Plan, nodes: Sequence[PlanNode]) -> list[str]:
    """What the lanes are called; those of outputs begin with their names."""
    named = {node.index: name for name, node in plan.outputs.items() if node is not plan.result}
    return [
        (f"{named[node.index]}: " if node.index in named else "") + short_text(node, plan) for node in nodes
    ]

"""Single nodes, and what they are handed."""

from __future__ import annotations

from timeline.engine.node import Node
from timeline.engine.patch import Patch
from timeline.limits import Limits
from timeline.plan import Plan, PlanNode
from timeline.tables.events import Events


def fresh(plan: Plan, planned: PlanNode, limits: Limits | None = None) -> Node:
    shapes = [plan.nodes[i].operator.kind for i in planned.inputs]
    return Node(planned.operator, shapes, limits or Limits(), planned.before_origin)


def end_of(batch: Events) -> tuple[int, ...]:
    return tuple(batch.position[-1].tolist())


def accepted(node: Node, batch: Events) -> Patch:
    patch = node.accept(batch, end_of(batch))
    assert patch is not None
    return patch


def snapshot_of(node: Node) -> Patch:
    snapshot = node.snapshot()
    assert snapshot is not None
    return snapshot

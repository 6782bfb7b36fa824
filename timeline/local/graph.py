"""A plan's nodes for one stream, joined in this process: batches in, patches through, tables out."""

from __future__ import annotations

from timeline.engine.answers import Answers
from timeline.engine.node import Node
from timeline.engine.patch import Patch
from timeline.limits import Limits
from timeline.plan import Plan
from timeline.tables.events import Events, Position


class Graph:
    """The incremental form of an expression without anything durable round it.

    It does in one process what the workflows do in many, with the same nodes. Memory is bounded by
    the limits. ``nodes[i]`` belongs to ``plan.nodes[i]``.
    """

    def __init__(self, plan: Plan, limits: Limits | None = None) -> None:
        self.plan = plan
        limits = limits or Limits()
        self.nodes = [
            Node(
                n.operator,
                [plan.nodes[i].operator.kind for i in n.inputs],
                limits,
                n.before_origin,
            )
            for n in plan.nodes
        ]

    @property
    def result(self) -> Node:
        return self.nodes[-1]

    @property
    def answers(self) -> Answers:
        """What the result can be asked."""
        return Answers(self.result.state)

    def feed(self, events: Events, last: Position) -> dict[int, Patch]:
        """Takes the next batch of the stream, which reaches up to and including ``last``; returns what
        nodes had to say, by index."""
        said = {}
        for planned, node in zip(self.plan.nodes, self.nodes, strict=True):
            patch = node.accept(events, last) if planned.leaf else node.advance()
            if patch is None:
                continue
            said[planned.index] = patch
            for parent in self.plan.nodes[planned.index + 1 :]:
                for index, child in enumerate(parent.inputs):
                    if child == planned.index:
                        self.nodes[parent.index].receive(index, patch)
        return said

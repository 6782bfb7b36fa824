"""Graphs of nodes whose every word goes over the wire."""

from __future__ import annotations

from typing import Any

from tests.support.streams import json, through_wire
from timeline.engine.wire import from_patch, to_patch
from timeline.limits import Limits
from timeline.local.graph import Graph


class WireGraph(Graph):
    """A graph whose patches go through JSON, and whose nodes may continue as new."""

    def feed(self, events: Any, last: Any) -> dict[int, Any]:
        said = {}
        for planned, node in zip(self.plan.nodes, self.nodes, strict=True):
            patch = node.accept(events, last) if planned.leaf else node.advance()
            if patch is not None:
                said[planned.index] = patch
                self.deliver(planned.index, patch)
        return said

    def deliver(self, child: int, patch: Any) -> None:
        patch = from_patch(json(to_patch(patch)))
        for parent in self.plan.nodes[child + 1 :]:
            for index, of in enumerate(parent.inputs):
                if of == child:
                    self.nodes[parent.index].receive(index, patch)

    def continue_as_new(self, limits: Limits) -> None:
        self.nodes = [
            through_wire(node, planned, self.plan, limits)
            for node, planned in zip(self.nodes, self.plan.nodes, strict=True)
        ]

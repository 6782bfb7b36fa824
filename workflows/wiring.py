"""Who is whose parent among the workflows of a timeline."""

from __future__ import annotations

from timeline.spec.spec import Spec
from workflows.names import node_id
from workflows.protocol import Subscriber


def parents_of(spec: Spec, stream: int) -> dict[int, list[Subscriber]]:
    """For each node of the plan its parents, with the inputs of theirs that it is."""
    parents: dict[int, list[Subscriber]] = {n.index: [] for n in spec.plan.nodes}
    for node in spec.plan.nodes:
        for child in sorted(set(node.inputs)):
            inputs = [i for i, c in enumerate(node.inputs) if c == child]
            parents[child].append(Subscriber(workflow=node_id(spec, node, stream), inputs=inputs))
    return parents

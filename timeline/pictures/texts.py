"""Nodes and values as a picture names them."""

from __future__ import annotations

import orjson

from timeline.operators.outputs import Outputs
from timeline.plan import Plan, PlanNode
from timeline.values.scalars import Value


def value_text(value: Value) -> str:
    """A value as JSON has it, but strings without quotes."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def short_text(node: PlanNode, plan: Plan) -> str:
    """A node's text with its inputs left out.

    >>> from timeline.plan import make_plan
    >>> plan = make_plan('duration_where(!has_existed(a == 1))')
    >>> [short_text(node, plan) for node in plan.nodes]
    ['has_existed(a == 1)', '!…', 'duration_where(…)']
    """
    if isinstance(node.operator, Outputs):
        return node.operator.name
    text = node.text
    for index in sorted(set(node.inputs), key=lambda i: -len(plan.nodes[i].text)):
        child = plan.nodes[index].text
        text = text.replace(f"({child})", "(…)") if text.startswith("!") else text
        text = text.replace(child, "…")
    return text

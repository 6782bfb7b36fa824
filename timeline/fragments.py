"""Which nodes of a plan live together: a fragment is what one workflow hosts on one stream.

A signal from workflow to workflow is what everything costs. A `Policy` says where a plan is cut; the rest is
the same whatever it says, and a node that lives alone is a fragment of size one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from timeline.plan import Plan, PlanNode

#: ``operator``: every operator by itself, but for connectives, which live with whoever consumes them;
#: ``node``: every node by itself; ``stream``: the whole plan together.
Policy: TypeAlias = Literal["operator", "node", "stream"]

# Whether a node lives alone with what it is made of, and not with its parents. The result always does.
_APART: dict[Policy, Callable[[PlanNode], bool]] = {
    "operator": lambda node: not node.operator.connective,
    "node": lambda node: True,
    "stream": lambda node: False,
}


@dataclass(frozen=True)
class Fragment:
    """The nodes that live together, by their indices in the plan: inputs come first, the ``root`` last.

    ``slots`` are what others fill, in the order in which a patch names them: a member and which of its
    inputs. Order and slots follow from the root's expression alone, whatever plan it stands in.
    """

    policy: Policy
    root: PlanNode
    members: tuple[PlanNode, ...]
    slots: tuple[tuple[PlanNode, int], ...]

    @property
    def leaves(self) -> list[PlanNode]:
        """The members that read events."""
        return [node for node in self.members if node.leaf is not None]

    @property
    def columns(self) -> frozenset[str]:
        """The event columns that the members read."""
        return frozenset().union(*(node.leaf.columns for node in self.members if node.leaf is not None))

    @cached_property
    def digest(self) -> str:
        """Ten hex digits that stand for the policy and the root's canonical text."""
        if self.policy == "node":
            return self.root.digest
        return hashlib.sha256(f"{self.policy} {self.root.text}".encode()).hexdigest()[:10]

    def slots_of(self, child: PlanNode) -> list[int]:
        """The slots that a node of another fragment fills."""
        return [i for i, (member, index) in enumerate(self.slots) if member.inputs[index] == child.index]


@dataclass(frozen=True, slots=True)
class Wave:
    """What one batch of events costs on a stream: ``signals`` to fragments that read events, signals
    ``between`` fragments, and one question how far the result is. Temporal counts each as an action."""

    workflows: int
    signals: int
    between: int

    @property
    def actions(self) -> int:
        return self.signals + self.between + 1


def wave_of(fragments: Sequence[Fragment]) -> Wave:
    """The cost of a wave through these fragments.

    >>> from timeline.plan import make_plan
    >>> wave = wave_of(fragments_of(make_plan("duration_where(has_existed(a == 1))"), "operator"))
    >>> wave.workflows, wave.signals, wave.between, wave.actions
    (2, 1, 1, 3)
    """
    edges = {(m.inputs[i], f.digest) for f in fragments for m, i in f.slots}
    return Wave(len(fragments), sum(bool(f.leaves) for f in fragments), len(edges))


def fragments_of(plan: Plan, policy: Policy) -> tuple[Fragment, ...]:
    """The fragments of a plan in an order in which children come first; the last one's root is the result.

    A connective that several operators consume is in the fragment of each.

    >>> from timeline.plan import make_plan
    >>> plan = make_plan("duration_where(has_existed(a == 1) && !has_existed(b == 1))")
    >>> [(f.root.operator.name, len(f.members), len(f.slots)) for f in fragments_of(plan, "operator")]
    [('has_existed', 1, 0), ('has_existed', 1, 0), ('duration_where', 3, 2)]
    >>> [len(fragments_of(plan, policy)) for policy in ("node", "stream")]
    [5, 1]
    """
    apart = _APART[policy]
    roots = [node for node in plan.nodes if apart(node) or node is plan.result]
    indices = {node.index for node in roots}
    return tuple(_fragment(plan, policy, root, indices) for root in roots)


def _fragment(plan: Plan, policy: Policy, root: PlanNode, roots: Iterable[int]) -> Fragment:
    members: list[PlanNode] = []
    seen: set[int] = set()
    # Without recursion: inputs before those that they are inputs of, in the order of the expression.
    todo = [(root, False)]
    while todo:
        node, ready = todo.pop()
        if ready:
            members.append(node)
            continue
        if node.index in seen:
            continue
        seen.add(node.index)
        todo.append((node, True))
        inside = [plan.nodes[i] for i in node.inputs if i not in roots]
        todo += [(child, False) for child in reversed(inside)]
    slots = tuple((m, i) for m in members for i, child in enumerate(m.inputs) if child in roots)
    return Fragment(policy, root, tuple(members), slots)

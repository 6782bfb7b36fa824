"""The nodes that one workflow hosts: patches go from one to the next in this process, and out from the root.

Every node keeps a state of its own and computes as it would alone; only the way between them is shorter.
"""

from __future__ import annotations

from collections.abc import Sequence

from timeline.engine.fitting import check_patch
from timeline.engine.node import Node
from timeline.engine.patch import Patch
from timeline.engine.state import NodeState
from timeline.errors import NotFoundError
from timeline.fragments import Fragment
from timeline.limits import Limits
from timeline.plan import Plan, PlanNode
from timeline.tables.events import Events, Position

#: What members had to say in a step, in the order in which it must be told.
Said = list[tuple[PlanNode, Patch]]


class LiveFragment:
    """A fragment at work on one stream."""

    def __init__(self, plan: Plan, fragment: Fragment, limits: Limits) -> None:
        self.fragment = fragment
        self.nodes = {
            planned.index: Node(
                planned.operator,
                [plan.nodes[i].operator.kind for i in planned.inputs],
                limits,
                planned.before_origin,
            )
            for planned in fragment.members
        }
        self._parents = {
            child.index: [
                (self.nodes[parent.index], i)
                for parent in fragment.members
                for i, index in enumerate(parent.inputs)
                if index == child.index
            ]
            for child in fragment.members
        }
        self._at_slot = [(self.nodes[member.index], i) for member, i in fragment.slots]

    @property
    def root(self) -> Node:
        """The node that the fragment is for."""
        return self.nodes[self.fragment.root.index]

    @property
    def states(self) -> list[NodeState]:
        """Those of all members, inputs first."""
        return [self.nodes[member.index].state for member in self.fragment.members]

    @property
    def position(self) -> Position | None:
        """The place in the stream that the root's table stands for."""
        return self.root.state.position

    @property
    def readers(self) -> list[NodeState]:
        """The states of the members that read events, or that of the root if none does."""
        return [self.nodes[leaf.index].state for leaf in self.fragment.leaves or [self.fragment.root]]

    @property
    def reader(self) -> NodeState:
        """That of them which is furthest: it says what was accepted and refused."""
        return max(self.readers, key=lambda state: state.position or ())

    @property
    def fed(self) -> Position | None:
        """The place up to which all of them have had the stream. Members that came from other fragments
        may stand at different ones: each drops what it has had."""
        return min(state.position or () for state in self.readers) or None

    def find(self, digest: str | None) -> Node:
        """The member that a digest stands for; the root without one.

        Raises:
            NotFoundError: the node does not live here.
        """
        if digest is None:
            return self.root
        for member in self.fragment.members:
            if member.digest == digest:
                return self.nodes[member.index]
        raise NotFoundError(f"no node {digest} lives in the fragment of {self.fragment.root.text}")

    # --- steps -----------------------------------------------------------------------------------

    def accept(self, events: Events, last: Position) -> Said:
        """Takes the events up to and including ``last``, and goes on with what follows from them."""
        said: Said = []
        for member in self.fragment.leaves:
            patch = self.nodes[member.index].accept(events, last)
            if patch is not None:
                self._say(member, patch, said)
        return said + self.advance()

    def check(self, slots: Sequence[int], patch: Patch) -> None:
        """Looks whether a patch can be one of another fragment's node that fills these slots.

        Raises:
            LimitError: one before it is missing.
            WireError: it cannot.
        """
        for slot in slots:
            node, index = self._at_slot[slot]
            check_patch(node.state, index, patch)

    def has_begun(self, slot: int) -> bool:
        """Whether something was told for a slot already."""
        node, index = self._at_slot[slot]
        return node.has_begun(index)

    def receive(self, slot: int, patch: Patch) -> bool:
        """Keeps a patch of a node of another fragment; false if it is a repeat."""
        node, index = self._at_slot[slot]
        return node.receive(index, patch)

    def advance(self) -> Said:
        """Has every member go to the furthest position that all that it is made of has reached."""
        said: Said = []
        for member in self.fragment.members:
            if member.leaf is None and (patch := self.nodes[member.index].advance()) is not None:
                self._say(member, patch, said)
        return said

    def release(self, key: str) -> Said:
        """Gives a key that is quarantined here a function again, wherever a member's operator raised.

        Raises:
            NotFoundError: it is not quarantined by an operator of this fragment.
            RetentionError: what is needed for it is no longer there.
        """
        said: Said = []
        held = [m for m in self.fragment.members if self._holds(m, key)]
        if not held:
            raise NotFoundError(f"key {key!r} is not quarantined here")
        for member in held:
            self._say(member, self.nodes[member.index].release(key), said)
        return said + self.advance()

    def _holds(self, member: PlanNode, key: str) -> bool:
        state = self.nodes[member.index].state
        held = [state.quarantined[code] for code in state.codes_of(key) if code in state.quarantined]
        return any(one.own for one in held)

    def _say(self, member: PlanNode, patch: Patch, said: Said) -> None:
        for parent, index in self._parents[member.index]:
            parent.receive(index, patch)
        said.append((member, patch))

    def settle(self, position: Position) -> None:
        """Takes note that refused events up to and including a position are kept elsewhere."""
        for state in self.states:
            if state.leaf is not None:
                state.refused.settle(position)

    # --- sizes -----------------------------------------------------------------------------------

    def size(self) -> int:
        """Rows, keys and values that all members hold, and rows that are pending."""
        pending = (p for state in self.states for edge in state.edges for p in edge.pending)
        return sum(state.size() for state in self.states) + sum(len(p.rows) for p in pending)

"""Fragments joined in this process, whose every word to each other goes over the wire."""

from __future__ import annotations

from typing import Any

from tests.support.streams import json
from timeline.engine.answers import Answers
from timeline.engine.fragment import LiveFragment, Said
from timeline.engine.frozen import Frozen
from timeline.engine.node import Node
from timeline.engine.regrouping import regroup
from timeline.engine.state_wire import from_state, to_state
from timeline.engine.wire import from_patch, to_patch
from timeline.fragments import Fragment, Policy, fragments_of
from timeline.limits import Limits
from timeline.plan import Plan

POLICIES: tuple[Policy, ...] = ("node", "operator", "stream")


class WireGraph:
    """What the workflows of a plan do on one stream, by any policy; fragments may continue as new."""

    def __init__(self, plan: Plan, limits: Limits | None = None, policy: Policy = "node") -> None:
        self.plan = plan
        self.limits = limits or Limits()
        self.shapes = fragments_of(plan, policy)
        self.live = [self._made(shape) for shape in self.shapes]
        self.frozen: dict[int, Frozen] = {}

    def _made(self, shape: Fragment) -> LiveFragment:
        return LiveFragment(self.plan, shape, self.limits)

    @property
    def nodes(self) -> list[Node]:
        """Those of the plan, each in a fragment where it lives."""
        hosts = {m.index: live.nodes[m.index] for live in self.live for m in live.fragment.members}
        return [hosts[planned.index] for planned in self.plan.nodes]

    @property
    def result(self) -> Node:
        return self.live[-1].root

    @property
    def answers(self) -> Answers:
        return Answers(self.result.state)

    def feed(self, events: Any, last: Any) -> dict[int, Any]:
        said: dict[int, Any] = {}
        for live in self.live:
            here = live.accept(events, last) if live.fragment.leaves else live.advance()
            said |= {member.index: patch for member, patch in here}
            self.tell(live, here)
        return said

    def tell(self, live: LiveFragment, said: Said) -> None:
        for member, patch in said:
            if member is live.fragment.root:
                self.deliver(member.index, patch)

    def deliver(self, child: int, patch: Any) -> None:
        """Brings a patch of a fragment's root to those that are made of it."""
        patch = from_patch(json(to_patch(patch)))
        for live in self.live:
            for slot in live.fragment.slots_of(self.plan.nodes[child]):
                live.receive(slot, patch)

    def moved(self, policy: Policy, plan: Plan | None = None) -> WireGraph:
        """Another graph by another policy, with the states of this one's nodes; of a part of the plan."""
        other = WireGraph(plan or self.plan, self.limits, policy)
        carried = [(live.fragment, to_state(live.states)) for live in self.live]
        for live, state in zip(other.live, regroup(carried, other.shapes), strict=True):
            from_state(state, live.states)
        return other

    def continue_as_new(self, limits: Limits, freeze_at: int | None = None) -> None:
        """All go on from what they carry: whole, or in pieces of about ``freeze_at`` bytes."""
        self.limits = limits
        for i, old in enumerate(self.live):
            self.live[i] = live = self._made(old.fragment)
            if freeze_at is None:
                from_state(to_state(old.states), live.states)
                self.frozen.pop(i, None)
                continue
            frozen = self.frozen.get(i) or Frozen(old.states)
            frozen.freeze_at = freeze_at
            active = frozen.carry()
            self.frozen[i] = Frozen(live.states)
            self.frozen[i].load(active, [(piece.name, piece.data) for piece in frozen.pieces])
            assert to_state(live.states) == to_state(old.states)

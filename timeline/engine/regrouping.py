"""States of nodes put together anew, when other nodes are to live together.

What a node knows does not depend on who lives with it: so what the fragments of one policy know, as soon as
nothing is on its way between them, is what those of another need.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from timeline.engine.state_wire import join, members
from timeline.errors import TimelineError
from timeline.fragments import Fragment
from timeline.plan import PlanNode
from timeline.tables.wire import Wire


class UnevenError(TimelineError):
    """A node that lives in several fragments is not the same in all: it may be a moment later."""


def regroup(old: Iterable[tuple[Fragment, bytes]], new: Iterable[Fragment]) -> list[bytes]:
    """The states of new fragments, from those that the old ones carry.

    Raises:
        UnevenError: a node that lives in several of the old ones is not the same in all.
    """
    found: dict[str, tuple[PlanNode, list[Wire]]] = {}
    for fragment, blob in old:
        for node, wire in zip(fragment.members, members(blob), strict=True):
            found.setdefault(node.digest, (node, []))[1].append(wire)
    nodes = {digest: _one_of(node, copies) for digest, (node, copies) in found.items()}
    rest: Wire = {"inbox": [], "newcomers": [], "full": None}
    return [join([nodes[member.digest] for member in fragment.members], **rest) for fragment in new]


def _one_of(node: PlanNode, copies: Sequence[Wire]) -> Wire:
    """The copy of a node that knows most of its keys from their origins on."""
    if len(copies) == 1:
        return copies[0]
    for what in (_places, _held):
        said = [what(copy) for copy in copies]
        if any(one != said[0] for one in said):
            differ = " and ".join(sorted(set(said)))
            raise UnevenError(
                f"{node.text} lives in {len(copies)} workflows, which do not say the same of it: {differ}; "
                "try again after `timeline pause` of all of these timelines, and `timeline release` of what "
                "is quarantined, or change them one at a time"
            )
    best = min(copies, key=lambda copy: len(copy.get("begun", [])))
    # Parents of the other copies have heard the names and values in another order.
    return {**best, "sent_names": 0, "sent_values": 1}


def _places(wire: Wire) -> str:
    return f"position {wire['position']}"


def _held(wire: Wire) -> str:
    names = sorted(wire["names"][held["code"]] for held in wire["quarantined"])
    return f"{len(names)} quarantined keys {names}"[:200]

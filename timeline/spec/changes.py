"""What becomes of a timeline's nodes when its spec changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from timeline.spec.spec import Spec

#: What a spec says of nodes is compared by the nodes themselves.
_OF_NODES = {"name", "expression", "outputs"}


@dataclass(frozen=True, slots=True)
class Change:
    """Of a changed spec: the nodes (by expression text) that stay, are new and go, in the plans' order.

    ``settings`` are all other differences: place, before, after. ``moves``: of the nodes only who lives
    with whom is another, so that new workflows get the states of the old ones. ``anew``: more than that,
    or the source or the limits are others, so that no node stays, although texts may be the same.
    """

    name: str
    stays: tuple[str, ...]
    new: tuple[str, ...]
    goes: tuple[str, ...]
    settings: tuple[tuple[str, Any, Any], ...]
    anew: bool
    moves: bool = False


def is_move(before: Spec, after: Spec) -> bool:
    """Whether all nodes are the same, and only live together in another way.

    >>> spec = Spec(name="plays", expression='!has_existed(state == "play")')
    >>> is_move(spec, spec.by_policy("stream")), is_move(spec, spec)
    (True, False)
    """
    same = before.source_id == after.source_id and before.plan.result.text == after.plan.result.text
    return same and before.run.fragments != after.run.fragments


def changes(before: Spec, after: Spec) -> Change:
    """What becomes of a timeline's nodes when its spec is replaced.

    >>> before = Spec(name="plays", expression='!has_existed(state == "play")')
    >>> after = Spec(name="plays", expression='duration_where(has_existed(state == "play"))')
    >>> change = changes(before, after)
    >>> change.stays, change.new, change.goes  # doctest: +NORMALIZE_WHITESPACE
    (('has_existed(state == "play")',), ('duration_where(has_existed(state == "play"))',),
     ('!has_existed(state == "play")',))
    """
    old = [node.text for node in before.plan.nodes]
    new = [node.text for node in after.plan.nodes]
    moves = is_move(before, after)
    other_policy = before.run.fragments != after.run.fragments and not moves
    anew = before.source_id != after.source_id or other_policy
    stays = () if anew else tuple(text for text in new if text in old)
    had, has = dict(_settings(before.to_wire())), dict(_settings(after.to_wire()))
    places = [place for place in {**had, **has} if had.get(place) != has.get(place)]
    return Change(
        after.name,
        stays,
        tuple(text for text in new if text not in stays),
        tuple(text for text in old if text not in stays),
        tuple((place, had.get(place), has.get(place)) for place in places),
        anew,
        moves,
    )


def _settings(wire: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in wire.items():
        if isinstance(value, Mapping) and name not in _OF_NODES:
            yield from _settings(value, f"{name}.")
        elif above or name not in _OF_NODES:
            yield above + name, value

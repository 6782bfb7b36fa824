"""Timelines of workflows beside those of local evaluation, key by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from timeline.local.evaluate import Evaluation
from timeline.plan import PlanNode
from timeline.reading import Rejected
from timeline.tables.splicing import cut
from timeline.tables.table import Window
from workflows.client import KeyTimeline

#: Keys compared at a time.
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A key of a node whose timeline in the workflows is not the locally evaluated one."""

    key: str
    node: PlanNode
    workflows: list[list[Any]] | None
    local: list[list[Any]] | None


@dataclass(slots=True)
class Comparison:
    """What a dry run found: ``timelines`` were compared, one a key and node."""

    evaluation: Evaluation
    timelines: int = 0
    #: Of those so many count from later than the key's origin, so that they may differ.
    counted: int = 0
    differences: list[Difference] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def compare_keys(
    comparison: Comparison, node: PlanNode, names: Sequence[str], found: dict[str, KeyTimeline]
) -> None:
    """Adds to a comparison what differs of some keys of a node."""
    evaluation = comparison.evaluation
    codes = {evaluation.keys.names[code]: int(code) for code in evaluation.codes}
    table = evaluation.tables[node.index]
    for name in names:
        comparison.timelines += 1
        theirs = found.get(name)
        if theirs is None or name not in codes:
            mine = evaluation.timeline(name, node).json_rows() if name in codes else None
            rows = None if theirs is None else theirs.rows
            comparison.differences.append(Difference(name, node, rows, mine))
            continue
        origin, newest = evaluation.span(name)
        if theirs.counted_from is not None and (theirs.origin, theirs.newest) == (origin, newest):
            comparison.counted += 1
            continue
        begin = theirs.rows[0][0] if theirs.rows else origin
        window = Window.of_key(codes[name], begin)
        local = cut(table, window).json_rows()
        same_span = (theirs.origin, theirs.newest) == (origin, newest)
        if local != theirs.rows or not same_span:
            comparison.differences.append(Difference(name, node, theirs.rows, local))

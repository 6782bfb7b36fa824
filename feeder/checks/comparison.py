"""Timelines of workflows beside those of local evaluation, key by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from timeline.local.evaluation import Evaluation
from timeline.plan import PlanNode
from timeline.reading import Rejected
from timeline.tables.packing import pack
from timeline.tables.splicing import cut
from timeline.tables.table import Window
from workflows.client import Life

#: Keys compared at a time.
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A key of a node (or a life of it) whose timeline in the workflows is not the locally evaluated one."""

    key: str
    node: PlanNode
    workflows: list[list[Any]] | None
    local: list[list[Any]] | None


@dataclass(slots=True)
class Comparison:
    """What a dry run found: ``timelines`` were compared, one a life of a key and node."""

    evaluation: Evaluation
    timelines: int = 0
    #: Of those so many count from later than the key's origin, so that they may differ.
    counted: int = 0
    differences: list[Difference] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def compare_keys(
    comparison: Comparison,
    evaluation: Evaluation,
    node: PlanNode,
    names: Sequence[str],
    found: dict[str, list[Life]],
) -> None:
    """Adds to a comparison what differs of some keys of a node, of one stream."""
    known = set(evaluation.names())
    for name in names:
        theirs = found.get(name, [])
        mine = evaluation.lives(name) if name in known else []
        comparison.timelines += max(len(theirs), len(mine))
        for number in range(max(len(theirs), len(mine))):
            life = theirs[number] if number < len(theirs) else None
            local = evaluation.timeline(name, node, number) if number < len(mine) else None
            if life is None or local is None:
                rows = None if life is None else life.rows
                local_rows = None if local is None else local.json_rows()
                comparison.differences.append(Difference(name, node, rows, local_rows))
                continue
            same_span = (life.origin, life.newest) == mine[number]
            if life.counted_from is not None and same_span:
                comparison.counted += 1
                continue
            begin = life.rows[0][0] if life.rows else mine[number][0]
            rows = cut(local, Window(pack(local.key[:1], np.array([begin])))).json_rows()
            if rows != life.rows or not same_span:
                comparison.differences.append(Difference(name, node, life.rows, rows))

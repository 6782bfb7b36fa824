"""``a && b``: true where all are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timeline.language.signatures import MATCH, Signature
from timeline.operators.logic import Together
from timeline.tables.packing import Bools, all_of


@dataclass(frozen=True)
class And(Together):
    """At t: whether every operand is true at t.

    >>> from timeline.local.example import run
    >>> run('has_existed(state == "play") && has_existed_within(state == "seek", 2s)',
    ...     {1: "play", 3: "seek"})
    1 s False
    3 s True
    5 s False
    """

    signature = Signature("and", (MATCH,), None, symbol="&&", rank=14)

    def combine(self, values: Sequence[Bools]) -> Bools:
        return all_of(values)

"""``a || b``: true where any is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timeline.language.signatures import MATCH, Signature
from timeline.operators.logic import Together
from timeline.tables.packing import Bools, any_of


@dataclass(frozen=True)
class Or(Together):
    """At t: whether at least one operand is true at t.

    >>> from timeline.local.example import run
    >>> run('has_existed(state == "stop") || has_existed_within(state == "seek", 2s)',
    ...     {1: "play", 3: "seek", 9: "stop"})
    1 s False
    3 s True
    5 s False
    9 s True
    """

    signature = Signature("or", (MATCH,), None, symbol="||", rank=15)

    def combine(self, values: Sequence[Bools]) -> Bools:
        return any_of(values)

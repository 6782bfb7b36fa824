"""``!b``: true where b is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timeline.language.signatures import MATCH, Signature
from timeline.operators.base import Operator
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind


@dataclass(frozen=True)
class Not(Operator):
    """At t from the origin on: whether the operand is false at t.

    >>> from timeline.local.example import run
    >>> run('!has_existed(state == "play")', {1: "seek", 2: "play"})
    1 s True
    2 s False
    """

    signature = Signature("not", (MATCH,), None, symbol="!", rank=13)
    kind = Kind.BOOL
    pointwise = True
    connective = True

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table = coalesce(cut(inputs[0], window))
        return Table(Kind.BOOL, table.at, ~table.value)

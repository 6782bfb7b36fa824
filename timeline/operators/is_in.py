"""``x in ("a", "b")``: whether it is one of some values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timeline.language import expression as ex
from timeline.language.expression import Constant, Expression
from timeline.operators.base import Lowered, Operator
from timeline.operators.compare import Compare
from timeline.operators.pairs import is_one_of, of_codes
from timeline.tables.packing import any_of
from timeline.tables.splicing import align, coalesce, cut
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind


@dataclass(frozen=True)
class In(Operator):
    """At t: whether x equals one of the values at t, as ``==`` says it of each.

    >>> from timeline.local.example import run
    >>> run('latest_event_to_state(state) in ("buffer", "stall", 7)', {1: "play", 2: "stall", 4: "x", 5: 7})
    1 s False
    2 s True
    4 s False
    5 s True
    >>> run('duration_in_cur_state(latest_event_to_state(state)) in (1, 2.5)', {1: "play", 3: "seek"})
    1 s False
    2 s True
    2.001 s False
    4 s True
    4.001 s False
    5.5 s True
    5.501 s False
    """

    name = "in"
    kind = Kind.BOOL
    pointwise = True

    values: tuple[Constant, ...]

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        assert isinstance(part, ex.In)
        return cls(tuple(Constant(value.value) for value in part.values)), (part.of,)

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        if inputs[0].kind is Kind.STATE:
            table = cut(inputs[0], window)
            assert table.vocabulary is not None
            holds = of_codes(table.value, table.vocabulary.values, is_one_of(self.values))
            return coalesce(Table(Kind.BOOL, table.at, holds))
        each = [Compare("==", constant).compute(inputs, window, own) for constant in self.values]
        at, rows = align(each)
        holds = any_of([table.value[row] for table, row in zip(each, rows, strict=True)])
        return coalesce(Table(Kind.BOOL, at, holds))

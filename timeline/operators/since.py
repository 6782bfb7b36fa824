"""``since(p, x)``: x counted anew from the last time that p happened.

>>> from timeline.language.builder import col
>>> from timeline.language.calls import duration_where, latest_event_to_state, since
>>> print(since(col("state") == "seek", duration_where(latest_event_to_state("state") == "buffer")))
since(state == "seek", duration_where(latest_event_to_state(state) == "buffer"))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.errors import KindError
from timeline.language import expression as ex
from timeline.language.advice import quote
from timeline.language.checking import kind_of
from timeline.language.expression import Call, Constant, Expression
from timeline.language.signatures import MATCH, Parameter, Signature
from timeline.operators.arithmetic import Arithmetic
from timeline.operators.base import Lowered, Operator, before, just_before
from timeline.operators.lines import as_numbers, least_so_far
from timeline.operators.time_weighted_avg import quotient
from timeline.tables.splicing import align, coalesce, cut
from timeline.tables.table import Table, Window, in_one_unit, values_at
from timeline.values.exact import NULL, ROOM, fitted
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar

#: What grows from 0 on: what of it is since some time is what it has grown from there.
GROWING = ("duration_where", "count", "sum", "count_rises", "gaps", "integral")
#: What is the best of some time, by what turns the least into it.
BEST = {"min_so_far": 1, "max_so_far": -1}
_EXPECTED = (*GROWING, *BEST, "time_weighted_avg", "arithmetic of them")


def _check(call: Call) -> None:
    todo = [call.parts[1]]
    while todo:
        x = todo.pop()
        if isinstance(x, ex.Arithmetic):
            todo += [side for side in x.parts if not isinstance(side, Constant)]
        elif x.name not in (*GROWING, *BEST, "time_weighted_avg"):
            raise KindError(
                f"since(p, x) counts x anew, and {quote(x)} counts nothing",
                span=x.span,
                expected=_EXPECTED,
                suggestion=_advice(x),
            )


def _advice(x: Expression) -> str | None:
    if x.name == "since":
        return f"since(..., {quote(x.parts[1])})"
    return f"max_so_far({quote(x)})" if kind_of(x) is Kind.NUMERIC and not isinstance(x, ex.Given) else None


@dataclass(frozen=True)
class Since(Operator):
    """At t: x as if it had begun to count when p last happened, at s; null before p ever has.

    What is at s counts: of ``count``, ``sum`` and ``count_rises`` that from s on up to t, of
    ``duration_where`` and ``integral`` the time from s on up to (and without) t. What x is made of does not
    begin anew: a State is what it is. Arithmetic is of what both sides are since then. p, as a Bool timeline,
    happens when it turns true.

    >>> from timeline.local.example import run
    >>> run('since(state == "seek", duration_where(latest_event_to_state(state) == "buffer"))',
    ...     {1: "buffer", 3: "seek", 5: "buffer", 8: "seek", 9: "play"})
    1 s None
    3 s 0
    5 s 0 + 1/s
    8 s 0
    """

    signature = Signature(
        "since",
        (MATCH, Parameter("x", (Kind.NUMERIC, Kind.RATIO))),
        lambda call: kind_of(call.parts[1]),
        rank=14,
        check=_check,
    )

    remembers = True
    reach = 1  # how much x was before what is at a window's start
    begins_after = 1

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        p, x = part.parts
        if x.name == "time_weighted_avg":
            x = quotient(x)
        if isinstance(x, ex.Arithmetic):
            sides = (s if isinstance(s, Constant) else Call("since", (p, s)) for s in x.parts)
            return Arithmetic.lower(ex.Arithmetic(x.op, *sides))
        clock = Call("time_since", (p,))
        return (SinceBest(BEST[x.name]), (clock, x.parts[0])) if x.name in BEST else (cls(), (clock, x))

    @property
    def kind(self) -> Kind:
        return Kind.NUMERIC

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        return None

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        clock = cut(inputs[0], window)
        whole, own = in_one_unit((inputs[1], own))
        x = cut(whole, window)
        # What x had come to just before it begins to count; at its origin it had nothing to count.
        before_row, known = just_before(whole, clock.at)
        began = np.zeros(len(clock), np.result_type(whole.value, own.value))
        began[known] = values_at(whole, before_row[known], clock.at[known])
        heads = clock.first_rows()
        before_row, held = before(own, window)
        counted = values_at(own, before_row, window.at) if len(own) else clock.at[heads]
        held &= (clock.value[heads] != 0) & (counted != NULL)
        began[heads[held]] -= counted[held]
        at, (row, row_x) = align((clock, x))
        assert x.slope is not None
        null = clock.value[row] == NULL
        value = np.where(null, NULL, values_at(x, row_x, at) - began[row])
        slope = np.where(null, 0, x.slope[row_x])
        return coalesce(Table(Kind.NUMERIC, at, *fitted(value, slope), None, x.unit))


@dataclass(frozen=True)
class SinceBest(Since):
    """Of ``min_so_far`` and ``max_so_far``: the least, or greatest, that x was from s up to t.

    >>> from timeline.local.example import run
    >>> run('since(state == 9, max_so_far(latest_event_to_state(state)))', {1: 12, 2: 9, 4: 10, 5: 1, 6: 9})
    1 s None
    2 s 9
    4 s 10
    6 s 9
    """

    sign: int = 1

    begins_after = 0

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        clock = cut(inputs[0], window)
        x, own = in_one_unit((as_numbers(cut(inputs[1], window)), own))
        assert x.slope is not None
        at, (row, row_x) = align((clock, x))
        null = clock.value[row] == NULL
        value = np.where(null, NULL, values_at(x, row_x, at))
        table = Table(Kind.NUMERIC, at, value, np.where(null, 0, x.slope[row_x]), None, x.unit)
        # Where p happens, and where a window begins.
        anew = (clock.value[row] == 0) & np.isin(at, clock.at, assume_unique=True)
        heads = table.first_rows()
        said = np.full(len(at), ROOM, np.result_type(own.value, np.int64))
        before_row, held = before(own, window)
        held &= ~anew[heads]
        best = values_at(own, before_row[held], window.at[held] - 1)
        said[heads[held]] = np.where(best == NULL, ROOM, best * self.sign)
        anew[heads] = True
        return least_so_far(table, self.sign, np.flatnonzero(anew), said[anew])

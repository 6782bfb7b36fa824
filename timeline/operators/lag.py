"""``lag(x, d)``: what it was a while ago.

>>> from timeline.language.builder import col
>>> from timeline.language.calls import count, lag
>>> stalls = count(col("state") == "buffer")
>>> print(stalls - lag(stalls, "10m"))
count(state == "buffer") - lag(count(state == "buffer"), 10m)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from timeline.language.checking import kind_of
from timeline.language.expression import Expression
from timeline.language.signatures import DURATION, Parameter, Signature, arguments_of
from timeline.operators.base import Lowered, Operator, recoded
from timeline.operators.lines import constant_like
from timeline.tables.splicing import coalesce, cut, merge
from timeline.tables.table import Table, Window, lookup
from timeline.values.exact import exact_scalar
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.ticks import MAX_TICK


@dataclass(frozen=True)
class Lag(Operator):
    """At t: the value at ``t - duration`` (ms); before the origin that is ``initial``.

    >>> from timeline.local.example import run
    >>> run('lag(latest_event_to_state(state), 5s)', {1: "play", 3: "seek"})
    1 s None
    6 s 'play'
    8 s 'seek'
    >>> run('count(state == "seek") - lag(count(state == "seek"), 5s)', {1: "play", 3: "seek"})
    1 s 0
    3 s 1
    8 s 0
    """

    signature = Signature(
        "lag", (Parameter("x", (Kind.STATE, Kind.BOOL, Kind.NUMERIC)), DURATION), None, rank=12
    )

    duration: int
    lagged: Kind
    initial: Scalar = None

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        of, duration = arguments_of(part)
        assert isinstance(of, Expression)
        assert isinstance(duration, int)
        return cls(duration, kind_of(of)), (of,)

    def over(self, initials: Sequence[Scalar]) -> Operator:
        return replace(self, initial=initials[0])

    @property
    def kind(self) -> Kind:
        return self.lagged

    @property
    def reach(self) -> int:
        return self.duration

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        return self.initial

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table = cut(inputs[0], window.back(self.duration))
        table = table.take(table.tick <= MAX_TICK - self.duration)
        value = table.value
        if self.kind is Kind.STATE:
            assert own.vocabulary is not None
            value = recoded(own.vocabulary, table)
        at = table.at + self.duration
        shifted = Table(self.kind, at, value, table.slope, own.vocabulary, table.unit)
        _, held = lookup(shifted, window.at)
        starts = window.at[~held]
        if self.kind is Kind.NUMERIC:
            like = Table(Kind.BOOL, starts, np.zeros(len(starts), bool))
            first = constant_like(like, exact_scalar(self.initial))
        else:
            # Every Bool is false before its origin.
            code = 0 if own.vocabulary is None else int(own.vocabulary.encode([self.initial])[0])
            first = Table(self.kind, starts, np.full(len(starts), code, value.dtype), None, own.vocabulary)
        return coalesce(merge(shifted, first))

"""``time_since(p)``: how long ago it last happened.

>>> from timeline.language.builder import col
>>> from timeline.language.calls import time_since
>>> print(time_since(col("state") == "seek") < 5)
time_since(state == "seek") < 5
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.checking import kind_of
from timeline.language.expression import Expression
from timeline.language.signatures import MATCH, Signature
from timeline.operators.base import Lowered, Operator, before, just_before
from timeline.operators.matching import Matching
from timeline.tables.packing import tick_of
from timeline.tables.splicing import coalesce, cut, merge, rows_in
from timeline.tables.table import Table, Window, lookup, values_at
from timeline.values.exact import NULL
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import I64


def counting_from(at: I64, value: I64) -> Table:
    """The seconds that grow from ``value`` (ms, or null) on at each place."""
    return Table(Kind.NUMERIC, at, value, np.where(value == NULL, 0, 1))


@dataclass(frozen=True)
class TimeSince(Operator):
    """Over a Bool timeline: at t the seconds since it last turned true; null before it ever was.

    True at the origin counts as turning true there.

    >>> from timeline.local.example import run
    >>> run('time_since(latest_event_to_state(state) == "seek")', {1: "play", 2: "seek", 4: "seek"})
    1 s None
    2 s 0 + 1/s
    """

    signature = Signature("time_since", (MATCH,), Kind.NUMERIC, rank=13)

    remembers = True
    reach = 1  # whether a window begins with a rise

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        (of,) = part.parts
        return (TimeSinceEvent(predicate=of), ()) if kind_of(of) is Kind.PREDICATE else (cls(), (of,))

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        return None

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table = coalesce(cut(inputs[0], window))
        heads = table.first_rows()
        # Rows alternate, so every true row but a window's first is a rise.
        rises = table.value.copy()
        row, known = just_before(inputs[0], window.at)
        rises[heads[known]] &= ~inputs[0].value[row[known]]
        value = np.where(rises, 0, NULL)
        row, held = before(own, window)
        held &= ~rises[heads]
        value[heads[held]] = values_at(own, row[held], window.at[held])
        rises[heads] = True
        return counting_from(table.at[rises], value[rises])


@dataclass(frozen=True)
class TimeSinceEvent(TimeSince, Matching):
    """Over a predicate: at t the seconds since the latest matching event; null before the first.

    >>> from timeline.local.example import run
    >>> run('time_since(state == "seek")', {1: "play", 2: "seek", 5: "seek"}, late={3: "seek"})
    1 s None
    2 s 0 + 1/s
    3 s 0 + 1/s
    5 s 0 + 1/s
    """

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        (raw,) = inputs
        happened = raw.at[rows_in(raw, window)]
        row, held = lookup(raw, window.at)
        at = raw.at[row] if len(raw) else window.at
        first = ~held | (at < window.at)
        ago = np.where(held, tick_of(window.at) - tick_of(at), NULL)
        return merge(
            counting_from(window.at[first], ago[first]),
            counting_from(happened, np.zeros(len(happened), np.int64)),
        )

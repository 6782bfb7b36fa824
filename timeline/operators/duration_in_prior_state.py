"""``duration_in_prior_state(s)``: how long it was what it was before.

>>> from timeline.language.calls import duration_in_prior_state, latest_event_to_state
>>> print(duration_in_prior_state(latest_event_to_state("place")) < 10)
duration_in_prior_state(latest_event_to_state(place)) < 10
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.expression import Call, Expression
from timeline.language.signatures import STATE, Signature
from timeline.operators.base import Lowered, Operator, before, just_before
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Table, Window, values_at
from timeline.values.exact import NULL
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar


@dataclass(frozen=True)
class DurationInPriorState(Operator):
    """At t: the seconds that the value before the current one lasted; null if there was none or it was
    null.

    Its inputs are s and ``duration_in_cur_state(s)``, which knows how long a value lasted when it ends.

    >>> from timeline.local.example import run
    >>> run('duration_in_prior_state(latest_event_to_state(state))', {1: "play", 3: "play", 6: "seek"})
    1 s None
    6 s 5
    """

    signature = Signature("duration_in_prior_state", (STATE,), Kind.NUMERIC, rank=6)

    remembers = True

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        (of,) = part.parts
        return cls(), (of, Call("duration_in_cur_state", (of,)))

    reach = 1  # how long the value had lasted that a window's start ends

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        return None

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        source, lasted = inputs
        table = coalesce(cut(source, window))
        heads = table.first_rows()
        row, held = just_before(lasted, table.at)
        value = np.full(len(table), NULL)
        spent = values_at(lasted, row[held], table.at[held] - 1)
        # It counts from 0, so that a tick more has passed when the next value begins.
        value[held] = np.where(spent == NULL, NULL, spent + 1)
        own_row, known = before(own, window)
        source_row, _ = just_before(source, window.at)
        known[known] = source.value[source_row[known]] == table.value[heads[known]]
        value[heads[known]] = own.value[own_row[known]]
        return coalesce(Table(Kind.NUMERIC, table.at, value, np.zeros(len(table), np.int64)))

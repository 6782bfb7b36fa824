"""``duration_in_cur_state(s)``: how long it has been what it is.

>>> from timeline.language.calls import duration_in_cur_state, latest_event_to_state
>>> print(duration_in_cur_state(latest_event_to_state("state")))
duration_in_cur_state(latest_event_to_state(state))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.signatures import STATE, Signature
from timeline.operators.base import Operator, before
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Table, Window, lookup, values_at
from timeline.values.exact import NULL
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import NULL_CODE


@dataclass(frozen=True)
class DurationInCurState(Operator):
    """At t: the seconds since the State or Bool last changed value; null while it is null.

    A repeated equal value is not a change. A Bool's first value begins at the origin.

    >>> from timeline.local.example import run
    >>> run('duration_in_cur_state(latest_event_to_state(state))', {1: "play", 2: "play", 4: "seek"})
    1 s 0 + 1/s
    4 s 0 + 1/s
    """

    signature = Signature("duration_in_cur_state", (STATE,), Kind.NUMERIC, rank=5)

    remembers = True
    reach = 1  # whether the first value of a window is a change

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        return None

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        source = inputs[0]
        table = coalesce(cut(source, window))
        null = table.value == NULL_CODE if source.kind is Kind.STATE else np.zeros(len(table), bool)
        value = np.where(null, NULL, 0)
        heads = table.first_rows()
        row, known = before(own, window)
        source_row, held = lookup(source, window.at - 1)
        held &= known
        held[held] = source.value[source_row[held]] == table.value[heads[held]]
        held &= ~null[heads]
        value[heads[held]] = values_at(own, row[held], window.at[held])
        return Table(Kind.NUMERIC, table.at, value, np.where(null, 0, 1))

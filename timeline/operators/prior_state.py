"""``prior_state(s)``: what it was before it became what it is.

>>> from timeline.language.calls import latest_event_to_state, prior_state
>>> print(prior_state(latest_event_to_state("place")))
prior_state(latest_event_to_state(place))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.signatures import STATE, Signature
from timeline.operators.base import Operator, before, just_before, recoded
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind
from timeline.values.vocabulary import NULL_CODE


@dataclass(frozen=True)
class PriorState(Operator):
    """At t: the value that the State or Bool had before the current one; null if there was none.

    A repeated equal value is not a change.

    >>> from timeline.local.example import run
    >>> run('prior_state(latest_event_to_state(state))', {1: "play", 2: "play", 4: "seek", 6: "play"})
    1 s None
    4 s 'play'
    6 s 'seek'
    """

    signature = Signature("prior_state", (STATE,), Kind.STATE, rank=7)

    remembers = True
    reach = 1  # whether the first value of a window is a change

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        assert own.vocabulary is not None
        source = inputs[0]
        table = coalesce(cut(source, window))
        codes = recoded(own.vocabulary, table)
        value = np.empty(len(table), np.int64)
        value[1:] = codes[:-1]
        heads = table.first_rows()
        value[heads] = NULL_CODE
        row, held = just_before(source, window.at)
        changed = held.copy()
        changed[held] = source.value[row[held]] != table.value[heads[held]]
        value[heads[changed]] = recoded(own.vocabulary, source.take(row[changed]))
        own_row, known = before(own, window)
        known &= ~changed
        value[heads[known]] = own.value[own_row[known]]
        return coalesce(Table(Kind.STATE, table.at, value, None, own.vocabulary))

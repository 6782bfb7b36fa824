"""``min_so_far(x)``: the least that it has been.

>>> from timeline.language.calls import latest_event_to_state, min_so_far
>>> print(min_so_far(latest_event_to_state("bitrate")))
min_so_far(latest_event_to_state(bitrate))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timeline.language.signatures import NUMBER, Signature
from timeline.operators.base import Operator, before
from timeline.operators.lines import as_numbers, running_least
from timeline.tables.packing import end_of, follows_in_key
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Table, Window, in_one_unit, values_at
from timeline.values.exact import NULL, ROOM, fitted
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar


@dataclass(frozen=True)
class MinSoFar(Operator):
    """At t: the least number that the operand was from the origin up to t; null while it was none.

    >>> from timeline.local.example import run
    >>> run('min_so_far(latest_event_to_state(state))', {1: 800, 2: "x", 3: 300, 5: 600}, late={4: 200})
    1 s 800
    3 s 300
    4 s 200
    """

    signature = Signature("min_so_far", (NUMBER,), Kind.NUMERIC)
    remembers = True
    #: -1 turns everything round, which makes it the greatest.
    sign: ClassVar[int] = 1

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        return None

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table, own = in_one_unit((coalesce(as_numbers(cut(inputs[0], window))), own))
        assert table.slope is not None
        at, heads = table.at, table.first_rows()
        null = table.value == NULL
        value, slope = np.where(null, ROOM, table.value * self.sign), table.slope * self.sign
        last = np.append(~follows_in_key(at), True)[: len(at)]
        room = np.where(last, end_of(at), np.append(at[1:], 0)) - at
        # The least of a piece is at its first or at its last tick.
        least = np.where(last, value, np.minimum(value, value + slope * (room - 1)))
        known = np.append(ROOM, least)[: len(at)].astype(value.dtype)
        row, held = before(own, window)
        said = values_at(own, row[held], window.at[held] - 1)
        known[heads] = ROOM
        known[heads[held]] = np.where(said == NULL, ROOM, said * self.sign)
        known = running_least(known, heads)
        # A piece that falls takes over at the first tick at which it is below what was known.
        falls, below = slope < 0, value <= known
        wait = np.where(falls & ~below, -((known - value) // np.where(falls, -slope, 1)), 0)
        later = np.flatnonzero(falls & ~below & (wait < room))
        order = np.argsort(np.concatenate((at, (at + wait)[later])), kind="stable")
        values = np.concatenate((np.where(below, value, known), (value + slope * wait)[later]))[order]
        slopes = np.concatenate((np.where(falls & below, slope, 0), slope[later]))[order]
        places = np.concatenate((at, (at + wait)[later]))[order].astype(np.int64)
        values = np.where(values == ROOM, NULL, values * self.sign)
        return coalesce(Table(Kind.NUMERIC, places, *fitted(values, slopes * self.sign), None, table.unit))

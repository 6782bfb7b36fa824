"""``integral(s)``: the sum of a number over time.

>>> from timeline.language.calls import integral, latest_event_to_state
>>> print(integral(latest_event_to_state("kbps")) / 8)
integral(latest_event_to_state(kbps)) / 8
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.signatures import Parameter, Signature
from timeline.operators.base import Operator, before
from timeline.operators.lines import as_numbers
from timeline.tables.packing import follows_in_key
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Table, Window, in_one_unit, values_at
from timeline.values.exact import NULL, fitted
from timeline.values.kinds import Kind


@dataclass(frozen=True)
class Integral(Operator):
    """At t: the State's number times the seconds that it was that, from the origin up to (and without) t.

    Where it is no number it adds nothing. 3 for two seconds and then 5 for one is 11.

    >>> from timeline.local.example import run
    >>> run('integral(latest_event_to_state(state))', {1: 3, 3: 5, 4: "x", 6: 0.5})
    1 s 0 + 3/s
    3 s 6 + 5/s
    4 s 11
    6 s 11 + 0.5/s
    """

    signature = Signature("integral", (Parameter("s", (Kind.STATE,)),), Kind.NUMERIC, rank=16)

    remembers = True

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table = as_numbers(coalesce(cut(inputs[0], window)))
        at, heads = table.at, table.first_rows()
        slope, unit = np.where(table.value == NULL, 0, table.value), table.unit
        # A number a second is a thousandth of it a ms: of whole numbers the unit can stay what it is.
        if bool(np.all(slope % 1000 == 0)):
            slope = slope // 1000
        else:
            unit = unit / 1000
        lasted = np.zeros(len(at), np.int64)
        lasted[:-1] = np.where(follows_in_key(at), at[1:] - at[:-1], 0)
        if float(np.abs(lasted * slope.astype(np.float64)).sum()) >= 2.0**61:
            slope = slope.astype(object)
        added = np.zeros(len(at), slope.dtype)
        np.cumsum((lasted * slope)[:-1], out=added[1:])
        made, own = in_one_unit((Table(Kind.NUMERIC, at, *fitted(added, slope), None, unit), own))
        assert made.slope is not None
        row, held = before(own, window)
        base = np.zeros(len(window), np.result_type(own.value, made.value))
        base[held] = values_at(own, row[held], window.at[held])
        base -= made.value[heads]
        value = made.value + np.repeat(base, np.diff(np.append(heads, len(at))))
        return coalesce(Table(Kind.NUMERIC, at, *fitted(value, made.slope), None, made.unit))

"""How much a number changes from moment to moment: along its lines, and in the jumps between them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timeline.aggregate.numbers import Numbers
from timeline.operators.lines import as_numbers
from timeline.tables.columns import Columns
from timeline.tables.packing import Bools, follows_in_key
from timeline.tables.table import Rows, Table, in_unit, values_at
from timeline.values.exact import NULL, common_unit, exact_scalar
from timeline.values.vocabulary import I64

_ROOM = 1 << 61


@dataclass(frozen=True, slots=True)
class Steps:
    """A number's lines, and by how much it ``jumps`` where each begins: from what it had come to before that,
    over any time in which it was none. ``unknown``: what it was before is forgotten."""

    lines: Table
    jumps: NDArray[Any]
    unknown: Bools

    def changes(self, row: Rows, begins: Bools, ticks: I64) -> Numbers:
        """The change in stretches of ``ticks`` (ms) of rows, of which some begin where the row does."""
        assert self.lines.slope is not None
        slope = self.lines.slope[row]
        if len(ticks) and max(abs(int(slope.max())), abs(int(slope.min()))) * int(ticks.max()) >= _ROOM:
            slope = slope.astype(object)
        known = np.asarray(self.lines.value[row] != NULL, bool)
        return Numbers(slope * ticks + np.where(begins, self.jumps[row], 0), known, self.lines.unit)


def steps_of(output: str, columns: Columns) -> Steps:
    """The steps of all keys of an output."""
    lines, before = as_numbers(columns.tables[output]), exact_scalar(columns.initials[output])
    if before is not None:
        # So that what it is before all keys begin is a whole number too.
        lines = in_unit(lines, common_unit(lines.unit, Fraction(1, before.denominator)))
    at, value = lines.at, lines.value
    known = np.asarray(value != NULL, bool)
    follows = np.append(False, follows_in_key(at))[: len(at)]
    first = np.flatnonzero(~follows)
    from_origin = lines.tick[first] <= columns.origin[lines.key[first]]
    # Of each row what the one before it had come to; of a key's first row what it is before all keys begin.
    told = np.zeros(len(at), bool)
    started = _whole(before or Fraction(0), lines)
    came_to = np.zeros(len(at), np.result_type(value, started))
    told[1:] = follows[1:] & known[:-1]
    came_to[1:] = np.where(told[1:], values_at(lines, slice(None, -1), at[1:]), 0)
    if before is not None:
        told[first], came_to[first] = from_origin, started
    # Behind a time in which it was none, what it was before that.
    place = np.maximum.accumulate(np.where(told | ~follows, np.arange(len(at)), 0))
    jumps = np.where(known & told[place], np.where(known, value, 0) - came_to[place], 0)
    forgotten = np.repeat(~from_origin, np.diff(np.append(first, len(at))))
    return Steps(lines, jumps, forgotten & known & ~told[place])


def _whole(number: Fraction, lines: Table) -> NDArray[Any]:
    whole = number / lines.unit
    assert whole.denominator == 1
    return np.array(whole.numerator, np.int64 if abs(whole) < _ROOM else object)

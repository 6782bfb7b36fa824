"""Places of keys in time of which rows may be made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timeline.tables.packing import key_of, packed
from timeline.tables.table import Table, lookup, values_at
from timeline.values.vocabulary import I64


@dataclass(frozen=True, slots=True)
class Places:
    """Key codes and ticks, packed, that rows may be made of; and up to where each key is done then."""

    at: I64
    code: I64
    until: I64


def spread(at: I64, codes: I64, tick: I64) -> I64:
    """For each packed place the packed ``tick`` of its key, of those of ``codes`` (sorted)."""
    spread: I64 = packed(codes, tick)[np.searchsorted(codes, key_of(at))]
    return spread


def instant(table: Table, at: I64, made_up: I64) -> Table:
    row, _ = lookup(table, at)
    value = values_at(table, row, at)
    slope = None if table.slope is None else np.zeros(value.shape, value.dtype)
    return Table(table.kind, made_up, value, slope, table.vocabulary, table.unit)

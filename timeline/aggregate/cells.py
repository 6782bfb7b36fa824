"""What is done with values whose group at a time, or in an interval, is their cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timeline.errors import BusyError
from timeline.tables.columns import Columns
from timeline.tables.table import Table
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import I64

# Below this, codes are counted rather than sorted.
_FEW_CODES = 1 << 20


def busy(keys: int) -> BusyError:
    """What to say when a question has no more time."""
    return BusyError(
        f"a question over {keys} keys of a stream takes longer than its workflow may "
        "spend on one; ask for fewer times or outputs, without quantiles, or spread the keys "
        "over more limits.shards"
    )


def forgotten_before(columns: Columns) -> int | None:
    """Keys without an event since then (ms) may be forgotten."""
    after = columns.limits.forgotten_after
    if after is None or columns.stream_time < after:
        return None
    return columns.stream_time - after + 1


def codes_of(table: Table) -> I64:
    """Small whole numbers that are equal where the values are."""
    if table.kind is Kind.NUMERIC:
        codes: I64 = np.unique(table.value, return_inverse=True)[1]
        return codes
    return table.value.astype(np.int64)


def combined(parts: Sequence[I64]) -> tuple[I64, int]:
    """One code for each combination of codes that there is, from 0 on, and how many there are."""
    combined, many = _compact(parts[0])
    for part in parts[1:]:
        codes, width = _compact(part)
        combined, many = _compact(combined * width + codes)
    return combined, many


def _compact(codes: I64) -> tuple[I64, int]:
    most = int(codes.max())
    if most >= _FEW_CODES:
        used, compact = np.unique(codes, return_inverse=True)
        return compact, len(used)
    there = np.bincount(codes, minlength=most + 1) > 0
    return (np.cumsum(there) - 1)[codes], int(np.count_nonzero(there))


def user_values(table: Table) -> list[Scalar]:
    """What a user sees of a table of values, each with a place of its own."""
    return table.python_values(np.arange(len(table)), table.at)

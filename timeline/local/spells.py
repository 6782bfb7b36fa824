"""What a local evaluation knows of each key for `timeline.tables.intervals`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from timeline.limits import Limits
from timeline.tables.intervals import Known
from timeline.tables.lateness import is_closed
from timeline.tables.packing import start_of
from timeline.tables.table import Table
from timeline.values.vocabulary import I64


def known_of(
    table: Table, names: Sequence[str], codes: I64, newest: I64, limits: Limits, stream_time: int
) -> Iterator[Known]:
    """The rows of a State or a Bool by key, or life: of these names, codes and newest events (ms)."""
    ticks = table.tick.tolist()
    values: list[Any] = table.value.tolist()
    if table.vocabulary is not None:
        values = [table.vocabulary.values[code] for code in values]
    first = np.searchsorted(table.at, start_of(codes)).tolist()
    last = np.searchsorted(table.at, start_of(codes + 1)).tolist()
    closed = is_closed(limits, newest, stream_time).tolist()
    for name, low, high, latest, over in zip(names, first, last, newest.tolist(), closed, strict=True):
        rows = list(zip(ticks[low:high], values[low:high], strict=True))
        end = None if limits.key_ttl is None else latest + limits.key_ttl
        yield Known(name, rows, latest, end, over)

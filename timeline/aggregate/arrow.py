"""An answer as an Arrow table, for dataframes and files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from timeline.aggregate.functions import CLOSED
from timeline.tables.framed import arrow_column, time_column
from timeline.values.kinds import Kind

_BIN = pa.struct([("from", pa.float64()), ("to", pa.float64()), ("count", pa.int64())])
_BIN_NAMES = ("from", "to", "count")


def to_arrow(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    functions: Mapping[str, str],
    kinds: Mapping[str, Kind],
    timed: Collection[str] = (),
    zone: str | None = None,
) -> pa.Table:
    """The rows of an answer as a table whose columns have the same types whatever the values are.

    ``functions`` are those of the columns that are aggregates, ``kinds`` those of the outputs; ``timed``
    are times: timestamps of ``zone`` ("": without one) or ms, ``int64`` as counts are. All other numbers are
    ``float64``, Bools ``bool``, a histogram a list of ``from``, ``to`` and ``count``. Only a State has the
    type of its values: text, numbers or booleans; where they differ, every value is JSON text.

    >>> to_arrow(["cdn", "count"], [{"cdn": "A", "count": 1}], {"count": "count"}, {}).to_pydict()
    {'cdn': ['A'], 'count': [1]}
    """
    arrays = [_column([row[name] for row in rows], name, functions, kinds, timed, zone) for name in columns]
    return pa.table(arrays, names=list(columns))


def _column(
    values: Sequence[Any],
    name: str,
    functions: Mapping[str, str],
    kinds: Mapping[str, Kind],
    timed: Collection[str],
    zone: str | None,
) -> pa.Array[Any]:
    if functions.get(name) == "histogram":
        bins = [None if v is None else [dict(zip(_BIN_NAMES, b, strict=True)) for b in v] for v in values]
        return pa.array(bins, pa.list_(_BIN))
    if functions.get(name) in ("count", "keys", "rises", "distinct"):
        return pa.array(values, pa.int64())
    if name in (*timed, "counted_from"):
        return time_column(values, zone)
    if name in functions:
        return arrow_column(values, Kind.NUMERIC)
    if name == "key":
        return pa.array(values, pa.string())
    return arrow_column(values, Kind.BOOL if name == CLOSED else kinds.get(name, Kind.STATE))

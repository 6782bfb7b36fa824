"""An answer as an Arrow table, for dataframes and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from timeline.aggregate.functions import CLOSED
from timeline.values.kinds import Kind

_BIN = pa.struct([("from", pa.float64()), ("to", pa.float64()), ("count", pa.int64())])


def to_arrow(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    functions: Mapping[str, str],
    kinds: Mapping[str, Kind],
) -> pa.Table:
    """The rows of an answer as a table whose columns have the same types whatever the values are.

    ``functions`` are those of the columns that are aggregates, ``kinds`` those of the outputs. Times (ms)
    and counts are ``int64``, all other numbers ``float64``, Bools ``bool``, a histogram a list of ``from``,
    ``to`` and ``count``. Only a State has the type of its values: text, numbers or booleans; where they
    differ, every value is JSON text.

    >>> to_arrow(["cdn", "count"], [{"cdn": "A", "count": 1}], {"count": "count"}, {}).to_pydict()
    {'cdn': ['A'], 'count': [1]}
    """
    arrays = [_column([row[name] for row in rows], _type(name, functions, kinds)) for name in columns]
    return pa.table(arrays, names=list(columns))


def column(values: Sequence[Any], kind: Kind) -> pa.Array[Any]:
    """The values of an output of that kind."""
    return _column(values, _of_kind(kind))


def _type(name: str, functions: Mapping[str, str], kinds: Mapping[str, Kind]) -> pa.DataType | None:
    if name in functions:
        if functions[name] == "histogram":
            return pa.list_(_BIN)
        return pa.int64() if functions[name] == "count" else pa.float64()
    if name in ("at", "key", "counted_from"):
        return pa.string() if name == "key" else pa.int64()
    kind = Kind.BOOL if name == CLOSED else kinds.get(name)
    return None if kind is None else _of_kind(kind)


def _of_kind(kind: Kind) -> pa.DataType | None:
    if kind is Kind.STATE:
        return None
    return pa.bool_() if kind is Kind.BOOL else pa.float64()


def _column(values: Sequence[Any], type: pa.DataType | None) -> pa.Array[Any]:
    if type is not None and pa.types.is_list(type):
        names = ("from", "to", "count")
        values = [None if v is None else [dict(zip(names, b, strict=True)) for b in v] for v in values]
    if type is None:
        known = [v for v in values if v is not None]
        kinds = {bool if isinstance(v, bool) else str if isinstance(v, str) else float for v in known}
        if len(kinds) > 1:
            values = [None if v is None else orjson.dumps(v).decode() for v in values]
        if kinds == {float}:
            whole = all(isinstance(v, int) and abs(v) < 1 << 63 for v in known)
            type = pa.int64() if whole else pa.float64()
        else:
            type = pa.bool_() if kinds == {bool} else pa.string()
    if type == pa.float64():
        # Arrow refuses whole numbers that no float is equal to.
        values = [None if v is None else float(v) for v in values]
    return pa.array(values, type)

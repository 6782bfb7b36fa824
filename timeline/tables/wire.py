"""Positions, batches, windows and tables as columnar JSON: arrays as differences.

What ``to_*`` returns holds numpy arrays, for `timeline.tables.columnar` or orjson; what ``from_*`` takes
may have lists in their places, as all has that was written as form 1, and whatever is short.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from timeline.errors import WireError
from timeline.tables import columnar
from timeline.tables.events import EventColumn, Events, Position
from timeline.tables.packing import begin_of, first_of_keys, key_of, packed, tick_of
from timeline.tables.table import Table, Window
from timeline.values.exact import NULL, THOUSANDTH, fraction_of
from timeline.values.kinds import Kind
from timeline.values.scalars import Carried, as_scalar, fits_decimal
from timeline.values.vocabulary import I64, Vocabulary

Wire: TypeAlias = dict[str, Any]

#: How far before a row a window begins that begins at tick 0, however far that is.
_FROM_0 = -1


def differences(values: I64) -> I64:
    return np.diff(values, prepend=np.int64(0)) if len(values) else values


def sums(differences: ArrayLike) -> I64:
    return np.cumsum(numbers(differences))


def numbers(column: ArrayLike) -> I64:
    """A column as it came."""
    return np.asarray(column, np.int64)


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Whatever is wrong with the shape of a message or a state becomes one error.

    Raises:
        WireError: something in there was not as it should be.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        text = f"{type(error).__name__}: {error}"[:200]
        raise WireError(f"{what} cannot be understood ({text})") from error


def to_places(at: I64) -> Wire:
    """Packed places; keys and ticks apart, because each alone has small differences."""
    return {"key": differences(key_of(at)), "tick": differences(tick_of(at))}


def from_places(wire: Wire) -> I64:
    key, tick = sums(wire["key"]), sums(wire["tick"])
    _same_length(key, tick)
    return packed(key, tick)


def to_window(window: Window, rows: Table) -> Wire:
    """The window of a patch; ``rows``, which travel beside it, mostly say it already.

    If it has the same keys, it is only told how far ``before`` their first rows it begins (ms): mostly
    0, or -1 where it begins at tick 0, as it does for new keys.
    """
    first = rows.at[first_of_keys(rows.at)]
    if columnar.FORM > 1 and np.array_equal(key_of(first), window.key) and np.all(first >= window.at):
        return {"before": np.where(window.tick == 0, _FROM_0, first - window.at)}
    return to_places(window.at)


def from_window(wire: Wire, rows: Table) -> Window:
    """The inverse of `to_window`."""
    if "before" in wire:
        first, before = rows.at[first_of_keys(rows.at)], numbers(wire["before"])
        _same_length(first, before)
        return Window(np.where(before == _FROM_0, begin_of(first), first - before))
    return Window(from_places(wire))


def to_position(position: Position | None) -> list[int] | None:
    """A position as JSON has it."""
    return None if position is None else list(position)


def from_position(wire: list[int] | None) -> Position | None:
    """The inverse of `to_position`."""
    return None if wire is None else tuple(wire)


def to_events(events: Events, last: Position) -> Wire:
    """An ``events`` signal: a batch that reaches up to and including ``last``."""
    return {
        "last": list(last),
        "keys": events.keys,
        "key": events.key,
        "tick": differences(events.tick),
        "columns": {name: _to_column(column) for name, column in events.columns.items()},
        "position": [
            differences(np.ascontiguousarray(events.position[:, i])) for i in range(events.position.shape[1])
        ],
    }


def _to_column(column: EventColumn) -> Wire:
    values = column.values[1:]
    wire: Wire = {"values": list(map(as_scalar, values)), "codes": column.codes}
    # Who knows of no decimals has the nearest floats.
    decimals = {str(i): str(value) for i, value in enumerate(values) if isinstance(value, Decimal)}
    return wire | {"decimals": decimals} if decimals else wire


def _from_column(wire: Wire) -> EventColumn:
    values: list[Carried] = [None, *wire["values"]]
    for i, text in wire.get("decimals", {}).items():
        value, place = Decimal(text), 1 + int(i)
        if place < 1 or not fits_decimal(value):
            raise ValueError(f"a decimal of {len(text)} characters at {i}")
        values[place] = value
    return EventColumn(_codes(wire["codes"], len(values)), values)


def from_events(wire: Wire) -> tuple[Events, Position]:
    """The inverse of `to_events`.

    Raises:
        WireError: it is no batch.
    """
    with understood("a batch of events"):
        key = _codes(wire["key"], len(wire["keys"]))
        columns = {name: _from_column(column) for name, column in wire["columns"].items()}
        position = np.stack([sums(part) for part in wire["position"]], axis=1)
        events = Events(wire["keys"], key, sums(wire["tick"]), columns, position)
        _same_length(events.tick, events.key, position, *(c.codes for c in columns.values()))
        return events, tuple(wire["last"])


def _codes(wire: ArrayLike, count: int) -> I64:
    codes = numbers(wire)
    if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < count:
        raise ValueError(f"codes reach from {codes.min()} to {codes.max()}, and {count} are known")
    return codes


def _same_length(*columns: NDArray[Any]) -> None:
    lengths = sorted({len(column) for column in columns})
    if len(lengths) > 1:
        raise ValueError(f"columns of {lengths} rows stand beside each other")


def to_table(table: Table) -> Wire:
    """The rows of a table; its vocabulary travels apart."""
    wire: Wire = {"shape": table.kind.wire, "at": to_places(table.at)}
    if table.kind is Kind.RATIO:
        assert table.slope is not None
        value, slope = np.ascontiguousarray(table.value.T), np.ascontiguousarray(table.slope.T)
        wire["parts"] = [_numbers(value[i], slope[i], table.unit) for i in range(2)]
    elif table.kind is Kind.NUMERIC:
        assert table.slope is not None
        wire |= _numbers(table.value, table.slope, table.unit)
    else:
        wire["value"] = table.value.astype(np.int64)
    return wire


def _numbers(value: NDArray[Any], slope: NDArray[Any], unit: Fraction) -> Wire:
    # Null is the lowest int64: far from all other values, so it is told by position instead.
    null = np.flatnonzero(value == NULL)
    value = value.copy()
    value[null] = 0
    wire: Wire = {"null": differences(null)}
    if value.dtype == object:  # JSON's numbers end at 64 bits
        wire |= {"value": list(map(str, value)), "slope": list(map(str, slope))}
    else:
        wire |= {"value": differences(value), "slope": slope}
    if unit != THOUSANDTH:
        wire["unit"] = str(unit)
    return wire


def _from_numbers(wire: Wire) -> tuple[NDArray[Any], NDArray[Any], Fraction]:
    value: NDArray[Any]
    slope: NDArray[Any]
    if len(wire["value"]) and isinstance(wire["value"][0], str):
        value = np.array(list(map(int, wire["value"])), object)
        slope = np.array(list(map(int, wire["slope"])), object)
    else:
        value, slope = sums(wire["value"]), numbers(wire["slope"])
    value[sums(wire["null"])] = NULL
    return value, slope, fraction_of(wire["unit"]) if "unit" in wire else THOUSANDTH


def from_table(wire: Wire, vocabulary: Vocabulary | None) -> Table:
    """The inverse of `to_table`.

    Raises:
        WireError: it is no table.
    """
    with understood("a table"):
        table = _from_table(wire, vocabulary)
        _same_length(table.at, table.value, *([] if table.slope is None else [table.slope]))
        return table


def _from_table(wire: Wire, vocabulary: Vocabulary | None) -> Table:
    kind = Kind.of_wire(wire["shape"])
    at = from_places(wire["at"])
    if kind is Kind.RATIO:
        parts = [_from_numbers(part) for part in wire["parts"]]
        value = np.stack([value for value, _, _ in parts], axis=1)
        slope = np.stack([slope for _, slope, _ in parts], axis=1)
        return Table(kind, at, value, slope, None, parts[0][2])
    if kind is Kind.NUMERIC:
        value, slope, unit = _from_numbers(wire)
        return Table(kind, at, value, slope, None, unit)
    if kind is Kind.BOOL:
        return Table(kind, at, np.array(wire["value"], bool))
    return Table(kind, at, numbers(wire["value"]), None, vocabulary)

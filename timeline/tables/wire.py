"""Positions, batches and tables as columnar JSON: arrays as differences, ready for orjson."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from timeline.tables.events import EventColumn, Events, Position
from timeline.tables.packing import key_of, packed, tick_of
from timeline.tables.table import Table
from timeline.values.exact import NULL, THOUSANDTH
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64, Vocabulary

Wire: TypeAlias = dict[str, Any]


def differences(values: I64) -> I64:
    return np.diff(values, prepend=np.int64(0)) if len(values) else values


def sums(differences: list[int]) -> I64:
    return np.cumsum(np.array(differences, np.int64))


def to_places(at: I64) -> Wire:
    """Packed places; keys and ticks apart, because each alone has small differences."""
    return {"key": differences(key_of(at)), "tick": differences(tick_of(at))}


def from_places(wire: Wire) -> I64:
    return packed(sums(wire["key"]), sums(wire["tick"]))


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
        "columns": {
            name: {"values": column.values[1:], "codes": column.codes}
            for name, column in events.columns.items()
        },
        "position": [
            differences(np.ascontiguousarray(events.position[:, i])) for i in range(events.position.shape[1])
        ],
    }


def from_events(wire: Wire) -> tuple[Events, Position]:
    """The inverse of `to_events`."""
    events = Events(
        wire["keys"],
        np.array(wire["key"], np.int64),
        sums(wire["tick"]),
        {
            name: EventColumn(np.array(column["codes"], np.int64), [None, *column["values"]])
            for name, column in wire["columns"].items()
        },
        np.stack([sums(part) for part in wire["position"]], axis=1),
    )
    return events, tuple(wire["last"])


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
    if wire["value"] and isinstance(wire["value"][0], str):
        value = np.array(list(map(int, wire["value"])), object)
        slope = np.array(list(map(int, wire["slope"])), object)
    else:
        value, slope = sums(wire["value"]), np.array(wire["slope"], np.int64)
    value[sums(wire["null"])] = NULL
    return value, slope, Fraction(wire.get("unit", THOUSANDTH))


def from_table(wire: Wire, vocabulary: Vocabulary | None) -> Table:
    """The inverse of `to_table`."""
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
    return Table(kind, at, np.array(wire["value"], np.int64), None, vocabulary)

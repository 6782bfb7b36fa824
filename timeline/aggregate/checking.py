"""What a stream says of a group, looked at before it is put together with what others say.

It is told by anybody. Whatever could make merging raise, or take memory without end, is found here.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Any

import numpy as np

from timeline.aggregate.different import WIDTH
from timeline.aggregate.measures import Measure
from timeline.aggregate.samples import FURTHEST, OFFSET
from timeline.operators.distinct import EXACT
from timeline.values.exact import fraction_of
from timeline.values.kinds import Kind

#: What is counted stays far below.
MOST = 1 << 62


def check_group(values: Any, kinds: Sequence[Kind]) -> None:
    """Looks whether these are values of outputs of such kinds.

    Raises:
        ValueError: they are not.
    """
    if not isinstance(values, list) or len(values) != len(kinds):
        raise ValueError(f"a group has {len(kinds)} values")
    for value, kind in zip(values, kinds, strict=True):
        is_bool = isinstance(value, bool)
        good = isinstance(value, str | int | float) if kind is Kind.STATE else is_bool
        if kind not in (Kind.STATE, Kind.BOOL):
            good = isinstance(value, int | float) and not is_bool
        if value is not None and not good:
            raise ValueError(f"a value of a group is no {kind.value}")


def check_state(measure: Measure, wire: Any) -> None:
    """Looks whether this is what `Measure.to_wire` may have written.

    Raises:
        ArithmeticError, LookupError, TypeError, ValueError: it is not.
    """
    match measure.kind:
        case "total" | "area" | "change":
            fraction_of(wire)
        case "min" | "max":
            if wire is not None:
                fraction_of(wire)
        case "sample":
            _sample(wire)
        case "bins":
            for number, many in wire:
                if whole(number) > len(measure.bounds()):
                    raise ValueError("no such bin")
                whole(many)
        case "distinct":
            _hashes(wire)
        case _:
            whole(wire)


def whole(number: Any) -> int:
    """A number of something.

    Raises:
        ValueError: it is none.
    """
    if type(number) is not int or not 0 <= number < MOST:
        raise ValueError("a number of something is none")
    return number


def _sample(wire: Any) -> None:
    if "bins" in wire:
        numbers = np.abs(np.cumsum(np.array(list(map(_step, wire["bins"])), np.int64)))
        if len(wire["bins"]) != len(wire["counts"]) or sum(map(whole, wire["counts"])) >= MOST:
            raise ValueError("no such bins")
        # What lies far apart would be kept with all between.
        if not ((numbers == 0) | (np.abs(numbers - OFFSET) <= FURTHEST)).all():
            raise ValueError("a bin lies too far away")
    elif "floats" in wire:
        if not all(isinstance(one, float | int) for one in wire["floats"]):
            raise ValueError("no numbers")
    elif fraction_of(wire["unit"]) <= 0 or not all(isinstance(one, str | int) for one in wire["values"]):
        raise ValueError("no numbers")


def _step(number: Any) -> int:
    if type(number) is not int or abs(number) > 4 * OFFSET:
        raise ValueError("no bin")
    return number


def _hashes(wire: Any) -> None:
    data = b64decode(wire, validate=True)
    hashes = np.frombuffer(data, ">u8")
    if len(data) > (EXACT + 1) * WIDTH or not bool(np.all(hashes[1:] > hashes[:-1])):
        raise ValueError("no hashes")

"""JSON numbers of more digits than a float is sure to have: where they are, and what they are exactly."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

import numpy as np
import orjson
from numpy.typing import NDArray

from timeline.values.scalars import number_of
from timeline.values.vocabulary import I64

#: Numbers of fewer characters than this are what the nearest float is written as.
_LONG = 16
#: Or they are whole, and so large that floats leave some out.
_LONG_OR_LARGE = re.compile(rb"[0-9.]{%d}|[0-9][eE]\+?[0-9]" % _LONG)
_NUMBER = re.compile(rb"[0-9.]+(?:[eE][+-]?[0-9]+)?")
_POINT, _MINUS = ord("."), ord("-")


def full_object(line: bytes, row: dict[str, Any]) -> dict[str, Any]:
    """The object of a line, ``row`` as floats have it, with all digits: fractions as `number_of` has them,
    whole numbers as they are.

    >>> full_object(b'{"x": 12345678901234567.1, "y": 0.5}', {"x": 1.2345678901234568e16, "y": 0.5})
    {'x': Decimal('12345678901234567.1'), 'y': 0.5}
    """
    if _LONG_OR_LARGE.search(line) is None:
        return row
    try:
        full: dict[str, Any] = json.loads(line, parse_float=_fraction)
    except RecursionError:  # nested as deep as only orjson reads
        return row
    return full


def _fraction(text: str) -> Any:
    return number_of(Decimal(text))


def rounds(data: bytes, names: Sequence[str]) -> bool:
    """Whether JSON may hold, in one of these columns, a fraction for which no float stands; all at once, by
    Arrow.

    >>> rounds(b'{"x": 0.30000000000000004}', ["x"]), rounds(b'{"x": 0.30000000000000001}', ["x"])
    (False, True)
    >>> rounds(b'{"y": 0.30000000000000001}', ["x"])
    False
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    starts, ends = _fractions(data, names)
    if not len(starts):
        return False
    raw = np.frombuffer(data, np.uint8)
    exponents = (raw[np.minimum(ends, len(raw) - 1)] | 32) == ord("e")
    matches = (_NUMBER.match(data, at) for at in starts[exponents].tolist())
    rest = {match[0].decode() for match in matches if match is not None}
    starts, ends = starts[~exponents], ends[~exponents]
    if len(starts):
        # Every other one of the texts between these places is a number.
        places = np.column_stack((starts, ends)).ravel().astype(np.int32)
        buffers = pa.py_buffer(cast(Any, places)), pa.py_buffer(data)
        between = pa.StringArray.from_buffers(len(places) - 1, *buffers)
        texts = between.take(cast(Any, pa.array(np.arange(0, len(places), 2))))
        try:
            again = texts.cast(pa.float64()).cast(pa.string())
        except pa.ArrowInvalid:
            return True
        rest.update(cast(list[str], texts.filter(pc.not_equal(texts, again)).unique().to_pylist()))
    return any(isinstance(number_of(Decimal(text)), Decimal) for text in rest)


def _fractions(data: bytes, names: Sequence[str]) -> tuple[I64, I64]:
    """Where values begin that are many digits with a point or an exponent, and where the digits end."""
    raw = np.frombuffer(data, np.uint8)
    digits = ((raw - ord("0")) < 10) | (raw == _POINT)
    long = digits
    for width in (1, 2, 4, 8):
        long = long[:-width] & long[width:]
    starts = np.flatnonzero(long[1:] & ~digits[: max(len(long) - 1, 0)]) + 1
    if not len(starts):
        return starts, starts
    signed = raw[starts - 1] == _MINUS
    before = raw[np.maximum(starts - 1 - signed, 0)]
    values = (before == ord(":")) | (before <= ord(" "))
    starts, signed = starts[values], signed[values]
    starts = starts[_may_be_of(raw, starts - 1 - signed, names)]
    others = np.append(np.flatnonzero(~digits), len(raw))
    ends = others[np.searchsorted(others, starts)]
    points = np.flatnonzero(raw == _POINT)
    broken = np.searchsorted(points, starts) < np.searchsorted(points, ends)
    broken |= (raw[np.minimum(ends, len(raw) - 1)] | 32) == ord("e")
    return starts[broken], ends[broken]


def _may_be_of(raw: NDArray[np.uint8], before: I64, names: Sequence[str]) -> NDArray[np.bool_]:
    """Whether values may be of these columns, given where the byte before each is: all whose name is spelled
    in another way than we look for may."""
    colon = before - ((raw[before] == ord(" ")) & (raw[np.maximum(before - 1, 0)] == ord(":")))
    may: NDArray[np.bool_] = (raw[colon] != ord(":")) | (raw[np.maximum(colon - 1, 0)] != ord('"'))
    longest = 0
    for name in names:
        quoted = np.frombuffer(orjson.dumps(name), np.uint8)
        longest = max(longest, len(quoted))
        places = np.maximum(colon[:, None] + np.arange(-len(quoted), 0), 0)
        may |= (raw[places] == quoted).all(axis=1)
    # A character has up to twelve of JSON.
    escapes = np.flatnonzero(raw == ord("\\"))
    reach = np.maximum(colon - 12 * longest, 0)
    may |= np.searchsorted(escapes, reach) < np.searchsorted(escapes, colon)
    return may

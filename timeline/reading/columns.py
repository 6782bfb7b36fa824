"""Values and keys of events as codes into what is distinct among them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from timeline.errors import EventError
from timeline.reading.model import BAD_KEY, LONG_KEY, MAX_KEY_CHARS, NO_KEY
from timeline.tables.events import EventColumn
from timeline.values.scalars import Scalar, canonical
from timeline.values.vocabulary import I64, Vocabulary

#: A JSON number; groups 2 and 3 are what makes it more than an integer.
NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
#: Python refuses to make an integer of more digits than 4 300.
_MAX_NUMBER_CHARS = 4_000


def flat(array: Any) -> Any:
    """A chunked array as one array."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    if pa.types.is_dictionary(array.type):
        array = array.unify_dictionaries()
    return array.combine_chunks()


def encode(array: Any) -> EventColumn | None:
    """An Arrow array as codes and distinct values; ``None`` if its values are nested.

    Raises:
        EventError: values that no JSON scalar can stand for.
    """
    kind = array.type
    types = pa.types
    shared = types.is_dictionary(kind)
    value_type = kind.value_type if shared else kind
    if types.is_nested(value_type):
        return None
    if types.is_null(kind):
        return EventColumn(np.zeros(len(array), np.int64), [None])
    try:
        if shared and (types.is_floating(value_type) or types.is_temporal(value_type)):
            array, shared = array.cast(value_type), False
        if types.is_floating(value_type):
            numbers = array.cast(pa.float64())
            numbers = pc.if_else(pc.is_finite(numbers), numbers, None)
            array = pc.add(numbers, 0.0)  # -0.0 becomes 0.0, else both would be in the dictionary
        elif not shared and not (
            types.is_string(kind)
            or types.is_large_string(kind)
            or types.is_integer(kind)
            or types.is_boolean(kind)
            or types.is_decimal(kind)
        ):
            array = array.cast(pa.string())
        coded = array if shared else array.dictionary_encode()
        values = _scalars(coded.dictionary)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise EventError(f"values of type {kind} are no JSON scalars: {error}") from None
    indices = coded.indices.fill_null(-1) if coded.indices.null_count else coded.indices
    codes = np.add(indices.to_numpy(zero_copy_only=False), 1, dtype=np.int64)
    if shared or types.is_decimal(value_type):
        # A dictionary that came with the file may repeat values, and hold some that nobody uses.
        used = np.flatnonzero(np.bincount(codes, minlength=len(values) + 1)[1:])
        recode = np.zeros(len(values) + 1, np.int64)
        kept = [values[i] for i in used.tolist()]
        if types.is_string(value_type) and len(set(kept)) == len(kept) and None not in kept:
            recode[used + 1] = np.arange(1, len(kept) + 1)
            return EventColumn(recode[codes], [None, *kept])
        vocabulary = Vocabulary()
        recode[used + 1] = vocabulary.encode(kept)
        return EventColumn(recode[codes], vocabulary.values)
    return EventColumn(codes, [None, *values])


def _scalars(dictionary: Any) -> list[Scalar]:
    types, kind = pa.types, dictionary.type
    if types.is_decimal(kind):
        return [
            None if v is None else int(v) if v == v.to_integral_value() else float(v)
            for v in dictionary.to_pylist()
        ]
    if types.is_floating(kind):
        return list(map(canonical, dictionary.to_numpy(zero_copy_only=False).tolist()))
    if types.is_integer(kind) and not dictionary.null_count:
        return cast(list[Scalar], dictionary.to_numpy(zero_copy_only=False).tolist())
    if types.is_binary(kind) or types.is_large_binary(kind):
        dictionary = dictionary.cast(pa.string())
    return cast(list[Scalar], dictionary.to_pylist())


def names_of(column: EventColumn) -> tuple[I64, list[str], I64]:
    """Codes into names, the names, and per event why it has none (0: it has)."""
    if set(map(type, column.values[1:])) <= {str}:
        names = cast(list[str], column.values[1:])
        key = np.maximum(column.codes - 1, 0)
        why = np.where(column.codes == 0, NO_KEY, 0)
    else:
        # A number and its text are one key.
        known: dict[str, int] = {}
        recode = np.zeros(len(column.values), np.int64)
        reasons = np.zeros(len(column.values), np.int64)
        reasons[0] = NO_KEY
        for code, value in enumerate(column.values[1:], 1):
            if isinstance(value, bool):
                reasons[code] = BAD_KEY
            else:
                name = value if isinstance(value, str) else repr(value)
                recode[code] = known.setdefault(name, len(known))
        names, key, why = list(known), recode[column.codes], reasons[column.codes]
    if long := longer_than(MAX_KEY_CHARS, names):
        why = np.where((why == 0) & np.isin(key, long), LONG_KEY, why)
    return key, names, why


def longer_than(limit: int, values: Sequence[Scalar]) -> list[int]:
    """The places of the strings of more than ``limit`` characters."""
    try:
        if max(map(len, cast(Sequence[str], values)), default=0) <= limit:
            return []  # quick, and what strings without numbers among them nearly always come to
    except TypeError:
        pass
    return [i for i, v in enumerate(values) if type(v) is str and len(v) > limit]


def scalar_of_text(text: str) -> Scalar:
    """What the text of a CSV field means: nothing, a JSON number, a boolean, or itself.

    >>> scalar_of_text(""), scalar_of_text("1.50"), scalar_of_text("true"), scalar_of_text("007")
    (None, 1.5, True, '007')
    """
    if text == "":
        return None
    if text in ("true", "false"):
        return text == "true"
    match = re.match(NUMBER, text)
    if match is None or text.endswith("\n") or len(text) > _MAX_NUMBER_CHARS:
        return text
    number = float(text) if match[2] or match[3] else int(text)
    return None if number in (float("inf"), float("-inf")) else number


def retyped(column: EventColumn) -> EventColumn:
    """A column of texts as what they mean."""
    vocabulary = Vocabulary()
    codes = vocabulary.encode(
        [scalar_of_text(value) if isinstance(value, str) else None for value in column.values]
    )
    return EventColumn(codes[column.codes], vocabulary.values)

"""Values and keys of events as codes into what is distinct among them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import cast

import numpy as np

from timeline.reading.model import BAD_KEY, LONG_KEY, MAX_KEY_CHARS, NO_KEY, NOT_FINITE, Unfit
from timeline.tables.events import EventColumn
from timeline.values.scalars import Carried, number_of
from timeline.values.vocabulary import I64, Vocabulary

#: A JSON number; groups 2 and 3 are what makes it more than an integer.
NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
#: Python refuses to make an integer of more digits than 4 300.
_MAX_NUMBER_CHARS = 4_000


def names_of(column: EventColumn) -> tuple[I64, list[str], I64]:
    """Codes into names, the names, and per event why it has none (0: it has)."""
    if set(map(type, column.values[1:])) <= {str} and "" not in column.values:
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
            if value == "":
                reasons[code] = NO_KEY
            elif isinstance(value, bool | float | Decimal):
                # A float that is whole and exact is an int here; another may stand for several numbers.
                reasons[code] = BAD_KEY
            else:
                recode[code] = known.setdefault(str(value), len(known))
        names, key, why = list(known), recode[column.codes], reasons[column.codes]
    if long := longer_than(MAX_KEY_CHARS, names):
        why = np.where((why == 0) & np.isin(key, long), LONG_KEY, why)
    return key, names, why


def longer_than(limit: int, values: Sequence[Carried]) -> list[int]:
    """The places of the strings of more than ``limit`` characters."""
    try:
        if max(map(len, cast(Sequence[str], values)), default=0) <= limit:
            return []  # quick, and what strings without numbers among them nearly always come to
    except TypeError:
        pass
    return [i for i, v in enumerate(values) if type(v) is str and len(v) > limit]


def scalar_of_text(text: str) -> Carried:
    """What the text of a CSV field means: nothing, a JSON number, a boolean, or itself.

    >>> scalar_of_text(""), scalar_of_text("1.50"), scalar_of_text("true"), scalar_of_text("007")
    (None, 1.5, True, '007')
    >>> scalar_of_text("12345678901234567.1")
    Decimal('12345678901234567.1')
    """
    if text == "":
        return None
    if text in ("true", "false"):
        return text == "true"
    match = re.match(NUMBER, text)
    if match is None or text.endswith("\n") or len(text) > _MAX_NUMBER_CHARS:
        return text
    nearest = float(text)
    if nearest in (float("inf"), float("-inf")):
        return None
    # So few digits a float always has, but not of a large whole number.
    if len(text) > 16 or match[3]:
        return number_of(Decimal(text))
    return nearest if match[2] or match[3] else int(text)


def retyped(column: EventColumn) -> tuple[EventColumn, Unfit]:
    """A column of texts as what they mean, and where that is nothing an event can carry."""
    vocabulary = Vocabulary()
    values = [scalar_of_text(value) if isinstance(value, str) else None for value in column.values]
    beyond = [value is None and bool(text) for value, text in zip(values, column.values, strict=True)]
    codes = vocabulary.encode(values)
    unfit: Unfit = {NOT_FINITE: np.array(beyond, bool)[column.codes]} if any(beyond) else {}
    return EventColumn(codes[column.codes], vocabulary.values), unfit

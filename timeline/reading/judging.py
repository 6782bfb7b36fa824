"""Which of the records read are events, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from timeline.errors import EventError
from timeline.reading.columns import encode, longer_than, names_of, retyped
from timeline.reading.model import (
    BAD_KEY,
    MAX_VALUE_CHARS,
    REASONS,
    Block,
    Mask,
    Part,
    Records,
    Rejected,
    Wanted,
    reject,
)
from timeline.reading.times import ticks_of
from timeline.tables.events import EventColumn, Events, concat
from timeline.values.vocabulary import I64


@dataclass(frozen=True, slots=True)
class Parsed:
    """Records read but not yet judged.

    ``nested`` says where in a column a value is nested, ``texts`` which columns may hold strings.
    """

    key: EventColumn
    tick: I64
    columns: dict[str, EventColumn]
    nested: dict[str, Mask]
    texts: set[str]


def judge(wanted: Wanted, records: Records, parsed: Parsed, broken: Sequence[Rejected] = ()) -> Part:
    """The events that can be read, and the others with their reasons, ``broken`` among them."""
    key, names, why = names_of(parsed.key)
    if wanted.key in parsed.nested:
        why = np.where(parsed.nested[wanted.key], BAD_KEY, why)
    if int(parsed.tick.min(initial=0)) < 0:
        why = np.where((why == 0) & (parsed.tick < 0), -parsed.tick, why)
    reasons = list(REASONS)

    def mark(mask: Mask, reason: str) -> None:
        nonlocal why
        why = np.where((why == 0) & mask, len(reasons), why)
        reasons.append(reason)

    for name, column in parsed.columns.items():
        if name in parsed.nested:
            mark(parsed.nested[name], f"column {name!r} holds a nested value")
        if name in parsed.texts and (long := longer_than(MAX_VALUE_CHARS, column.values[1:])):
            reason = f"column {name!r} holds a value longer than {MAX_VALUE_CHARS} characters"
            mark(np.isin(column.codes - 1, long), reason)
    events = Events(names, key, parsed.tick, parsed.columns, records.lines.reshape(-1, 1))
    bad = np.flatnonzero(why).tolist()
    if not bad:
        return events, list(broken)
    rejected = [reject(wanted, records, i, reasons[why[i]]) for i in bad]
    # Compact, because what only rejected events carry is to be kept nowhere.
    return (
        events.take(np.flatnonzero(why == 0)).compact(),
        sorted([*broken, *rejected], key=lambda r: r.line),
    )


def judge_arrays(
    wanted: Wanted,
    records: Records,
    arrays: dict[str, Any],
    broken: Sequence[Rejected] = (),
    *,
    typed: bool = True,
) -> Part:
    """The same for Arrow arrays, one per name that the file has; untyped: texts, as of CSV."""
    coded: dict[str, EventColumn] = {}
    nested: dict[str, Mask] = {}
    texts: set[str] = set()
    for name in dict.fromkeys((wanted.key, *wanted.columns)):
        array = arrays[name] if name in arrays else pa.nulls(len(records.lines))
        try:
            column = encode(array)
        except EventError as error:
            raise EventError(f"column {name!r} of {wanted.path}: {error}") from None
        if not pa.types.is_primitive(array.type):
            texts.add(name)
        if column is None:
            nested[name] = array.is_valid().to_numpy(zero_copy_only=False)
            column = EventColumn(np.zeros(len(array), np.int64), [None])
        coded[name] = column
    tick = ticks_of(arrays[wanted.time], wanted.unit, typed=typed)
    columns = {n: coded[n] if typed else retyped(coded[n]) for n in wanted.columns}
    return judge(wanted, records, Parsed(coded[wanted.key], tick, columns, nested, texts), broken)


def block_of(wanted: Wanted, parts: Sequence[Part], last: int) -> Block:
    """Parts that follow each other as one block."""
    events = concat([events for events, _ in parts]) if parts else _no_events(wanted)
    return Block(events, [r for _, rejected in parts for r in rejected], last)


def _no_events(wanted: Wanted) -> Events:
    none = np.empty(0, np.int64)
    columns = {name: EventColumn(none, [None]) for name in wanted.columns}
    return Events([], none, none, columns, none.reshape(0, 1))

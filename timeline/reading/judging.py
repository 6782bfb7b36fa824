"""Which of the records read are events, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.reading.columns import longer_than, names_of
from timeline.reading.model import (
    AHEAD,
    BAD_KEY,
    MAX_VALUE_CHARS,
    REASONS,
    Block,
    Mask,
    Part,
    Records,
    Rejected,
    Unfit,
    Wanted,
    reject,
)
from timeline.tables.events import EventColumn, Events, concat
from timeline.values.vocabulary import I64


@dataclass(frozen=True, slots=True)
class Parsed:
    """Records read but not yet judged.

    ``unfit`` says what in a column is no value, and where; ``texts`` which columns may hold strings.
    """

    key: EventColumn
    tick: I64
    columns: dict[str, EventColumn]
    unfit: dict[str, Unfit]
    texts: set[str]


def judge(wanted: Wanted, records: Records, parsed: Parsed, broken: Sequence[Rejected] = ()) -> Part:
    """The events that can be read, and the others with their reasons, ``broken`` among them."""
    key, names, why = names_of(parsed.key)
    for mask in parsed.unfit.get(wanted.key, {}).values():
        why = np.where(mask, BAD_KEY, why)
    if int(parsed.tick.min(initial=0)) < 0:
        why = np.where((why == 0) & (parsed.tick < 0), -parsed.tick, why)
    if wanted.latest is not None and int(parsed.tick.max(initial=0)) > wanted.latest:
        why = np.where((why == 0) & (parsed.tick > wanted.latest), AHEAD, why)
    reasons = list(REASONS)

    def mark(mask: Mask, reason: str) -> None:
        nonlocal why
        why = np.where((why == 0) & mask, len(reasons), why)
        reasons.append(reason)

    for name, column in parsed.columns.items():
        for what, mask in parsed.unfit.get(name, {}).items():
            mark(mask, f"column {name!r} holds {what}")
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


def block_of(wanted: Wanted, parts: Sequence[Part], last: int) -> Block:
    """Parts that follow each other as one block."""
    events = concat([events for events, _ in parts]) if parts else _no_events(wanted)
    return Block(events, [r for _, rejected in parts for r in rejected], last)


def _no_events(wanted: Wanted) -> Events:
    none = np.empty(0, np.int64)
    columns = {name: EventColumn(none, [None]) for name in wanted.columns}
    return Events([], none, none, columns, none.reshape(0, 1))

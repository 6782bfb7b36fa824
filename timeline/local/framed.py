"""Events of a frame for local evaluation, and the warnings that go with them."""

from __future__ import annotations

import warnings

from timeline.errors import TimelineWarning
from timeline.plan import Plan
from timeline.reading.frames import Frame, FrameReader
from timeline.reading.looking import Looking
from timeline.reading.model import Rejected, TimeUnit
from timeline.tables.events import Events, concat, no_events

#: How far up the stack the caller of `timeline.evaluate` is.
_CALLER = 3


def events_of(
    plan: Plan, frame: Frame, key: str, time: str, unit: TimeUnit, jobs: int
) -> tuple[Events, list[Rejected], str | None]:
    """What a plan reads of a frame: its events, the rows that are none, and the zone of its times.

    Warns of rows that are none, and of what `timeline eval` warns of.

    Raises:
        EventError: it cannot be read.
    """
    reader = FrameReader(frame, key, time, unit)
    columns = list(plan.columns)
    looking = Looking(plan.result.expression, columns, time, unit, 'unit="{}"')
    parts: list[Events] = []
    rejected: list[Rejected] = []
    for block in reader.blocks(columns, jobs):
        looking.add(block.events)
        parts.append(block.events)
        rejected += block.rejected
    for mistake in looking.mistakes(lambda: reader.head):
        warnings.warn(str(mistake), TimelineWarning, stacklevel=_CALLER)
    if rejected:
        rows = "1 row was" if len(rejected) == 1 else f"{len(rejected)} rows were"
        warnings.warn(
            f"{rows} skipped that hold no event; the first is {rejected[0]}",
            TimelineWarning,
            stacklevel=_CALLER,
        )
    return concat(parts) if parts else no_events(columns, 1), rejected, reader.zone

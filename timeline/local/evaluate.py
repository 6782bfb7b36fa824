"""Local evaluation: an expression over all events of some files, in one pass and one process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from timeline.engine.admission import Admission, admit, time_before
from timeline.engine.lives import Judged, Lives
from timeline.jobs import cores
from timeline.language.builder import Build
from timeline.language.expression import Expression
from timeline.limits import Limits
from timeline.local.dividing import compute_divided
from timeline.local.evaluation import Evaluation
from timeline.plan import Plan, make_plan
from timeline.reading.model import Rejected, TimeUnit
from timeline.tables.events import Events, Position
from timeline.tables.lateness import is_forgotten
from timeline.tables.marks import mark_of
from timeline.tables.packing import key_of, tick_of
from timeline.values.life_names import LifeKeys, key_named
from timeline.values.vocabulary import I64, Keys

if TYPE_CHECKING:  # pyarrow takes 0.1 s to import
    from timeline.aggregate.piped import Piped
    from timeline.local.asking import Asking
    from timeline.reading.frames import Frame


def evaluate(
    expression: str | Build | Expression | Plan,
    events: Events | Frame,
    limits: Limits | None = None,
    jobs: int | None = None,
    marks: Sequence[Position] = (),
    *,
    key: str = "key",
    time: str = "time",
    unit: TimeUnit = "ms",
    **asking: Unpack[Asking],
) -> Evaluation | Any:
    """The value of an expression over events, for every key at every tick.

    ``events`` are `Events`, or a table whose rows they are: of pandas, Polars or pyarrow, a relation of
    DuckDB, whatever speaks Arrow. Of a table the columns ``key`` and ``time`` are named here; times that are
    numbers are in ``unit``, timestamps without a zone in UTC, text is RFC 3339. A row that is no event is in
    ``rejected`` of what is returned, and warned of (`TimelineWarning`), as are likely mistakes.

    Events are in stream order: of two at one tick the later counts as state, and with
    ``limits.allowed_lateness`` what is below a key's watermark at its place is refused. Without
    ``limits`` no event is late and no key is ever closed. ``jobs`` is how many cores work on it (all that
    there are); the result does not depend on it. ``marks`` are those of the stream, in order
    (`timeline.tables.marks`).

    A text that is piped into ``aggregate(...)`` asks over all keys. What is returned then is the answer, a
    `timeline.aggregate.Result` (for which the type says ``Any``); ``asking`` says when and of which keys:
    ``at``, ``start``, ``end``, ``every``, ``per``, ``where``, ``top``, ``by`` and ``lives``, as in
    `Evaluation.aggregate`.

    Raises:
        ExpressionError: text that cannot be understood, or parts that do not fit.
        RequestError: what cannot be asked, or words of a question where there is none.
        EventError: a table that cannot be read, or has no such column.
        LimitError: more keys than a table can hold.

    >>> import pyarrow
    >>> table = pyarrow.table({"session": ["s", "s"], "time": [1, 4], "state": ["play", "buffer"]})
    >>> result = evaluate('latest_event_to_state(state) == "buffer"', table, key="session", unit="s")
    >>> list(result.values(at=["3s", "5s"]))
    [Row(key='s', at=3000, value=False), Row(key='s', at=5000, value=True)]

    >>> from timeline.tables.events import from_rows
    >>> events = from_rows([("s", t * 1000, {"state": v}) for t, v in [(1, "play"), (4, "buffer")]])
    >>> result = evaluate('duration_where(latest_event_to_state(state) == "buffer")', events)
    >>> list(result.values(at=[4000, 6500]))
    [Row(key='s', at=4000, value=0), Row(key='s', at=6500, value=2.5)]
    >>> evaluate("count(state == 'play') | aggregate(group_by(state), count, sum)", events, at="3s").rows
    [{'time': 3000, 'state': 'play', 'count': 1, 'sum(value)': 1}]
    """
    piped = _piped(expression)
    if asking and piped is None:
        from timeline.local.asking import no_question

        raise no_question(asking)
    plan = expression if isinstance(expression, Plan) else make_plan(piped.outputs if piped else expression)
    limits = limits or Limits()
    rejected: Sequence[Rejected] = ()
    zone = None
    if not isinstance(events, Events):
        # Imported here because files are read without it.
        from timeline.local.framed import events_of

        events, rejected, zone = events_of(plan, events, key, time, unit, jobs or cores())
    stream, stream_time = _times(events, marks)
    none_yet = np.full(len(events.keys), -1, np.int64)
    encoded = Keys(events.keys)
    judged: Admission | Judged
    if limits.key_ttl is None:
        judged = admit(events.key, events.tick, none_yet, stream, limits)
    else:
        encoded = LifeKeys()
        judged = Lives(limits, encoded).judge(
            events.keys, events.key, events.tick, stream, none_yet[:0], none_yet[:0]
        )
    if len(judged.live) < len(events):
        events = events.take(judged.live)
    if isinstance(judged, Judged):
        events = replace(events, keys=encoded.names, key=judged.life)
    accepted, refused = len(judged.live), len(judged.refused)
    made = compute(plan, events, encoded, limits, accepted, refused, stream_time, jobs or cores())
    made = replace(made, rejected=rejected, zone=zone)
    return made if piped is None else made.aggregate(piped.agg, piped.group_by, **asking)


def _piped(expression: object) -> Piped | None:
    if not isinstance(expression, str) or "aggregate" not in expression:
        return None
    from timeline.aggregate.piped import read_piped  # which most expressions do not need

    return read_piped(expression)


def _times(events: Events, marks: Sequence[Position]) -> tuple[I64, int]:
    """The stream's time before each event, and behind all."""
    last = time_before(np.append(events.tick, 0), -1)
    for mark in marks:
        before = len(events) - len(events.after(mark))
        last[before:] = np.maximum(last[before:], mark_of(mark) or -1)
    return last[:-1], int(last[-1])


def compute(
    plan: Plan,
    events: Events,
    keys: Keys,
    limits: Limits,
    accepted: int,
    refused: int,
    stream_time: int,
    jobs: int,
) -> Evaluation:
    """The evaluation of accepted events, of a stream whose time is ``stream_time`` (ms)."""
    begun, last, tables = compute_divided(plan, events, jobs)
    codes, newest, origin = key_of(last), tick_of(last), tick_of(begun)
    known = np.flatnonzero(~is_forgotten(limits, newest, stream_time)).tolist()
    named = key_named if isinstance(keys, LifeKeys) else str
    by_name = np.array(sorted(known, key=lambda i: (named(keys.name(int(codes[i]))), origin[i])), np.int64)
    return Evaluation(
        plan,
        keys,
        codes[by_name],
        origin[by_name],
        newest[by_name],
        tables,
        accepted,
        refused,
        limits,
        stream_time,
    )

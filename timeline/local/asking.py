"""A question over all keys of a local evaluation, in the words of programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypedDict

from timeline.aggregate import Request, Result, kinds_of, merge, needs_span, partial, span
from timeline.aggregate.request import MAX_ROWS_HERE
from timeline.errors import NotFoundError, RequestError
from timeline.plan import Plan
from timeline.tables.columns import Columns
from timeline.values.kinds import Kind
from timeline.values.times import Duration, Time, milliseconds, tick, ticks


class Asking(TypedDict, total=False):
    """What a question may say besides its aggregates and groups, as ``docs/aggregates.md`` means it.

    When: ``at`` some times, at the multiples of ``every`` from ``start`` to ``end``, or over the time from
    ``start`` up to ``end``, in pieces of ``per``. ``where``: of which keys. The ``top`` rows ``by`` a column.
    ``lives``: of all lives of each key.
    """

    where: str | None
    at: Time | Iterable[Time] | None
    start: Time | None
    end: Time | None
    every: Duration | None
    per: Duration | None
    top: int | None
    by: str | None
    lives: bool


class Evaluated(Protocol):
    """What is asked: an evaluation."""

    @property
    def plan(self) -> Plan: ...
    @property
    def zone(self) -> str | None: ...
    def columns(self) -> Columns: ...


def no_question(asking: Asking) -> Exception:
    """What to raise where words of a question are said of what is none."""
    for word in asking:
        if word not in Asking.__annotations__:
            return TypeError(f"evaluate() got an unexpected keyword argument {word!r}")
    return RequestError(
        f"{', '.join(asking)}: a question over all keys may say so, and the expression is piped into no "
        "aggregate(...); say it to what is asked of the result, as in result.values(at=...)"
    )


def request_here(
    kinds: Mapping[str, Kind],
    words: Mapping[str, Any],
    known: Callable[[], tuple[int, int] | None],
    none: Exception,
) -> Request:
    """A question whose answer no message carries; ``words`` are those of `Request.parse`. If it is over a
    time of which they do not say both ends, these are ``known``; where there are none, ``none`` is raised."""
    words = dict(words)
    if needs_span(kinds, **words):
        if (ends := known()) is None:
            raise none
        for word, when in zip(("start", "end"), ends, strict=True):
            words[word] = when if words[word] is None else words[word]
    return replace(Request.parse(kinds, **words), most=MAX_ROWS_HERE)


def ask(result: Evaluated, agg: str | None, group_by: str | Sequence[str], asking: Asking) -> Result:
    """The answer; what `timeline.local.evaluation.Evaluation.aggregate` says."""
    utc = result.zone == ""
    words: dict[str, Any] = {
        **asking,
        "agg": agg,
        "group_by": [group_by] if isinstance(group_by, str) else group_by,
        "at": None if (at := asking.get("at")) is None else ticks(at, utc=utc),
    }
    for word in ("start", "end"):
        words[word] = None if words.get(word) is None else tick(words[word], utc=utc)
    for word in ("every", "per"):
        words[word] = None if words.get(word) is None else milliseconds(words[word])
    kinds = kinds_of(result.plan)
    none = NotFoundError("no event was accepted, and nothing says from when to when: give start and end")
    request = request_here(kinds, words, lambda: span(result), none)
    return replace(merge(request, [partial(result, request)], kinds), zone=result.zone)

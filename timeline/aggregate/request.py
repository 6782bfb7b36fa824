"""What can be asked: a request, read from the words of a person and checked against the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from timeline.aggregate.functions import (
    CLOSED,
    INTERVAL_FUNCTIONS,
    KEY,
    OVER_TIME,
    Aggregate,
    check_output,
    kind_of,
    near,
)
from timeline.aggregate.parsing import parse_aggregates
from timeline.aggregate.where import parse_where
from timeline.errors import RequestError
from timeline.values.kinds import Kind
from timeline.values.ticks import MAX_TICK, format_duration
from timeline.values.vocabulary import I64

#: The most rows, and the most ticks, that one request asks for; and rows where no message carries them.
MAX_ROWS = 10_000
MAX_ROWS_HERE = 10_000_000
MAX_TICKS = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """A question over all keys. Without ``aggregates`` the answer has a row a key, else one a group.

    When: ``at`` these ticks (ms), or a ``grid`` of the multiples of ``grid[2]`` (ms) from ``grid[0]`` to
    ``grid[1]``, both included; without either, each key at its newest event. ``top`` rows at each time
    by ``by``, the largest first: an output, or the label of an aggregate. ``lives``: each life of a key that
    is known at its newest event, not only the newest life; ``key`` is an output then. ``exact``: without the
    keys that operators with memory have counted from later than their origin.

    ``over``: instead of ticks, the time from ``over[0]`` up to (and without) ``over[1]``, cut at the
    multiples of ``over[2]`` (ms; 0: in one piece). Groups, ``where`` and aggregates are then of each moment.

    ``most`` rows has an answer. On the wire it is not said: whoever asks others cannot ask for more.

    >>> kinds = {"cdn": Kind.STATE, "rebuffering": Kind.NUMERIC}
    >>> request = Request.parse(kinds, agg="count, sum(rebuffering), avg", group_by=["cdn"])
    >>> [a.label for a in request.aggregates]
    ['count', 'sum(rebuffering)', 'avg(rebuffering)']
    """

    aggregates: tuple[Aggregate, ...] = ()
    group_by: tuple[str, ...] = ()
    where: str | None = None
    at: tuple[int, ...] | None = None
    grid: tuple[int, int, int] | None = None
    top: int | None = None
    by: str | None = None
    lives: bool = False
    exact: bool = False
    over: tuple[int, int, int] | None = None
    most: int = MAX_ROWS

    @classmethod
    def parse(
        cls,
        kinds: Mapping[str, Kind],
        *,
        agg: str | None = None,
        group_by: Sequence[str] = (),
        where: str | None = None,
        at: Sequence[int] | None = None,
        start: int | None = None,
        end: int | None = None,
        every: int | None = None,
        per: int | None = None,
        top: int | None = None,
        by: str | None = None,
        lives: bool = False,
        exact: bool = False,
    ) -> Request:
        """A request in the words of the command line; times are in ms. Grouping without ``agg`` counts.

        Raises:
            RequestError: what cannot be asked of outputs of these kinds.
            ExpressionError: a condition that cannot be understood.
        """
        kinds = with_key(kinds, lives)
        if agg is None and group_by:
            agg = "count"
        aggregates = () if agg is None else parse_aggregates(agg, kinds)
        ranged = every is None and (start is not None or end is not None)
        if per is not None or ranged or over_time(aggregates):
            if at is not None or every is not None or lives:
                raise RequestError(
                    "per and aggregates over time are for intervals, at, every and lives for single times; "
                    "give one or the other"
                )
            if start is None or end is None:
                raise RequestError("a question over time needs from and to")
            over = (start, end, per or 0)
            request = cls(*_over(aggregates, group_by), where, None, None, top, by, False, exact, over)
            request.check(kinds)
            return request
        grid = None
        if every is not None:
            if start is None or end is None:
                raise RequestError("a series of times needs all of from, to and every")
            grid = (start, end, every)
        ticks = None if at is None else tuple(sorted(set(at)))
        request = cls(aggregates, tuple(dict.fromkeys(group_by)), where, ticks, grid, top, by, lives, exact)
        request.check(kinds)
        return request

    def check(self, kinds: Mapping[str, Kind]) -> None:
        """As `parse` does.

        Raises:
            RequestError: it cannot be asked of outputs of these kinds.
            ExpressionError: the condition cannot be understood.
        """
        if self.over is not None:
            self._check_over(with_key(kinds, True))
            return
        kinds = with_key({**kinds, CLOSED: Kind.BOOL}, self.lives)
        if self.ticks() is not None and self.lives:
            raise RequestError("lives are asked at their newest events; leave out at, from, to and every")
        for aggregate in self.aggregates:
            if aggregate.output is not None:
                check_output(aggregate, kinds)
        for name in self.group_by:
            if kind_of(name, kinds, "group by") is Kind.RATIO:
                raise RequestError(
                    f"cannot group by {name}, a Ratio: nearly every key has another value; "
                    f"group by a comparison of it (an output such as @{name} > 0.1), or ask for "
                    f"histogram({name})"
                )
        self._check_columns()
        if self.where is not None:
            parse_where(self.where, kinds)
        self._check_top(kinds)

    def _check_columns(self) -> None:
        for aggregate in self.aggregates:
            if aggregate.label in self.group_by:
                raise RequestError(
                    f"two columns would be called {aggregate.label}: the output that is grouped by, and the "
                    "aggregate; give the output another name"
                )

    def _check_over(self, kinds: Mapping[str, Kind]) -> None:
        self.edges()
        if not self.aggregates:
            raise RequestError(
                "from and to need every (a series of times), or agg (aggregates over the time between them, "
                "such as count, duration, avg(OUTPUT))"
            )
        for aggregate in self.aggregates:
            if aggregate.output is not None:
                check_output(aggregate, kinds, over=True)
        for name in self.group_by:
            if kind_of(name, kinds, "group by") not in (Kind.STATE, Kind.BOOL):
                raise RequestError(
                    f"cannot group by {name}, a {kinds[name].value}, over time: its value changes all the "
                    f"time; group by a comparison of it (an output such as @{name} > 0.1)"
                )
            if name in ("from", "to"):
                raise RequestError(f"cannot group by {name}: rows of intervals have a column of that name")
        self._check_columns()
        if self.where is not None:
            parse_where(self.where, kinds)
        self._check_top(kinds)

    def edges(self) -> I64:
        """Where the intervals of ``over`` begin, and behind them where the last one ends.

        Raises:
            RequestError: there are none or too many, or ticks that do not exist.

        >>> Request(over=(7, 25, 10)).edges().tolist()
        [7, 10, 20, 25]
        """
        assert self.over is not None
        start, end, per = self.over
        if not 0 <= start < end <= MAX_TICK + 1:
            raise RequestError(
                f"from is earlier than to, and both lie between 0 and {MAX_TICK} ms, got {start} to {end} ms"
            )
        if per < 0:
            raise RequestError(f"per is at least 1ms, got {per}ms")
        if per and (end - 1) // per - start // per >= MAX_TICKS:
            raise RequestError(
                f"an answer has at most {MAX_TICKS} intervals, got {(end - 1) // per - start // per + 1}; "
                "take a longer per or a shorter time"
            )
        inner = np.arange((start // per + 1) * per, end, per) if per else np.empty(0, np.int64)
        return np.concatenate(([start], inner, [end])).astype(np.int64)

    def _check_top(self, kinds: Mapping[str, Kind]) -> None:
        if self.by is None and self.top is None:
            return
        if self.by is None:
            raise RequestError("top needs by: what the rows are ordered by, the largest first")
        if self.top is None:
            raise RequestError("by needs top: how many rows are wanted")
        if not 1 <= self.top <= MAX_ROWS:
            raise RequestError(f"top is a number from 1 to {MAX_ROWS}, got {self.top}")
        if self.aggregates:
            labels = [a.label for a in self.aggregates if a.function != "histogram"]
            if self.by not in labels:
                raise RequestError(
                    f"groups are ordered by one of their columns, got {self.by}; "
                    f"expected {', '.join(labels)}{near(self.by, labels)}"
                )
        else:
            kind_of(self.by, kinds, "order by")

    def ticks(self) -> I64 | None:
        """The ticks that are asked for, sorted; ``None`` for each key's newest event.

        Raises:
            RequestError: none, too many, or ticks that do not exist.
        """
        if self.grid is None and self.at is None:
            return None
        if self.grid is not None and self.at is not None:
            raise RequestError("give at, or a series of from, to and every, not both")
        if self.grid is None:
            ticks = np.array(self.at, np.int64)
        else:
            start, end, every = self.grid
            if every < 1:
                raise RequestError(f"every is at least 1ms, got {every}ms")
            if (end - start) // every >= MAX_TICKS:
                raise RequestError(
                    f"a series has at most {MAX_TICKS} times, got {(end - start) // every + 1}; "
                    "take a longer every or a shorter time"
                )
            ticks = np.arange(-(-start // every) * every, end + 1, every)
            if not len(ticks):
                raise RequestError(
                    f"no multiple of every ({format_duration(every)}) lies from {start} to {end} ms; take a "
                    "shorter every, or an earlier from or a later to"
                )
        if not 1 <= len(ticks) <= MAX_TICKS:
            raise RequestError(f"a request asks for 1 to {MAX_TICKS} times, got {len(ticks)}")
        if not 0 <= int(ticks[0]) <= int(ticks[-1]) <= MAX_TICK:
            raise RequestError(f"a time lies between 0 and {MAX_TICK} ms, got {ticks[0]} to {ticks[-1]} ms")
        return ticks

    def to_wire(self) -> dict[str, Any]:
        """The request as JSON, from which `from_wire` makes it again."""
        wire = asdict(self)
        del wire["most"]
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Request:
        """The inverse of `to_wire`."""
        aggregates = (
            Aggregate(a["label"], a["function"], a["output"], tuple(a["arguments"]))
            for a in wire["aggregates"]
        )
        at, grid = wire["at"], wire["grid"]
        return cls(
            tuple(aggregates),
            tuple(wire["group_by"]),
            wire["where"],
            None if at is None else tuple(at),
            None if grid is None else (grid[0], grid[1], grid[2]),
            wire["top"],
            wire["by"],
            wire.get("lives", False),
            wire.get("exact", False),
            None if wire.get("over") is None else (wire["over"][0], wire["over"][1], wire["over"][2]),
        )


def over_time(aggregates: Sequence[Aggregate]) -> bool:
    """Whether any aggregate is of a stretch of time."""
    return any(a.function in OVER_TIME for a in aggregates)


def needs_span(
    kinds: Mapping[str, Kind],
    *,
    agg: str | None = None,
    start: int | None = None,
    end: int | None = None,
    every: int | None = None,
    per: int | None = None,
    **words: Any,
) -> bool:
    """Whether a question, in the words of `Request.parse`, is from some time to another, and does not say
    both.

    Raises:
        RequestError, ExpressionError: it cannot be asked, whatever the times.

    >>> needs_span({"b": Kind.BOOL}, agg="duration(b)"), needs_span({"b": Kind.BOOL}, agg="sum(b)")
    (True, False)
    """
    if start is not None and end is not None:
        return False
    timed = any(one is not None for one in (start, end, every, per))
    if agg is not None:
        timed |= over_time(parse_aggregates(agg, with_key(kinds, bool(words.get("lives")))))
    if timed:
        first = max(every or per or 1, 1)
        Request.parse(kinds, agg=agg, every=every, per=per, start=first, end=2 * first, **words)
    return timed


def _over(
    aggregates: Sequence[Aggregate], group_by: Sequence[str]
) -> tuple[tuple[Aggregate, ...], tuple[str, ...]]:
    """Aggregates and groups as intervals are asked for: ``duration_by`` is a duration by groups.

    Raises:
        RequestError: an aggregate that only values at one time have.
    """
    made, groups = [], list(group_by)
    for one in aggregates:
        if one.function not in INTERVAL_FUNCTIONS or (one.function == "count" and one.output is not None):
            raise RequestError(
                f"{one.label} is of values at one time; over intervals there are count, duration, "
                "duration(OUTPUT), duration_by(OUTPUT), rises, change, avg, min, max, distinct"
            )
        output: str | None = one.output
        if one.function == "duration_by":
            assert output is not None
            groups.append(output)
            output = next(iter(one.arguments), None)
        made.append(Aggregate(one.label, INTERVAL_FUNCTIONS[one.function][0], output))
    return tuple(made), tuple(dict.fromkeys(groups))


def with_key(kinds: Mapping[str, Kind], lives: bool) -> Mapping[str, Kind]:
    """The outputs, and the key itself where lives are asked and no output is called so."""
    return {KEY: Kind.STATE, **kinds} if lives else kinds

"""Groups of all streams in one row: what streams say of a time is put together once all have said it.

Pure, as `timeline.sinks.emission` is. A row is the same whatever the streams' order was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson

from timeline.aggregate import Partial, kinds_of, merge
from timeline.aggregate.checking import check_group, check_state, whole
from timeline.aggregate.measures import measures_of
from timeline.aggregate.parts import cell_of
from timeline.errors import WireError, shortened
from timeline.sinks.batches import Row
from timeline.sinks.groups import Part, rows_of, types_of, with_times
from timeline.spec.sink import Sink
from timeline.spec.spec import Spec
from timeline.values.ticks import MAX_TICK

#: The most times that are put together in one go.
MOST = 500


class Merging:
    """What ``streams`` streams have said, as far as not all have said it; ``until`` is up to where each has,
    ``grid`` the next time of which there are rows, ``None`` before the first. ``size`` is in bytes."""

    def __init__(self, spec: Spec, sink: Sink, streams: int) -> None:
        self.spec, self.sink = spec, sink
        kinds = kinds_of(spec.plan)
        self.kinds = {name: kinds[name] for name in sink.needs(kinds)}
        self.request = sink.request(self.kinds)
        self.measures = measures_of(self.request.aggregates)
        self.until = [0] * streams
        self.grid: int | None = None
        self.size = 0
        self._first: list[int | None] = [None] * streams
        #: From here on all streams know all their keys.
        self._known = 0
        #: Of each stream, in order, with their sizes.
        self._parts: list[deque[tuple[Part, int]]] = [deque() for _ in range(streams)]

    @property
    def low(self) -> int:
        """All streams have said all below this time."""
        return min(self.until)

    def waits_for(self) -> list[int]:
        """The streams that are furthest behind, if others are not."""
        return [number for number, until in enumerate(self.until) if until == self.low < max(self.until)]

    def types(self) -> dict[str, str]:
        """The columns of rows, as `timeline.sinks.emission.Emission.types` says them."""
        return types_of(self.request, self.kinds)

    def take(self, stream: int, handed: Mapping[str, Any]) -> bool:
        """Takes note of what a stream says (a `Handed`). False if it has said all of it before.

        Raises:
            WireError: it says nothing that can be understood.
        """
        try:
            until, first, parts = handed["until"], handed["first"], handed["parts"]
            known = handed.get("known", 0)
            times = [until, known, *([] if first is None else [first]), *(part["at"] for part in parts)]
            if (
                type(stream) is not int
                or not 0 <= stream < len(self.until)
                or not all(map(self._is_time, times))
            ):
                raise ValueError("a time or a stream is none")
            for part in parts:
                self._check(part)
            good = [part for part in parts if self.until[stream] <= part["at"] < until]
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise WireError(
                f"groups of stream {shortened(str(stream), 20)} are none: {shortened(repr(error), 80)}"
            ) from None
        if until <= self.until[stream]:
            return False
        self.until[stream] = until
        self._known = max(self._known, known)
        if self._first[stream] is None:
            self._first[stream] = first
        for part in sorted(good, key=lambda part: part["at"]):
            self._keep(stream, part)
        return True

    def rows(self) -> list[Row] | None:
        """Some of the rows of times that all streams have told of; ``None`` when there are no more.

        Raises:
            LimitError: more groups at a time than an answer has.
        """
        assert self.sink.every is not None
        first = min((at for at in self._first if at is not None), default=None)
        if first is None or first >= self.low:
            return None
        self.grid = max(first, self._known) if self.grid is None else self.grid
        self._drop_before(self.grid)
        rows: list[Row] = []
        for _ in range(MOST):
            if self.request.group_by:
                # A time without a group has no row.
                told = min((own[0][0]["at"] for own in self._parts if own), default=self.low)
                self.grid = max(self.grid, min(told, self.low))
            if self.grid >= self.low:
                break
            now = [own for own in self._parts if own and own[0][0]["at"] == self.grid]
            parts = [own[0][0] for own in now]
            counted = [part["counted"] for part in parts if "counted" in part]
            excluded = sum(part.get("excluded", 0) for part in parts)
            asked = with_times(self.request, self.grid, self.grid, self.sink.every)
            found = merge(asked, list(map(self._partial, parts)), self.kinds)
            rows += rows_of(
                self.sink,
                self.spec.name,
                None,
                self.request,
                found,
                {self.grid: excluded} if excluded else {},
                sum(counted) if counted else None,
            )
            for own in now:
                self.size -= own.popleft()[1]
            self.grid += self.sink.every
        return rows or None

    def carried(self) -> dict[str, Any]:
        """All that it knows, as JSON."""
        parts = [[part for part, _ in own] for own in self._parts]
        carried = {"until": self.until, "grid": self.grid, "first": self._first, "parts": parts}
        return carried | {"known": self._known}

    def restore(self, carried: dict[str, Any]) -> None:
        """The inverse of `carried`."""
        self.until, self.grid, self._first = carried["until"], carried["grid"], carried["first"]
        self._known = carried.get("known", 0)
        for stream, parts in enumerate(carried["parts"]):
            for part in parts:
                self._keep(stream, part)

    def _keep(self, stream: int, part: Part) -> None:
        size = len(orjson.dumps(part))
        self._parts[stream].append((part, size))
        self.size += size

    def _drop_before(self, time: int) -> None:
        """Forgets what streams that know all their keys say of times at which another does not."""
        for own in self._parts:
            while own and own[0][0]["at"] < time:
                self.size -= own.popleft()[1]

    def _is_time(self, at: object) -> bool:
        assert self.sink.every is not None
        return type(at) is int and 0 <= at <= MAX_TICK + self.sink.every and at % self.sink.every == 0

    def _check(self, part: Part) -> None:
        kinds = [self.kinds[name] for name in self.request.group_by]
        if len(part["cells"]) > self.request.most:
            raise ValueError("more groups than an answer has")
        for group, states in part["cells"]:
            check_group(group, kinds)
            for measure, state in zip(self.measures, states, strict=True):
                check_state(measure, state)
        for name in "counted", "excluded":
            whole(part.get(name, 0))
        self._partial(part)

    def _partial(self, part: Part) -> Partial:
        made = Partial(None, 0)
        for group, states in part["cells"]:
            known = (measure.from_wire(s) for measure, s in zip(self.measures, states, strict=True))
            made.cells[cell_of(0, group)] = tuple(known)
        return made

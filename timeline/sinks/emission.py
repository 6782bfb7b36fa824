"""What a sink says of one stream: rows of final values, each once, in an order that a replay repeats.

Pure, as nodes are: the workflow hands in patches, takes rows out and brings them to where they go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from timeline.aggregate import Request, kinds_of, merge, partial
from timeline.aggregate.where import holds, parse_where, table_of
from timeline.engine.answers import Answers
from timeline.engine.key_columns import KeyColumn
from timeline.engine.node import Node
from timeline.engine.state import NodeState
from timeline.language.expression import Expression
from timeline.operators.outputs import Outputs
from timeline.sinks.batches import Row
from timeline.sinks.groups import (
    TYPES,
    Handed,
    Part,
    alone,
    at_most,
    excluded_at,
    parts_of,
    rows_of,
    types_of,
    with_times,
)
from timeline.sinks.places import Places, instant, spread
from timeline.sinks.tidying import Tidying
from timeline.spec.sink import Sink
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.tables.lateness import final_until, is_closed, watermark
from timeline.tables.packing import key_of, packed, start_of, tick_of
from timeline.tables.splicing import rows_in
from timeline.tables.table import Table, Window, lookup
from timeline.values.kinds import Kind
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64

T = TypeVar("T")
#: By key code: all ticks (ms) below are done. Its sink carries it.
EMITTED = KeyColumn(0, born=False, carried=False)
#: The column that says from when on (ms) operators with memory counted, of rows of keys.
COUNTED_FROM = "counted_from"
#: The most places, or groups at a time, that are looked at in one go; and keys, of which most have none.
MOST, MOST_KEYS = 2_000, 10_000


class Emission(Node):
    """The outputs of a timeline that a sink needs, at one position, and what was said of them.

    ``grid`` (ms): the next time at which rows of groups are made of all keys; ``None`` before the first.
    ``said`` (ms): below which time all was handed over, if those of all streams are merged.
    """

    def __init__(self, spec: Spec, sink: Sink, stream: int) -> None:
        self.spec, self.sink, self.stream = spec, sink, stream
        self.label = sink.label(spec.name)
        every: dict[str, Kind] = kinds_of(spec.plan)
        self.kinds = {name: every[name] for name in self.sink.needs(every)}
        self.shown = [name for name in self.sink.shown(every) if name in self.kinds]
        self.where: Expression | None = None
        if self.sink.where is not None:
            self.where = parse_where(self.sink.where, self.kinds)
        nodes = [spec.plan.outputs[name] for name in self.kinds]
        operator = Outputs(tuple(self.kinds), tuple(node.before_origin for node in nodes))
        kinds = [node.operator.kind for node in nodes]
        self.attach(NodeState(operator, kinds, spec.node_limits, columns={"emitted": EMITTED}))
        self.shrinking: Tidying = Tidying(self.state, self._done, self.sink.every or 0)
        self.answers = _AllKeys(self.state)
        self.grid: int | None = None
        self.said = 0

    def types(self) -> dict[str, str]:
        """The columns of rows that are outputs or aggregates, with what they hold in files of columns:
        ``bool``, ``int``, ``float``, or ``text``, as which a State and a histogram are written."""
        if self.sink.aggregates:
            return types_of(self.sink.request(self.kinds), self.kinds)
        return {name: TYPES.get(self.kinds[name], "float") for name in self.shown} | {COUNTED_FROM: "int"}

    def _done(self) -> I64:
        """By key code, below which tick rows are made."""
        by_key = self.state.by_key
        if self.sink.aggregates:
            return np.full(len(by_key), 0 if self.grid is None else self.grid)
        if self.sink.when == "close":
            return watermark(self.state.limits, by_key.newest, self.state.stream_time)
        return by_key["emitted"]

    @property
    def _is_late(self) -> bool:
        return bool(self.state.by_key.counted_from.any())

    def inputs(self) -> dict[int, list[int]]:
        """For each node of the plan that is needed (by its index), which inputs it is."""
        inputs: dict[int, list[int]] = {}
        for number, name in enumerate(self.kinds):
            inputs.setdefault(self.spec.plan.outputs[name].index, []).append(number)
        return inputs

    # --- steps -----------------------------------------------------------------------------------

    def next_position(self) -> Position | None:
        """The next position that all inputs have reached."""
        return min(set.intersection(*(edge.complete() for edge in self.state.edges)), default=None)

    def step(self, target: Position | None) -> None:
        """Goes to a position; without one, takes what amends the one that was reached."""
        if target is None:
            self.advance()
            return
        later = []
        for edge in self.state.edges:
            count = sum(p.position <= target for p in edge.pending)
            later.append(edge.pending[count:])
            edge.pending = edge.pending[:count]
        self.advance()
        for edge, rest in zip(self.state.edges, later, strict=True):
            edge.pending += rest

    def carried(self) -> dict[str, Any]:
        """What `timeline.engine.state_wire.to_state` does not know of, as JSON."""
        carried = {"emitted": self.state.by_key["emitted"].tolist(), "grid": self.grid}
        return carried | {"said": self.said} if self.sink.merged else carried

    def restore(self, carried: dict[str, Any]) -> None:
        """The inverse of `carried`."""
        self.state.by_key["emitted"] = np.array(carried["emitted"], np.int64)
        self.grid = carried["grid"]
        self.said = carried.get("said", 0)

    def tidy(self) -> None:
        """Forgets what no row can need any more. To be called when all rows of a position are done."""
        self.shrinking.now()

    # --- rows ------------------------------------------------------------------------------------

    def rows(self) -> list[Row] | None:
        """Some of the rows that are final and were not given yet; ``None`` when there are no more."""
        if self.sink.aggregates:
            return self._groups()
        places = self._places()
        if places is None:
            return None
        self.state.by_key["emitted"][places.code] = places.until
        return self._of_keys(places.at)

    def final(self) -> I64:
        """By key code: below which tick nothing can change any more."""
        until = final_until(self.state.limits, self.state.by_key.newest, self.state.stream_time)
        until[self.state.by_key.newest < 0] = 0
        return until

    def _places(self) -> Places | None:
        """Up to `MOST` places of keys that have something final that was not looked at, in order."""
        begin = np.maximum(self.state.by_key["emitted"], self._begin())
        until = self.final()
        ready = begin < until
        if self.sink.when == "close":
            ready &= is_closed(self.state.limits, self.state.by_key.newest, self.state.stream_time)
        if self.state.quarantined:
            ready[list(self.state.quarantined)] = False
        codes = np.flatnonzero(ready)
        codes = codes[: MOST_KEYS if self.sink.when == "change" else MOST]
        if not len(codes):
            return None
        begin, until = begin[codes], until[codes]
        if self.sink.when == "close":
            return Places(packed(codes, self.state.by_key.newest[codes]), codes, until)
        at = self._grid(codes, begin, until) if self.sink.every else self._changes(codes, begin, until)
        if len(at) > MOST:
            at = at[:MOST]
            last = int(at[-1])
            done = codes <= key_of(last)
            codes, until = codes[done], until[done]
            # The key that the last of them is of may have more.
            until[-1] = tick_of(last) + 1
        return Places(at, codes, until)

    def _begin(self) -> I64:
        """By key code, from which tick on all outputs are known."""
        begin = np.zeros(len(self.state.keys), np.int64)
        known = np.ones(len(self.state.keys), bool)
        for edge in self.state.edges:
            first = edge.table.heads(np.arange(len(begin)))
            there = np.zeros(len(self.state.keys), bool)
            there[key_of(first)] = True
            known &= there
            begin[key_of(first)] = np.maximum(begin[key_of(first)], tick_of(first))
        begin[~known] = MAX_TICK + 1
        return begin

    def _grid(self, codes: I64, begin: I64, until: I64) -> I64:
        assert self.sink.every is not None
        every = self.sink.every
        first = -(-begin // every)
        count = np.maximum(-(-until // every) - first, 0)
        # One more than are wanted tells that there are more.
        count = np.minimum(count, MOST + 1)
        enough = int(np.searchsorted(np.cumsum(count), MOST + 1)) + 1
        codes, first, count = codes[:enough], first[:enough], count[:enough]
        offset = np.cumsum(count) - count
        number = np.arange(int(count.sum())) - np.repeat(offset, count)
        places: I64 = packed(np.repeat(codes, count), (np.repeat(first, count) + number) * every)
        return places

    def _changes(self, codes: I64, begin: I64, until: I64) -> I64:
        """Where an output has another row, or the condition begins to hold."""
        tables = self._tables()
        window = Window(packed(codes, begin))
        found = [tables[name].at[rows_in(tables[name], window)] for name in self.shown]
        if self.where is not None:
            # From one tick earlier on: a row at the start is there only if something changes.
            before = np.maximum(begin - 1, self._begin()[codes])
            timeline = table_of(self.where, Window(packed(codes, before)), tables)
            found.append(timeline.at[timeline.value & (timeline.at >= spread(timeline.at, codes, begin))])
        at = np.unique(np.concatenate(found))
        return at[tick_of(at) < until[np.searchsorted(codes, key_of(at))]]

    def _tables(self) -> dict[str, Table]:
        return dict(zip(self.kinds, (edge.table.whole() for edge in self.state.edges), strict=True))

    def _of_keys(self, at: I64) -> list[Row]:
        tables = self._tables()
        if self.where is not None and len(at):
            made_up = start_of(np.arange(len(at)))
            instants = {name: instant(tables[name], at, made_up) for name in self.kinds}
            at = at[holds(self.where, made_up, instants)]
        columns = []
        for name in self.shown:
            row, _ = lookup(tables[name], at)
            columns.append(tables[name].python_values(row, at) if len(at) else [])
        codes, ticks = key_of(at).tolist(), tick_of(at).tolist()
        rows, is_late = [], self._is_late
        for code, tick, *values in zip(codes, ticks, *columns, strict=True):
            key = self.state.key_of_code(code)
            # Each life of a key has another origin.
            life = "" if self.state.limits.key_ttl is None else f"{int(self.state.by_key.origin[code])}/"
            place = {"timeline": self.spec.name, "stream": self.stream, "key": key, "at": tick}
            values_by_name = dict(zip(self.shown, values, strict=True))
            if is_late:
                values_by_name[COUNTED_FROM] = int(self.state.by_key.counted_from[code]) or None
            rows.append({"id": f"{self.label}/{self.stream}/{key}/{life}{tick}", **place, **values_by_name})
        return rows

    # --- groups ----------------------------------------------------------------------------------

    def _groups(self) -> list[Row] | None:
        """Rows of groups at the next times that are final for all keys, also those that may still come."""
        request, is_late = self.sink.request(self.kinds), self._is_late

        def answer(asked: Request) -> list[Row]:
            made = partial(self.answers, asked)
            excluded, counted = excluded_at(made, asked), made.counted if is_late else None
            result = merge(asked, [made])
            return rows_of(self.sink, self.spec.name, self.stream, request, result, excluded, counted)

        found = self._at_next_times(answer)
        return None if found is None else found[1]

    def hand_over(self) -> Handed | None:
        """What is said of the next times that are final, for `timeline.sinks.merging`; ``None`` when there is
        no more."""
        assert self.sink.every is not None
        is_late, every = self._is_late, self.sink.every
        known = self._begins_late() if self.grid is None else None

        def answer(asked: Request) -> list[Part]:
            made = partial(self.answers, asked)
            parts = parts_of(made, asked)
            for part in parts if is_late else []:
                part["counted"] = made.counted
            return parts

        found, until = self._at_next_times(answer), self.grid
        if until is None:
            # Before a stream's first key it has nothing, and says so: others are not to wait for it.
            final = self._final_of_groups()
            until = 0 if final is None else -(-final // every) * every
        if found is None and until <= self.said:
            return None
        self.said = until
        first, parts = (None, []) if found is None else found
        handed = Handed(first=first, until=until, parts=parts)
        if known is not None:
            handed["known"] = -(-known // every) * every
        return handed

    def _begins_late(self) -> int | None:
        """From which tick on all keys are known, if some are not from their origin on: their nodes had
        forgotten. To be asked before anything is tidied away."""
        begin = self._begin()
        late = (begin > self.state.by_key.origin) & (begin <= MAX_TICK)
        return int(begin[late].max()) if late.any() else None

    def _final_of_groups(self) -> int | None:
        """Below which tick nothing changes of any key, nor of one that may still come."""
        limits = self.state.limits
        after = limits.allowed_lateness if limits.by_stream else limits.closed_after
        return None if after is None else self.state.stream_time - after

    def _at_next_times(self, answer: Callable[[Request], T]) -> tuple[int, T] | None:
        """What is answered to the question at the next final times, with the first of them."""
        assert self.sink.every is not None
        every, final = self.sink.every, self._final_of_groups()
        if final is None:
            return None
        grid = self.grid
        if grid is None:
            start = self._begins_late()
            start = int(self.state.by_key.origin.min(initial=MAX_TICK + 1)) if start is None else start
            if start > final:
                return None
            grid = -(-start // every) * every
        last = (final - 1) // every * every
        if grid > last:
            self.grid = grid
            return None
        times = min(MOST, (last - grid) // every + 1, max(1, 1_000_000 // max(1, len(self.state.keys))))
        request = self.sink.request(self.kinds)
        if self._is_late or alone(request):
            times = 1  # so that it can be said of each time how many keys are
        times, found = at_most(
            times, lambda times: answer(with_times(request, grid, grid + (times - 1) * every, every))
        )
        self.grid = grid + times * every
        return grid, found


class _AllKeys(Answers):
    """Also what a key says of which nobody can ask any more: rows are made of it yet."""

    def _known(self) -> I64:
        return np.flatnonzero(self.state.by_key.newest >= 0)

"""What a sink says of one stream: rows of final values, each once, in an order that a replay repeats.

Pure, as nodes are: the workflow hands in patches, takes rows out and brings them to where they go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson

from timeline.aggregate import kinds_of, merge, partial
from timeline.aggregate.functions import CLOSED
from timeline.aggregate.where import holds, parse_where, table_of
from timeline.engine.answers import Answers
from timeline.engine.key_columns import KeyColumn
from timeline.engine.node import Node
from timeline.engine.shrinking import Shrinking
from timeline.engine.state import NodeState
from timeline.errors import LimitError
from timeline.language.expression import Expression
from timeline.operators.outputs import Outputs
from timeline.sinks.batches import Row
from timeline.spec.sink import Sink
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.tables.lateness import final_until, is_closed, watermark
from timeline.tables.packing import key_of, packed, start_of, tick_of
from timeline.tables.splicing import rows_in
from timeline.tables.table import Table, Window, lookup, values_at
from timeline.values.kinds import Kind
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64

#: By key code: all ticks (ms) below are done. Its sink carries it.
EMITTED = KeyColumn(0, born=False, carried=False)
#: The most places, or groups at a time, that are looked at in one go; and keys, of which most have none.
MOST, MOST_KEYS = 2_000, 10_000


@dataclass(frozen=True, slots=True)
class _Places:
    """Key codes and ticks, packed, that rows may be made of; and up to where each key is done then."""

    at: I64
    code: I64
    until: I64


class Emission(Node):
    """The outputs of a timeline that a sink needs, at one position, and what was said of them.

    ``grid`` (ms): the next time at which rows of groups are made of all keys; ``None`` before the first.
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
        self.shrinking: _Tidying = _Tidying(self)
        self.answers = _AllKeys(self.state)
        self.grid: int | None = None

    def types(self) -> dict[str, str]:
        """The columns of rows that are outputs or aggregates, with what they hold in files of columns:
        ``bool``, ``int``, ``float``, or ``text``, as which a State and a histogram are written."""
        words = {Kind.BOOL: "bool", Kind.STATE: "text"}
        late = {self._late: "int"} if self._is_late else {}
        if not self.sink.aggregates:
            return {name: words.get(self.kinds[name], "float") for name in self.shown} | late
        request = self.sink.request(self.kinds)
        types = {name: words.get(self.kinds[name], "float") for name in request.group_by}
        functions = {"count": "int", "histogram": "text"}
        return types | {a.label: functions.get(a.function, "float") for a in request.aggregates} | late

    @property
    def _late(self) -> str:
        """What says of a row that operators with memory counted from later than an origin on: from when
        (ms), or of how many keys of a group."""
        return "counted_keys" if self.sink.aggregates else "counted_from"

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
        return {"emitted": self.state.by_key["emitted"].tolist(), "grid": self.grid}

    def restore(self, carried: dict[str, Any]) -> None:
        """The inverse of `carried`."""
        self.state.by_key["emitted"] = np.array(carried["emitted"], np.int64)
        self.grid = carried["grid"]

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

    def _places(self) -> _Places | None:
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
            return _Places(packed(codes, self.state.by_key.newest[codes]), codes, until)
        at = self._grid(codes, begin, until) if self.sink.every else self._changes(codes, begin, until)
        if len(at) > MOST:
            at = at[:MOST]
            last = int(at[-1])
            done = codes <= key_of(last)
            codes, until = codes[done], until[done]
            # The key that the last of them is of may have more.
            until[-1] = tick_of(last) + 1
        return _Places(at, codes, until)

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
            found.append(timeline.at[timeline.value & (timeline.at >= _spread(timeline.at, codes, begin))])
        at = np.unique(np.concatenate(found))
        return at[tick_of(at) < until[np.searchsorted(codes, key_of(at))]]

    def _tables(self) -> dict[str, Table]:
        return dict(zip(self.kinds, (edge.table.whole() for edge in self.state.edges), strict=True))

    def _of_keys(self, at: I64) -> list[Row]:
        tables = self._tables()
        if self.where is not None and len(at):
            made_up = start_of(np.arange(len(at)))
            instants = {name: _instant(tables[name], at, made_up) for name in self.kinds}
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
                values_by_name[self._late] = int(self.state.by_key.counted_from[code]) or None
            rows.append({"id": f"{self.label}/{self.stream}/{key}/{life}{tick}", **place, **values_by_name})
        return rows

    def _groups(self) -> list[Row] | None:
        """Rows of groups at the next times that are final for all keys, also those that may still come."""
        assert self.sink.every is not None
        every, limits = self.sink.every, self.state.limits
        after = limits.allowed_lateness if limits.by_stream else limits.closed_after
        if after is None:
            return None
        final = self.state.stream_time - after
        if self.grid is None:
            known = self.state.by_key.origin[self.state.by_key.origin <= MAX_TICK]
            if not len(known) or int(known.min()) > final:
                return None
            self.grid = -(-int(known.min()) // every) * every
        last = (final - 1) // every * every
        if self.grid > last:
            return None
        times = min(MOST, (last - self.grid) // every + 1, max(1, 1_000_000 // max(1, len(self.state.keys))))
        is_late = self._is_late
        if is_late:
            times = 1  # so that it can be said of each time how many keys are
        request = self.sink.request(self.kinds)
        where = f"!{CLOSED}" if request.where is None else f"!{CLOSED} && ({request.where})"
        found = None
        while found is None:
            last = self.grid + (times - 1) * every
            asked = replace(request, where=where, grid=(self.grid, last, every))
            try:
                found = merge(asked, [partial(self.answers, asked)])
            except LimitError:
                if times == 1:
                    raise
                times //= 2
        self.grid = last + every
        rows = []
        for row in found.rows:
            at = row.pop("at")
            # Text in quotes, so that no two values look alike.
            group = "".join(f"{orjson.dumps(row[name]).decode()}/" for name in request.group_by)
            place = {"timeline": self.spec.name, "stream": self.stream, "at": at}
            if is_late:
                row[self._late] = found.counted
            rows.append({"id": f"{self.label}/{self.stream}/{group}{at}", **place, **row})
        return rows


def _spread(at: I64, codes: I64, tick: I64) -> I64:
    """For each packed place the packed ``tick`` of its key, of those of ``codes`` (sorted)."""
    spread: I64 = packed(codes, tick)[np.searchsorted(codes, key_of(at))]
    return spread


def _instant(table: Table, at: I64, made_up: I64) -> Table:
    row, _ = lookup(table, at)
    value = values_at(table, row, at)
    slope = None if table.slope is None else np.zeros(value.shape, value.dtype)
    return Table(table.kind, made_up, value, slope, table.vocabulary, table.unit)


class _AllKeys(Answers):
    """Also what a key says of which nobody can ask any more: rows are made of it yet."""

    def _known(self) -> I64:
        return np.flatnonzero(self.state.by_key.newest >= 0)


class _Tidying(Shrinking):
    """Keeps what was not emitted, whatever retention says; works only when it is told to."""

    def __init__(self, emission: Emission) -> None:
        super().__init__(emission.state)
        self.emission = emission

    def after_step(self) -> None:
        """Rows are made of the tables first."""

    def now(self) -> None:
        super().after_step()

    def _collapse(self, retention: int) -> None:
        by_key, sink, grid = self.state.by_key, self.emission.sink, self.emission.grid
        if sink.aggregates:
            done = np.full(len(by_key), 0 if grid is None else grid)
        elif sink.when == "close":
            done = watermark(self.state.limits, by_key.newest, self.state.stream_time)
        else:
            done = by_key["emitted"]
        # A tick more: whether something changes at the first that is not done.
        horizon = packed(np.arange(len(by_key)), np.maximum(done - 1, 0))
        for edge in self.state.edges:
            edge.table.collapse(horizon)

    def _forget(self, after: int) -> None:
        limits = self.state.limits
        assert limits.key_ttl is not None
        longest = 2 * limits.key_ttl + (limits.allowed_lateness or 0) + (self.emission.sink.every or 0)
        super()._forget(max(after, longest))

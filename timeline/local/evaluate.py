"""Local evaluation: an expression over all events of some files, in one pass and one process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from timeline.engine.admission import Admission, admit, time_before
from timeline.engine.lives import Judged, Lives
from timeline.errors import NotFoundError
from timeline.jobs import cores
from timeline.language.builder import Build
from timeline.language.expression import Expression
from timeline.limits import Limits
from timeline.local.dividing import compute_divided
from timeline.operators.outputs import Outputs
from timeline.plan import Plan, PlanNode, make_plan
from timeline.tables.columns import Columns
from timeline.tables.events import Events, Position
from timeline.tables.lateness import now
from timeline.tables.marks import mark_of
from timeline.tables.packing import key_of, pack, tick_of
from timeline.tables.splicing import cut
from timeline.tables.table import Table, Window, lookup
from timeline.values.exact import user_value
from timeline.values.life_names import LifeKeys, key_named
from timeline.values.scalars import Scalar, Value
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64, Keys

#: About how many rows are made at a time.
CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class Row:
    """The value of a key at tick ``at`` (ms): a state, a truth, a number (seconds for durations); of a
    set of outputs, that of each by its name."""

    key: str
    at: int
    value: Value


@dataclass(frozen=True)
class Evaluation:
    """The tables of all nodes of a plan over a set of events.

    ``tables[i]`` belongs to ``plan.nodes[i]``; ``codes`` are those of the keys that have accepted events,
    sorted by name; ``origin`` and ``newest`` (ms) go with them. With ``limits.key_ttl`` a code is a life, and
    those of a key follow each other in order of time.
    """

    plan: Plan
    keys: Keys
    codes: I64
    origin: I64
    newest: I64
    tables: Sequence[Table]
    accepted: int
    refused: int
    limits: Limits
    #: The time of the stream (ms): its newest event of all keys, of which these may be a part.
    stream_time: int = -1

    @cached_property
    def _names(self) -> list[str]:
        """The key of each code."""
        named = key_named if isinstance(self.keys, LifeKeys) else str
        return [named(self.keys.name(code)) for code in self.codes.tolist()]

    @cached_property
    def _ranges(self) -> dict[str, range]:
        """By key where its lives are among the codes."""
        heads = [i for i, name in enumerate(self._names) if i == 0 or name != self._names[i - 1]]
        ends = [*heads, len(self._names)][1:]
        return {self._names[i]: range(i, end) for i, end in zip(heads, ends, strict=True)}

    def names(self) -> list[str]:
        """The keys that have accepted events, sorted."""
        return list(self._ranges)

    def lives(self, key: str) -> list[tuple[int, int]]:
        """The first and the newest time (ms) of each life of a key; without ``limits.key_ttl`` it has one.

        Raises:
            NotFoundError: a key without events.
        """
        return [(int(self.origin[i]), int(self.newest[i])) for i in self._lives(key)]

    def values(
        self,
        at: Sequence[int] | None = None,
        *,
        every: int | None = None,
        start: int | None = None,
        end: int | None = None,
        keys: Sequence[str] | None = None,
        node: PlanNode | None = None,
    ) -> Iterator[Row]:
        """Rows key by key, in order of time: at the ticks ``at``, or at the multiples of ``every`` (ms)
        from ``start`` (the origin) to ``end`` (the newest event), both included; without either, one
        row a key at its newest event. Of a key that has lives, the one that covers a tick says its value;
        there is no row between lives.

        Raises:
            NotFoundError: a key without events.
            LimitError: a tick that does not exist.
        """
        node = node or self.plan.result
        outputs = node.operator.names if isinstance(node.operator, Outputs) else None
        asked = [node] if outputs is None else [self.plan.nodes[i] for i in node.inputs]
        wanted = list(self._ranges.values()) if keys is None else [self._lives(key) for key in keys]
        for index, tick in self._places(wanted, at, every, start, end):
            places = pack(self.codes[index], tick)
            names = map(self._names.__getitem__, index.tolist())
            columns = [self._column(one, places) for one in asked]
            if outputs is None:
                yield from map(Row, names, tick.tolist(), columns[0])
                continue
            for name, t, *values in zip(names, tick.tolist(), *columns, strict=True):
                yield Row(name, t, dict(zip(outputs, values, strict=True)))

    def _column(self, node: PlanNode, places: I64) -> list[Scalar]:
        """The values of a node at packed places."""
        table, initial = self.tables[node.index], user_value(node.before_origin)
        row, held = lookup(table, places)
        if held.all():
            return table.python_values(row, places)
        values = table.python_values(row, places) if len(table) else [None] * len(row)
        return [value if known else initial for value, known in zip(values, held.tolist(), strict=True)]

    def _places(
        self,
        wanted: Sequence[range],
        at: Sequence[int] | None,
        every: int | None,
        start: int | None,
        end: int | None,
    ) -> Iterator[tuple[I64, I64]]:
        """Which codes, by their places, and ticks are to be asked for, at most about `CHUNK` at a time."""
        fixed = np.array(sorted(set(at or ())), np.int64)
        if every is None:
            size = max(1, CHUNK // max(1, len(fixed)))
            for first in range(0, len(wanted), size):
                part = wanted[first : first + size]
                if at is None:
                    index = np.array([lives[-1] for lives in part], np.int64)
                    yield index, now(self.limits, self.newest[index], self.stream_time)
                else:
                    yield self._covering(part, np.tile(fixed, len(part)), len(fixed))
            return
        for lives in wanted:
            begin = int(self.origin[lives[0]]) if start is None else start
            last = int(self.newest[lives[-1]]) if end is None else end
            rest = fixed
            for low in range(-(-begin // every) * every, last + 1, every * CHUNK):
                ticks = np.arange(low, min(low + every * CHUNK, last + 1), every)
                among = rest <= ticks[-1]
                ticks, rest = np.union1d(ticks, rest[among]), rest[~among]
                yield self._covering([lives], ticks, len(ticks))
            if len(rest):
                yield self._covering([lives], rest, len(rest))

    def _covering(self, keys: Sequence[range], tick: I64, each: int) -> tuple[I64, I64]:
        """For keys and ``each`` of their ticks the life that covers them. The first of a key covers what is
        before it too, the last what is behind it; what lies between lives is left out."""
        first = np.repeat(np.array([lives[0] for lives in keys], np.int64), each)
        last = np.repeat(np.array([lives[-1] for lives in keys], np.int64), each)
        ttl = self.limits.key_ttl
        if ttl is None:
            return first, tick
        rank, origins = self._in_order
        index = np.searchsorted(origins, pack(rank[first], tick), side="right") - 1
        index = np.maximum(index, first)
        covered = (index == last) | (tick < self.newest[index] + ttl)
        after = self.limits.forgotten_after
        if after is not None:
            # What is before the first may have been of a life that is forgotten.
            forgotten = tick < self.stream_time - after + ttl
            covered &= ~(forgotten & (tick < self.origin[index]))
        return index[covered], tick[covered]

    @cached_property
    def _in_order(self) -> tuple[I64, I64]:
        """By code the number of its key, and where it begins packed with that."""
        rank = np.empty(len(self.codes), np.int64)
        for number, lives in enumerate(self._ranges.values()):
            rank[lives.start : lives.stop] = number
        return rank, pack(rank, self.origin)

    def columns(self) -> Columns:
        """What `timeline.aggregate` asks: all keys of all outputs."""
        origin = np.full(len(self.keys), MAX_TICK + 1, np.int64)
        newest = np.full(len(self.keys), -1, np.int64)
        origin[self.codes], newest[self.codes] = self.origin, self.newest
        return Columns(
            None,
            self._all_names(),
            np.sort(self.codes),
            np.sort(self.codes[[lives[-1] for lives in self._ranges.values()]]),
            origin,
            newest,
            np.zeros(len(self.keys), np.int64),
            np.zeros(len(self.keys), np.int64),
            int(newest.max(initial=-1)),
            self.limits,
            (),
            {name: self.tables[node.index] for name, node in self.plan.outputs.items()},
        )

    def _all_names(self) -> Sequence[str]:
        """The key of every code that there is."""
        names = self.keys.names
        return [key_named(name) for name in names] if isinstance(self.keys, LifeKeys) else names

    def timeline(self, key: str, node: PlanNode, life: int = -1) -> Table:
        """The rows of one key of a node; of its newest life, or that of this number among `lives`.

        Raises:
            NotFoundError: a key without events.
        """
        code = int(self.codes[self._lives(key)[life]])
        return cut(self.tables[node.index], Window.of_key(code))

    def span(self, key: str) -> tuple[int, int]:
        """The origin and the newest tick of a key, or of its newest life.

        Raises:
            NotFoundError: a key without events.
        """
        return self.lives(key)[-1]

    def _lives(self, key: str) -> range:
        if key not in self._ranges:
            raise no_such_key(key, self.names())
        return self._ranges[key]


def no_such_key(key: str, names: Sequence[str]) -> NotFoundError:
    """What to say of a key without events, where there are those of ``names``."""
    some = ", ".join(repr(name) for name in names[:5])
    more = ", ..." if len(names) > 5 else ""
    return NotFoundError(f"no events of key {key!r}; there are {some or 'none'}{more}")


def evaluate(
    expression: str | Build | Expression | Plan,
    events: Events,
    limits: Limits | None = None,
    jobs: int | None = None,
    marks: Sequence[Position] = (),
) -> Evaluation:
    """The value of an expression over events, for every key at every tick.

    ``events`` are in stream order: of two at one tick the later counts as state, and with
    ``limits.allowed_lateness`` what is below a key's watermark at its place is refused. Without
    ``limits`` no event is late and no key is ever closed. ``jobs`` is how many cores work on it (all that
    there are); the result does not depend on it. ``marks`` are those of the stream, in order
    (`timeline.tables.marks`).

    Raises:
        ExpressionError: text that cannot be understood, or parts that do not fit.
        LimitError: more keys than a table can hold.

    >>> from timeline.tables.events import from_rows
    >>> events = from_rows([("s", t * 1000, {"state": v}) for t, v in [(1, "play"), (4, "buffer")]])
    >>> result = evaluate('duration_where(latest_event_to_state(state) == "buffer")', events)
    >>> list(result.values(at=[4000, 6500]))
    [Row(key='s', at=4000, value=0), Row(key='s', at=6500, value=2.5)]
    """
    plan = expression if isinstance(expression, Plan) else make_plan(expression)
    limits = limits or Limits()
    stream, stream_time = _times(events, marks)
    none_yet = np.full(len(events.keys), -1, np.int64)
    keys = Keys(events.keys)
    judged: Admission | Judged
    if limits.key_ttl is None:
        judged = admit(events.key, events.tick, none_yet, stream, limits)
    else:
        keys = LifeKeys()
        judged = Lives(limits, keys).judge(
            events.keys, events.key, events.tick, stream, none_yet[:0], none_yet[:0]
        )
    if len(judged.live) < len(events):
        events = events.take(judged.live)
    if isinstance(judged, Judged):
        events = replace(events, keys=keys.names, key=judged.life)
    accepted, refused = len(judged.live), len(judged.refused)
    return compute(plan, events, keys, limits, accepted, refused, stream_time, jobs or cores())


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
    after = limits.forgotten_after
    known: Iterable[int] = range(len(codes))
    if after is not None:
        known = np.flatnonzero(stream_time - newest < after).tolist()
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

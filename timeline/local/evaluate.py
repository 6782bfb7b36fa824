"""Local evaluation: an expression over all events of some files, in one pass and one process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from timeline.engine.admission import admit
from timeline.errors import NotFoundError
from timeline.jobs import cores
from timeline.language.builder import Build
from timeline.language.expression import Expression
from timeline.limits import Limits
from timeline.local.dividing import compute_divided
from timeline.operators.outputs import Outputs
from timeline.plan import Plan, PlanNode, make_plan
from timeline.tables.columns import Columns
from timeline.tables.events import Events
from timeline.tables.packing import key_of, pack, tick_of
from timeline.tables.splicing import cut
from timeline.tables.table import Table, Window, lookup
from timeline.values.exact import user_value
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

    ``tables[i]`` belongs to ``plan.nodes[i]``; ``codes`` are those of the keys that have accepted
    events, sorted by name; ``origin`` and ``newest`` (ms) go with them.
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

    def names(self) -> list[str]:
        """The keys that have accepted events, sorted."""
        return [self.keys.names[code] for code in self.codes]

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
        row a key at its newest event.

        Raises:
            NotFoundError: a key without events.
            LimitError: a tick that does not exist.
        """
        node = node or self.plan.result
        outputs = node.operator.names if isinstance(node.operator, Outputs) else None
        asked = [node] if outputs is None else [self.plan.nodes[i] for i in node.inputs]
        wanted = np.arange(len(self.codes)) if keys is None else np.array([self._index(k) for k in keys])
        for code, tick in self._places(wanted, at, every, start, end):
            places = pack(code, tick)
            names = map(self.keys.names.__getitem__, code.tolist())
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
        self, wanted: I64, at: Sequence[int] | None, every: int | None, start: int | None, end: int | None
    ) -> Iterator[tuple[I64, I64]]:
        """Key codes and ticks to be asked for, at most about `CHUNK` at a time."""
        fixed = np.array(sorted(set(at or ())), np.int64)
        if every is None:
            size = max(1, CHUNK // max(1, len(fixed)))
            for first in range(0, len(wanted), size):
                part = wanted[first : first + size]
                code = self.codes[part]
                if at is None:
                    yield code, self.newest[part]
                else:
                    yield np.repeat(code, len(fixed)), np.tile(fixed, len(part))
            return
        for i in wanted.tolist():
            begin = int(self.origin[i]) if start is None else start
            last = int(self.newest[i]) if end is None else end
            rest = fixed
            for low in range(-(-begin // every) * every, last + 1, every * CHUNK):
                ticks = np.arange(low, min(low + every * CHUNK, last + 1), every)
                among = rest <= ticks[-1]
                ticks, rest = np.union1d(ticks, rest[among]), rest[~among]
                yield np.full(len(ticks), self.codes[i]), ticks
            if len(rest):
                yield np.full(len(rest), self.codes[i]), rest

    def columns(self) -> Columns:
        """What `timeline.aggregate` asks: all keys of all outputs."""
        origin = np.full(len(self.keys), MAX_TICK + 1, np.int64)
        newest = np.full(len(self.keys), -1, np.int64)
        origin[self.codes], newest[self.codes] = self.origin, self.newest
        return Columns(
            None,
            self.keys.names,
            np.sort(self.codes),
            origin,
            newest,
            int(newest.max(initial=-1)),
            self.limits,
            (),
            {name: self.tables[node.index] for name, node in self.plan.outputs.items()},
        )

    def timeline(self, key: str, node: PlanNode) -> Table:
        """The rows of one key of a node.

        Raises:
            NotFoundError: a key without events.
        """
        code = int(self.codes[self._index(key)])
        return cut(self.tables[node.index], Window.of_key(code))

    def span(self, key: str) -> tuple[int, int]:
        """The origin and the newest tick of a key.

        Raises:
            NotFoundError: a key without events.
        """
        index = self._index(key)
        return int(self.origin[index]), int(self.newest[index])

    def _index(self, key: str) -> int:
        code = self.keys.find(key)
        found = np.flatnonzero(self.codes == (-1 if code is None else code))
        if len(found) == 0:
            raise no_such_key(key, self.names())
        return int(found[0])


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
) -> Evaluation:
    """The value of an expression over events, for every key at every tick.

    ``events`` are in stream order: of two at one tick the later counts as state, and with
    ``limits.allowed_lateness`` what is below a key's watermark at its place is refused. Without
    ``limits`` no event is late and no key is ever closed. ``jobs`` is how many cores work on it (all that
    there are); the result does not depend on it.

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
    none_yet = np.full(len(events.keys), -1, np.int64)
    judged = admit(events.key, events.tick, none_yet, -1, limits)
    if len(judged.live) < len(events):
        events = events.take(judged.live)
    newest = int(events.tick.max(initial=-1))
    jobs = jobs or cores()
    return compute(plan, events, limits, judged.accepted, len(judged.refused), newest, jobs)


def compute(
    plan: Plan,
    events: Events,
    limits: Limits,
    accepted: int,
    refused: int,
    stream_newest: int,
    jobs: int,
) -> Evaluation:
    """The evaluation of accepted events, of a stream whose newest is at ``stream_newest`` ms."""
    origin, last, tables = compute_divided(plan, events, jobs)
    codes, newest = key_of(last), tick_of(last)
    keys = Keys(events.keys)
    after = limits.forgotten_after
    known: Iterable[int] = range(len(codes))
    if after is not None:
        known = np.flatnonzero(stream_newest - newest < after).tolist()
    by_name = np.array(sorted(known, key=lambda i: keys.names[codes[i]]), np.int64)
    return Evaluation(
        plan,
        keys,
        codes[by_name],
        tick_of(origin)[by_name],
        newest[by_name],
        tables,
        accepted,
        refused,
        limits,
    )

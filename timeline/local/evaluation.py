"""What a local evaluation knows: the tables of all nodes, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Unpack

import numpy as np

from timeline.language.output_names import VALUE, name_of_time
from timeline.limits import Limits
from timeline.local.places import Places, no_such_key
from timeline.local.spells import known_of
from timeline.operators.outputs import Outputs
from timeline.pictures.lanes import Panel, panel, plan_lanes
from timeline.pictures.picture import Picture
from timeline.plan import Plan, PlanNode
from timeline.reading.model import Rejected
from timeline.tables.columns import Columns
from timeline.tables.framed import SHOWN_CHARS, SHOWN_ROWS, Framed, arrow_column, many, time_column
from timeline.tables.intervals import Intervals, check_kind, intervals_of
from timeline.tables.packing import pack
from timeline.tables.splicing import cut
from timeline.tables.table import Table, Window, lookup
from timeline.values.exact import user_value
from timeline.values.life_names import LifeKeys, key_named
from timeline.values.scalars import Scalar, Value
from timeline.values.ticks import MAX_TICK
from timeline.values.times import Duration, Time, milliseconds, tick, ticks
from timeline.values.vocabulary import I64, Keys

if TYPE_CHECKING:
    import pyarrow

    from timeline.aggregate import Result
    from timeline.local.asking import Asking


@dataclass(frozen=True, slots=True)
class Row:
    """The value of a key at tick ``at`` (ms): a state, a truth, a number (seconds for durations); of a
    set of outputs, that of each by its name."""

    key: str
    at: int
    value: Value


@dataclass(frozen=True, repr=False)
class Evaluation(Framed):
    """The tables of all nodes of a plan over a set of events.

    ``tables[i]`` belongs to ``plan.nodes[i]``; ``codes`` are those of the keys that have accepted events,
    sorted by name; ``origin`` and ``newest`` (ms) go with them. With ``limits.key_ttl`` a code is a life, and
    those of a key follow each other in order of time.

    Times are asked for as ms, as text (``"8s"``, ``"2013-01-02"``, RFC 3339) or as datetimes; without a zone
    where the events' times have none.
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
    #: The rows of a frame that are no events.
    rejected: Sequence[Rejected] = ()
    #: That of a frame's times: ``None`` if they are numbers, "" if they are timestamps without one.
    zone: str | None = None

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
        at: Time | Iterable[Time] | None = None,
        *,
        every: Duration | None = None,
        start: Time | None = None,
        end: Time | None = None,
        keys: Sequence[str] | None = None,
        node: PlanNode | None = None,
    ) -> Iterator[Row]:
        """Rows key by key, in order of time: at the times ``at``, or at the multiples of ``every``
        from ``start`` (the origin) to ``end`` (the newest event), both included; without either, one
        row a key at its newest event. Of a key that has lives, the one that covers a tick says its value;
        there is no row between lives.

        Raises:
            NotFoundError: a key without events.
            LimitError: a tick that does not exist.
            DurationError, RequestError: what is no time, or no duration.
        """
        outputs = _outputs(node or self.plan.result)
        for index, times, columns in self._values(at, every, start, end, keys, node):
            names = map(self._names.__getitem__, index.tolist())
            if outputs is None:
                yield from map(Row, names, times.tolist(), columns[0])
                continue
            for name, t, *values in zip(names, times.tolist(), *columns, strict=True):
                yield Row(name, t, dict(zip(outputs, values, strict=True)))

    def to_arrow(
        self,
        at: Time | Iterable[Time] | None = None,
        *,
        every: Duration | None = None,
        start: Time | None = None,
        end: Time | None = None,
        keys: Sequence[str] | None = None,
        node: PlanNode | None = None,
    ) -> pyarrow.Table:
        """The rows of `values` as a table: ``key``, ``time``, and a column for each output (``value`` where
        they have no names). Keys and States of text are dictionaries; times are timestamps in the zone of the
        events' times, or ms (``int64``) where those were numbers. `timeline.tables.framed.arrow_column` says
        of which type a column is.

        >>> import pyarrow
        >>> from timeline.local.evaluate import evaluate
        >>> table = pyarrow.table({"card": [7], "time": ["2013-01-01T00:00:00Z"], "place": ["x"]})
        >>> result = evaluate("latest_event_to_state(place)", table, key="card")
        >>> print(result.to_arrow("2013-01-02").to_pandas())
          key                      time value
        0   7 2013-01-02 00:00:00+00:00     x

        Raises:
            NotFoundError: a key without events.
            LimitError: a tick that does not exist.
            DurationError, RequestError: what is no time, or no duration.
        """
        import pyarrow as pa

        node = node or self.plan.result
        parts = list(self._values(at, every, start, end, keys, node))
        index = np.concatenate([np.empty(0, np.int64), *(part[0] for part in parts)])
        when = np.concatenate([np.empty(0, np.int64), *(part[1] for part in parts)])
        used, place = np.unique(index, return_inverse=True)
        names = pa.array([self._names[i] for i in used.tolist()], pa.string())
        key = pa.DictionaryArray.from_arrays(pa.array(place, pa.int32()), names)
        asked = self._asked(node)
        columns = {"key": key, name_of_time(asked): time_column(when, self.zone)}
        for number, (name, one) in enumerate(asked.items()):
            values = arrow_column([v for part in parts for v in part[2][number]], one.kind)
            columns[name] = values.dictionary_encode() if pa.types.is_string(values.type) else values
        return pa.table(columns)

    def intervals(
        self,
        node: PlanNode | None = None,
        *,
        start: Time | None = None,
        end: Time | None = None,
        keys: Sequence[str] | None = None,
    ) -> Intervals:
        """From when to when keys have each value of a State or a Bool, in all their lives
        (`timeline.tables.intervals.intervals_of`); a result with several outputs needs the ``node``.

        Raises:
            NotFoundError: a key without events.
            RequestError: several outputs, or one that is no State and no Bool.
        """
        node = node or self.plan.result
        asked = self._asked(node)
        kind = check_kind({name: one.kind for name, one in asked.items()}, node.text)
        first, last = self._tick(start), self._tick(end)
        lives = range(len(self.codes)) if keys is None else [i for key in keys for i in self._lives(key)]
        index = np.array(lives, np.int64)
        names = [self._names[i] for i in lives]
        [table] = [self.tables[one.index] for one in asked.values()]
        every = known_of(table, names, self.codes[index], self.newest[index], self.limits, self.stream_time)
        found = tuple(one for known in every for one in intervals_of(known, first, last))
        return Intervals(found, kind, self.zone)

    def aggregate(
        self, agg: str | None = None, group_by: str | Sequence[str] = (), **asking: Unpack[Asking]
    ) -> Result:
        """The answer to a question over all keys: ``docs/aggregates.md`` says what can be asked, and
        `timeline.local.asking.Asking` in which other words. What is over time begins at the earliest origin
        and ends at the newest event, unless it is said.

        Raises:
            RequestError, ExpressionError: what cannot be asked of these outputs.
            LimitError: more than one answer holds; with what to ask instead.
            NotFoundError: there is no event, and nothing says from when to when.
        """
        from timeline.local.asking import ask  # which most evaluations do not need

        return ask(self, agg, group_by, asking)

    def _head(self) -> tuple[pyarrow.Table, int]:
        return self.to_arrow(keys=self.names()[:SHOWN_ROWS]), len(self._ranges)

    def _title(self) -> str:
        text = self.plan.result.text
        text = text if len(text) <= 2 * SHOWN_CHARS else text[: 2 * SHOWN_CHARS - 1] + "…"
        counts = [many(len(self._ranges), "key"), many(self.accepted, "event")]
        counts += [f"{self.refused:,} refused"] if self.refused else []
        counts += [f"{many(len(self.rejected), 'row')} skipped"] if self.rejected else []
        return f"{text}: {', '.join(counts)}"

    def _asked(self, node: PlanNode) -> dict[str, PlanNode]:
        """The nodes that have the columns of a node, by the names of these."""
        names = _outputs(node)
        if names is None:
            return {VALUE: node}
        return {name: self.plan.nodes[i] for name, i in zip(names, node.inputs, strict=True)}

    def _values(
        self,
        at: Time | Iterable[Time] | None,
        every: Duration | None,
        start: Time | None,
        end: Time | None,
        keys: Sequence[str] | None,
        node: PlanNode | None,
    ) -> Iterator[tuple[I64, I64, list[list[Scalar]]]]:
        """Which codes, by their places, ticks, and what each column says there, some rows at a time."""
        fixed = None if at is None else ticks(at, utc=self.zone == "")
        first, last = self._tick(start), self._tick(end)
        step = None if every is None else milliseconds(every)
        asked = list(self._asked(node or self.plan.result).values())
        wanted = list(self._ranges.values()) if keys is None else [self._lives(key) for key in keys]
        for index, when in self._places.asked(wanted, fixed, step, first, last):
            places = pack(self.codes[index], when)
            yield index, when, [self._column(one, places) for one in asked]

    def _tick(self, time: Time | None) -> int | None:
        """A time as ms; without a zone in UTC where the events' times have none."""
        return None if time is None else tick(time, utc=self.zone == "")

    def most_rows(self, at: int, every: int | None, start: int | None, end: int | None) -> int:
        """How many rows `values` gives of all keys at most, at so many times ``at``; ticks and ms."""
        return self._places.most(at, every, start, end)

    def _column(self, node: PlanNode, places: I64) -> list[Scalar]:
        """The values of a node at packed places."""
        table, initial = self.tables[node.index], user_value(node.before_origin)
        row, held = lookup(table, places)
        if held.all():
            return table.python_values(row, places)
        values = table.python_values(row, places) if len(table) else [None] * len(row)
        return [value if known else initial for value, known in zip(values, held.tolist(), strict=True)]

    @cached_property
    def _places(self) -> Places:
        every = list(self._ranges.values())
        return Places(self.origin, self.newest, self.limits, self.stream_time, every)

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
            {name: node.before_origin for name, node in self.plan.outputs.items()},
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

    def panel(self, key: str, start: Time | None = None, end: Time | None = None) -> Panel:
        """What a picture draws of a key, or of its newest life: every node from ``start`` to ``end``.

        Raises:
            NotFoundError: a key without events.
        """
        rows = {node.index: self.timeline(key, node).json_rows() for node in self.plan.nodes}
        return panel(key, plan_lanes(self.plan, rows), *self.span(key), self._tick(start), self._tick(end))

    def plot(self, *keys: str, start: Time | None = None, end: Time | None = None) -> Picture:
        """A picture of some keys: the lane of every node over time, from ``start`` (the origin) to ``end`` (a
        little behind the newest event). A notebook shows it; ``to_svg()``, ``to_html()`` and ``to_png()`` are
        for files.

        Raises:
            NotFoundError: a key without events.
        """
        return Picture([self.panel(key, start, end) for key in keys])

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


def _outputs(node: PlanNode) -> Sequence[str] | None:
    """The names of the outputs of a node that is a set of them."""
    return node.operator.names if isinstance(node.operator, Outputs) else None

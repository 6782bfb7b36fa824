"""Intervals: from when to when a State or a Bool has each of its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from timeline.errors import RequestError
from timeline.tables.framed import Framed, arrow_column, many, time_column
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.ticks import format_seconds

if TYPE_CHECKING:
    import pyarrow

#: The columns of rows of intervals.
COLUMNS = ("key", "value", "from", "to", "seconds", "open")


@dataclass(frozen=True, slots=True)
class Interval:
    """A key has a value from ``begin`` up to, and without, ``end`` (ms); ``open``: it goes on there."""

    key: str
    value: Scalar
    begin: int
    end: int
    open: bool

    def row(self) -> dict[str, Any]:
        """By the names of `COLUMNS`."""
        seconds = format_seconds(self.end - self.begin)
        return dict(
            zip(COLUMNS, (self.key, self.value, self.begin, self.end, seconds, self.open), strict=True)
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a key, or of one of its lives: the ``[tick, value]`` rows, its newest event (ms),
    where its life ends (ms; ``None``: nowhere), and whether nothing changes it any more."""

    key: str
    rows: Sequence[Sequence[Any]]
    newest: int
    over: int | None = None
    closed: bool = False


def intervals_of(known: Known, start: int | None = None, end: int | None = None) -> Iterator[Interval]:
    """The intervals from ``start`` (its origin) up to ``end`` (ms); without it up to its newest event, of
    what is closed up to the end of its life.

    >>> rows = [[1_000, "play"], [4_000, "buffer"], [9_000, "play"]]
    >>> for one in intervals_of(Known("a", rows, 9_000), 2_000): print(*one.row().values())
    a play 2000 4000 2 False
    a buffer 4000 9000 5 False
    a play 9000 9000 0 True
    >>> [one.end for one in intervals_of(Known("a", rows, 9_000), end=5_000)]
    [4000, 5000]
    """
    until = known.newest if end is None else end
    if known.over is not None and (known.closed or until > known.over):
        until = known.over if end is None else min(end, known.over)
    ended = known.closed and until == known.over
    for number, (tick, value) in enumerate(known.rows):
        following = known.rows[number + 1][0] if number + 1 < len(known.rows) else None
        goes_on = following is None or following > until
        begin = tick if start is None else max(tick, start)
        stop = until if following is None or goes_on else following
        # What begins with the newest event has lasted no time, and is there all the same.
        if begin < stop or (begin == stop == until and goes_on and end is None and not ended):
            yield Interval(known.key, value, begin, stop, goes_on and not ended)


@dataclass(frozen=True, slots=True, repr=False)
class Intervals(Framed, Sequence[Interval]):
    """Intervals of a node of that kind, key by key in order of time. ``zone`` is that of the times (``None``:
    they are numbers); ``left_out`` says of which keys there are none, and why."""

    intervals: tuple[Interval, ...]
    kind: Kind
    zone: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, index: Any) -> Any:
        return self.intervals[index]

    def __len__(self) -> int:
        return len(self.intervals)

    def __iter__(self) -> Iterator[Interval]:
        return iter(self.intervals)

    def _title(self) -> str:
        return many(len(self), "interval")

    def to_arrow(self) -> pyarrow.Table:
        """A row for each with the columns `COLUMNS`; times are timestamps in their zone, or ms."""
        import pyarrow as pa

        every = self.intervals
        columns = (
            pa.array([one.key for one in every], pa.string()).dictionary_encode(),
            arrow_column([one.value for one in every], self.kind),
            time_column([one.begin for one in every], self.zone),
            time_column([one.end for one in every], self.zone),
            pa.array([(one.end - one.begin) / 1000 for one in every], pa.float64()),
            pa.array([one.open for one in every], pa.bool_()),
        )
        return pa.table(list(columns), names=list(COLUMNS))


def check_kind(kinds: Mapping[str, Kind], what: str) -> Kind:
    """The kind of the one output that intervals are asked of.

    Raises:
        RequestError: there are several, or it has no intervals.
    """
    if len(kinds) > 1:
        fit = [name for name, kind in kinds.items() if kind in (Kind.STATE, Kind.BOOL)]
        raise RequestError(
            f"intervals need one State or Bool, and {what} has {len(kinds)} outputs; name one as the node: "
            f"{', '.join(fit) or 'none of them is one'}"
        )
    [kind] = kinds.values()
    if kind not in (Kind.STATE, Kind.BOOL):
        raise RequestError(
            f"intervals need a State or a Bool, and {what} is a {kind.value}, which changes all the time; "
            "name another node, or compare it with something"
        )
    return kind

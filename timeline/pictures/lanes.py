"""Lanes: what is drawn of one key, a line for each node, and over which time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from timeline.pictures.colours import STATES
from timeline.pictures.texts import short_text, value_text
from timeline.plan import Plan, PlanNode
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar


@dataclass(frozen=True, slots=True)
class Lane:
    """One node's rows (as `timeline.tables.table.Table.json_rows` gives them) with its text, and the lines of
    the tree of nodes that lead to it."""

    text: str
    kind: Kind
    rows: Sequence[Sequence[Any]]
    lead: str = ""

    @property
    def label(self) -> str:
        return self.lead + self.text

    @property
    def is_number(self) -> bool:
        """Whether it is drawn as a line: also a State of more numbers than there are colours."""
        if self.kind is not Kind.STATE:
            return self.kind is not Kind.BOOL
        values = {row[1] for row in self.rows}
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        return len(numbers) > len(STATES) and len(values - {None}) == len(numbers)


@dataclass(frozen=True, slots=True)
class Panel:
    """The lanes of one key from ``start`` to ``end`` (ms)."""

    key: str
    lanes: Sequence[Lane]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Span:
    """A lane's value from ``start`` up to ``end`` (ms); of numbers the first and the last."""

    start: int
    end: int
    value: Scalar
    last: float | None = None


def plan_lanes(plan: Plan, rows_of: dict[int, list[list[Any]]]) -> list[Lane]:
    """The lanes of a plan, results first, each node under what it is for."""
    lanes: list[Lane] = []

    def add(node: PlanNode, lead: str, tail: str, name: str = "") -> None:
        text = name + short_text(node, plan)
        lanes.append(Lane(text, node.operator.kind, rows_of.get(node.index, []), lead))
        for number, index in enumerate(node.inputs):
            last = number == len(node.inputs) - 1
            add(plan.nodes[index], tail + ("└ " if last else "├ "), tail + ("  " if last else "│ "))

    for name, output in plan.outputs.items():
        add(output, "", "", "" if output is plan.result else f"{name}: ")
    return lanes


def panel(
    key: str,
    lanes: Sequence[Lane],
    origin: int,
    newest: int,
    start: int | None = None,
    end: int | None = None,
) -> Panel:
    """The lanes from ``start`` (the origin) to ``end``: by default a little behind the newest event, or
    behind what it has set off, such as the end of a ``has_existed_within``.

    >>> seek = Lane("", Kind.BOOL, [[2000, True], [7000, False]])
    >>> dense = Lane("", Kind.BOOL, [[t * 100, t % 2 == 0] for t in range(100)])
    >>> panel("k", [seek], 1000, 2000).end, panel("k", [dense], 0, 10_000).end
    (8500, 10250)
    """
    start = origin if start is None else start
    if end is None:
        last = max([newest, *(row[0] for lane in lanes for row in lane.rows[-1:])])
        # About as long as a state lasts, for the last one to be seen.
        changes = max((len(lane.rows) for lane in lanes), default=0)
        end = last + max((last - start) // min(max(changes, 4), 40), 1)
    return Panel(key, lanes, start, max(end, start + 1))


def spans(lane: Lane, start: int, end: int) -> Iterator[Span]:
    """What a lane is between two times, in order; nothing where it is not yet."""
    as_numbers = lane.is_number
    following = [*(row[0] for row in lane.rows[1:]), end]
    for row, after in zip(lane.rows, following, strict=True):
        begin, stop = max(row[0], start), min(after, end)
        if begin >= stop:
            continue
        if not as_numbers or lane.kind is Kind.STATE:
            yield Span(begin, stop, row[1], row[1] if as_numbers else None)
            continue
        first, last = (_number_at(row, tick) for tick in (begin, stop))
        yield Span(begin, stop, first, first if last is None else last)


def number_at(lane: Lane, tick: int) -> Fraction | None:
    """The number of a lane at a tick, exact."""
    found = None
    for row in lane.rows:
        if row[0] > tick:
            break
        found = row
    return None if found is None else _exact(found, tick)


def _number_at(row: Sequence[Any], tick: int) -> float | None:
    start, value, slope = row
    if isinstance(value, int) and isinstance(slope, int):
        return float(value + slope * (tick - start)) / 1000
    exact = _exact(row, tick)
    return None if exact is None else float(exact)


def _exact(row: Sequence[Any], tick: int) -> Fraction | None:
    """The number that a row stands for at a tick."""
    if len(row) == 2:
        return None if row[1] is None else Fraction(row[1])
    start, value, slope = row
    if value is None or value == [None, None]:
        return None
    pairs = zip(value, slope, strict=True) if isinstance(value, list) else [(value, slope)]
    parts: list[Fraction] = [Fraction(v) + Fraction(s) * (tick - start) for v, s in pairs]
    if len(parts) == 1:
        return parts[0] / 1000
    return parts[0] / parts[1] if parts[1] else None


def shares(parts: Sequence[Span], start: int, end: int, columns: int) -> dict[str, list[float]]:
    """Of each value that is no ``null``, by its text, its share (0 to 1) of the time of each of so many
    columns; the value that lasts longest first.

    >>> shares([Span(0, 5, "a"), Span(5, 20, "b")], 0, 20, 2)
    {'b': [0.5, 1.0], 'a': [0.5, 0.0]}
    """
    found: dict[str, list[float]] = {}
    a_tick = columns / (end - start)
    for part in parts:
        if part.value is None:
            continue
        held = found.setdefault(value_text(part.value), [0.0] * columns)
        first, last = (part.start - start) * a_tick, (part.end - start) * a_tick
        for column in range(int(first), min(int(last) + 1, columns)):
            held[column] += min(last, column + 1) - max(first, column)
    return dict(sorted(found.items(), key=lambda one: -sum(one[1])))

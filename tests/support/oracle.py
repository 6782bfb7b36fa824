"""The operators by their definitions, one tick at a time, straight from the sentences of DESIGN.

Slow and plain on purpose, and without any code of the package but the tree's classes and kinds. Events
are ``(tick, {column: value})`` in stream order; values are exact (`Fraction` seconds for Numerics).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from tests.support.oracle_values import (
    TEXTS,
    calculated,
    compared,
    is_predicate,
    kind,
    matches,
    number,
    same,
)
from timeline.language import expression as ex
from timeline.language.checking import kind_of
from timeline.operators import distinct
from timeline.values.kinds import Kind

Event = tuple[int, Mapping[str, Any]]


class Oracle:
    """One key's events, which are at least one."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.origin = min(tick for tick, _ in events)
        # With the part, so that no other part ever has its id.
        self.known: dict[tuple[int, int], tuple[ex.Expression, Any]] = {}

    def at(self, part: ex.Expression, tick: int) -> Any:
        """The value of a timeline at a tick from the origin on."""
        place = (id(part), tick)
        if place not in self.known:
            self.known[place] = part, self._at(part, tick)
        return self.known[place][1]

    def _at(self, part: ex.Expression, tick: int) -> Any:
        match part:
            case ex.Constant(value=value):
                return value
            case ex.Not(of=of):
                return not self.at(of, tick)
            case ex.And(operands=operands):
                return all(self.at(o, tick) for o in operands)
            case ex.Or(operands=operands):
                return any(self.at(o, tick) for o in operands)
            case ex.Compare(op=op, left=left, right=right):
                return compared(op, self.at(left, tick), self.at(right, tick))
            case ex.In(of=of, values=values):
                return any(compared("==", self.at(of, tick), value.value) for value in values)
            case ex.Arithmetic(op=op, left=left, right=right):
                return calculated(op, self.at(left, tick), self.at(right, tick))
            case ex.Call(operator=name, arguments=arguments):
                return DEFINITIONS[name](self, tick, *arguments)
        raise AssertionError(part)

    def ticks(self, tick: int) -> range:
        """All up to a tick."""
        return range(self.origin, tick + 1)

    def numbers(self, part: ex.Expression, tick: int) -> list[Fraction]:
        """The numbers that a timeline was up to a tick."""
        found = [number(self.at(part, t)) for t in self.ticks(tick)]
        return [n for n in found if n is not None]

    def start(self, part: ex.Expression, tick: int) -> int:
        """When the value that holds at a tick began."""
        now = self.at(part, tick)
        while tick > self.origin and same(self.at(part, tick - 1), now):
            tick -= 1
        return tick

    def before(self, part: ex.Expression) -> Any:
        """The value of a timeline before the origin."""
        match part:
            case ex.Constant(value=value):
                return value
            case ex.Arithmetic(op=op, left=left, right=right):
                return calculated(op, self.before(left), self.before(right))
            case ex.Call(operator="lag", arguments=(ex.Expression() as of, _)):
                return self.before(of)
            case ex.Call(operator="if", arguments=(_, _, ex.Expression() as otherwise)):
                return False if kind_of(part) is Kind.BOOL else self.before(otherwise)
            case ex.Call(operator=name):
                return Fraction(0) if name in FROM_ZERO else None if kind_of(part) is not Kind.BOOL else False
        return False


#: Of the operators that make numbers those that are 0 before the origin; the others are null.
FROM_ZERO = ("duration_where", "count", "sum", "count_rises", "gaps", "integral", "distinct")
Definition = Callable[..., Any]
#: What an operator says at a tick, by its name: of the oracle, the tick, and the arguments of the call.
DEFINITIONS: dict[str, Definition] = {}


def defines(name: str) -> Callable[[Definition], Definition]:
    def note(definition: Definition) -> Definition:
        DEFINITIONS[name] = definition
        return definition

    return note


@defines("latest_event_to_state")
def _latest_event_to_state(o: Oracle, tick: int, column: ex.Column) -> Any:
    carried = [
        (t, i, e[column.column])
        for i, (t, e) in enumerate(o.events)
        if t <= tick and e.get(column.column) is not None
    ]
    return max(carried, key=lambda c: (c[0], c[1]))[2] if carried else None


@defines("has_existed")
def _has_existed(o: Oracle, tick: int, of: ex.Expression) -> bool:
    if is_predicate(of):
        return any(t <= tick and matches(of, e) for t, e in o.events)
    return any(o.at(of, t) for t in o.ticks(tick))


@defines("has_existed_within")
def _has_existed_within(o: Oracle, tick: int, of: ex.Expression, d: int) -> bool:
    if is_predicate(of):
        return any(t <= tick < t + d and matches(of, e) for t, e in o.events)
    return any(o.at(of, t) for t in o.ticks(tick) if t > tick - d - 1)


@defines("alive")
def _alive(o: Oracle, tick: int, d: int) -> bool:
    return any(t <= tick < t + d for t, _ in o.events)


@defines("gaps")
def _gaps(o: Oracle, tick: int, d: int) -> Fraction:
    ends = (not _alive(o, t, d) and _alive(o, t - 1, d) for t in o.ticks(tick))
    return Fraction(sum(ends))


@defines("duration_where")
def _duration_where(o: Oracle, tick: int, of: ex.Expression) -> Fraction:
    return Fraction(sum(bool(o.at(of, t)) for t in o.ticks(tick) if t < tick), 1000)


@defines("duration_in_cur_state")
def _duration_in_cur_state(o: Oracle, tick: int, of: ex.Expression) -> Fraction | None:
    return None if o.at(of, tick) is None else Fraction(tick - o.start(of, tick), 1000)


@defines("prior_state")
def _prior_state(o: Oracle, tick: int, of: ex.Expression) -> Any:
    start = o.start(of, tick)
    return None if start == o.origin else o.at(of, start - 1)


@defines("duration_in_prior_state")
def _duration_in_prior_state(o: Oracle, tick: int, of: ex.Expression) -> Fraction | None:
    start = o.start(of, tick)
    if start == o.origin or o.at(of, start - 1) is None:
        return None
    return Fraction(start - o.start(of, start - 1), 1000)


@defines("count")
def _count(o: Oracle, tick: int, of: ex.Expression) -> Fraction:
    return Fraction(sum(t <= tick and matches(of, e) for t, e in o.events))


@defines("sum")
def _sum(o: Oracle, tick: int, column: ex.Column) -> Fraction:
    numbers = [number(e.get(column.column)) for t, e in o.events if t <= tick]
    return sum((n for n in numbers if n is not None), Fraction(0))


@defines("count_rises")
def _count_rises(o: Oracle, tick: int, of: ex.Expression) -> Fraction:
    rises = (o.at(of, t) is True and (t == o.origin or o.at(of, t - 1) is not True) for t in o.ticks(tick))
    return Fraction(sum(rises))


@defines("min_so_far")
def _min_so_far(o: Oracle, tick: int, of: ex.Expression) -> Fraction | None:
    return min(o.numbers(of, tick), default=None)


@defines("max_so_far")
def _max_so_far(o: Oracle, tick: int, of: ex.Expression) -> Fraction | None:
    return max(o.numbers(of, tick), default=None)


@defines("first")
def _first(o: Oracle, tick: int, column: ex.Column) -> Any:
    carried = [
        (t, -i, e[column.column]) for i, (t, e) in enumerate(o.events) if e.get(column.column) is not None
    ]
    found = min(((t, i, v) for t, i, v in carried if t <= tick), key=lambda c: c[:2], default=None)
    return None if found is None else found[2]


@defines("distinct")
def _distinct(o: Oracle, tick: int, column: ex.Column) -> Fraction:
    carried = (e.get(column.column) for t, e in o.events if t <= tick)
    values = {(kind(v), v) for v in carried if v is not None}
    if len(values) <= distinct.EXACT:
        return Fraction(len(values))
    return Fraction(distinct.estimate(sorted(distinct.hash_of(v) for _, v in values)[distinct.EXACT]))


@defines("integral")
def _integral(o: Oracle, tick: int, of: ex.Expression) -> Fraction:
    whole: Fraction = counted(o, ex.Call("integral", (of,)), o.origin, tick)
    return whole


@defines("time_weighted_avg")
def _time_weighted_avg(o: Oracle, tick: int, of: ex.Expression) -> Fraction | None:
    mean: Fraction | None = counted(o, ex.Call("time_weighted_avg", (of,)), o.origin, tick)
    return mean


def happened(o: Oracle, p: ex.Expression, tick: int) -> int | None:
    """When p last did."""
    if is_predicate(p):
        return max((t for t, e in o.events if t <= tick and matches(p, e)), default=None)
    rises = [t for t in o.ticks(tick) if o.at(p, t) and (t == o.origin or not o.at(p, t - 1))]
    return max(rises, default=None)


@defines("time_since")
def _time_since(o: Oracle, tick: int, p: ex.Expression) -> Fraction | None:
    start = happened(o, p, tick)
    return None if start is None else Fraction(tick - start, 1000)


@defines("since")
def _since(o: Oracle, tick: int, p: ex.Expression, x: ex.Expression) -> Any:
    start = happened(o, p, tick)
    return None if start is None else counted(o, x, start, tick)


def counted(o: Oracle, x: ex.Expression, start: int, end: int) -> Any:
    """What x is of events at the ticks from start to end, and of the time between them."""
    match x:
        case ex.Constant(value=value):
            return value
        case ex.Arithmetic(op=op, left=left, right=right):
            return calculated(op, counted(o, left, start, end), counted(o, right, start, end))
    assert isinstance(x, ex.Call)
    at, between = range(start, end + 1), range(start, end)
    inside = [e for t, e in o.events if t in at]
    of: Any = x.arguments[0]
    match x.operator:
        case "count":
            return Fraction(sum(matches(of, e) for e in inside))
        case "sum":
            return sum((number(e.get(of.column)) or 0 for e in inside), Fraction(0))
        case "gaps":
            return Fraction(sum(not _alive(o, t, of) and _alive(o, t - 1, of) for t in at))
        case "count_rises":
            before = {t: t > o.origin and o.at(of, t - 1) for t in at}
            return Fraction(sum(o.at(of, t) and not before[t] for t in at))
        case "duration_where":
            return Fraction(sum(o.at(of, t) for t in between), 1000)
        case "min_so_far" | "max_so_far":
            found = [n for t in at if (n := number(o.at(of, t))) is not None]
            return (min if x.operator == "min_so_far" else max)(found, default=None)
    found = [n for t in between if (n := number(o.at(of, t))) is not None]
    whole = sum(found, Fraction(0))
    if x.operator == "integral":
        return whole / 1000
    return whole / len(found) if found else None


@defines("starts_with")
def _starts_with(o: Oracle, tick: int, of: ex.Expression, text: ex.Constant) -> bool:
    return TEXTS["starts_with"](o.at(of, tick), text.value)


@defines("matches")
def _matches(o: Oracle, tick: int, of: ex.Expression, text: ex.Constant) -> bool:
    return TEXTS["matches"](o.at(of, tick), text.value)


@defines("if")
def _if(o: Oracle, tick: int, condition: ex.Expression, x: ex.Expression, y: ex.Expression) -> Any:
    return o.at(x if o.at(condition, tick) else y, tick)


@defines("lag")
def _lag(o: Oracle, tick: int, of: ex.Expression, d: int) -> Any:
    return o.at(of, tick - d) if tick - d >= o.origin else o.before(of)

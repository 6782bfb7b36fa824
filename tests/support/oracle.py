"""The operators by their definitions, one tick at a time, straight from the sentences of DESIGN.

Slow and plain on purpose, and without any code of the package but the tree's classes and kinds. Events
are ``(tick, {column: value})`` in stream order; values are exact (`Fraction` seconds for Numerics).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from timeline.language import expression as ex
from timeline.language.checking import kind_of
from timeline.language.kinds import Kind

Event = tuple[int, Mapping[str, Any]]


def same(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is None and right is None
    return kind(left) == kind(right) and bool(left == right)


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def exact(value: Any) -> Any:
    return (
        value
        if isinstance(value, Fraction)
        else Fraction(str(value))
        if kind(value) == "number" and value is not None
        else value
    )


def compared(op: str, left: Any, right: Any) -> bool:
    left, right = exact(left), exact(right)
    if op == "==":
        return same(left, right)
    if op == "!=":
        return not same(left, right)
    if left is None or right is None or kind(left) != kind(right):
        return False
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op])


def matches(predicate: ex.Expression, event: Mapping[str, Any]) -> bool:
    if isinstance(predicate, ex.Not):
        return not matches(predicate.of, event)
    if isinstance(predicate, ex.And):
        return all(matches(p, event) for p in predicate.operands)
    if isinstance(predicate, ex.Or):
        return any(matches(p, event) for p in predicate.operands)
    assert isinstance(predicate, ex.Compare)
    sides = []
    for side in (predicate.left, predicate.right):
        if isinstance(side, ex.Column):
            if event.get(side.column) is None:
                return False
            sides.append(event[side.column])
        else:
            assert isinstance(side, ex.Constant)
            sides.append(side.value)
    return compared(predicate.op, *sides)


def number(value: Any) -> Fraction | None:
    """What a value is in arithmetic."""
    return Fraction(exact(value)) if value is not None and kind(value) == "number" else None


def calculated(op: str, left: Any, right: Any) -> Fraction | None:
    x, y = number(left), number(right)
    if x is None or y is None or (op == "/" and y == 0):
        return None
    return {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else x}[op]


def is_predicate(part: ex.Expression) -> bool:
    if isinstance(part, ex.Not | ex.And | ex.Or):
        return all(is_predicate(p) for p in part.parts)
    return isinstance(part, ex.Compare) and any(isinstance(p, ex.Column) for p in part.parts)


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
        ticks = range(self.origin, tick + 1)
        match part:
            case ex.Constant(value=value):
                return value
            case ex.LatestEventToState(column=column):
                latest = None
                carried = [
                    (t, i, e[column.column])
                    for i, (t, e) in enumerate(self.events)
                    if t <= tick and e.get(column.column) is not None
                ]
                if carried:
                    latest = max(carried, key=lambda c: (c[0], c[1]))[2]
                return latest
            case ex.HasExisted(of=of) if is_predicate(of):
                return any(t <= tick and matches(of, e) for t, e in self.events)
            case ex.HasExisted(of=of):
                return any(self.at(of, t) for t in ticks)
            case ex.HasExistedWithin(of=of, duration=d) if is_predicate(of):
                return any(t <= tick < t + d and matches(of, e) for t, e in self.events)
            case ex.HasExistedWithin(of=of, duration=d):
                return any(self.at(of, t) for t in ticks if t > tick - d - 1)
            case ex.Not(of=of):
                return not self.at(of, tick)
            case ex.And(operands=operands):
                return all(self.at(o, tick) for o in operands)
            case ex.Or(operands=operands):
                return any(self.at(o, tick) for o in operands)
            case ex.Compare(op=op, left=left, right=right):
                return compared(op, self.at(left, tick), self.at(right, tick))
            case ex.DurationWhere(of=of):
                return Fraction(sum(bool(self.at(of, t)) for t in ticks if t < tick), 1000)
            case ex.DurationInCurState(of=of):
                now = self.at(of, tick)
                if now is None:
                    return None
                return Fraction(tick - self.start(of, tick), 1000)
            case ex.PriorState(of=of):
                start = self.start(of, tick)
                return None if start == self.origin else self.at(of, start - 1)
            case ex.DurationInPriorState(of=of):
                start = self.start(of, tick)
                if start == self.origin or self.at(of, start - 1) is None:
                    return None
                return Fraction(start - self.start(of, start - 1), 1000)
            case ex.Count(of=of):
                return Fraction(sum(t <= tick and matches(of, e) for t, e in self.events))
            case ex.Sum(column=column):
                numbers = [number(e.get(column.column)) for t, e in self.events if t <= tick]
                return sum((n for n in numbers if n is not None), Fraction(0))
            case ex.CountRises(of=of):
                return Fraction(
                    sum(
                        self.at(of, t) is True and (t == self.origin or self.at(of, t - 1) is not True)
                        for t in ticks
                    )
                )
            case ex.Arithmetic(op=op, left=left, right=right):
                return calculated(op, self.at(left, tick), self.at(right, tick))
            case ex.If(condition=condition, then=then, otherwise=otherwise):
                return self.at(then if self.at(condition, tick) else otherwise, tick)
            case ex.Lag(of=of, duration=d):
                return self.at(of, tick - d) if tick - d >= self.origin else self.before(of)
        raise AssertionError(part)

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
            case ex.DurationWhere() | ex.Count() | ex.Sum() | ex.CountRises():
                return Fraction(0)
            case ex.DurationInCurState() | ex.DurationInPriorState():
                return None
            case ex.LatestEventToState() | ex.PriorState():
                return None
            case ex.Arithmetic(op=op, left=left, right=right):
                return calculated(op, self.before(left), self.before(right))
            case ex.Lag(of=of):
                return self.before(of)
            case ex.If(otherwise=otherwise):
                kind = kind_of(part)
                if kind is Kind.NUMERIC:
                    return self.before(otherwise)
                return False if kind is Kind.BOOL else None
        return False

"""The operators by their definitions, one tick at a time, straight from the sentences of DESIGN.

Slow and plain on purpose, and without any code of the package but the classes of the tree. Events
are ``(tick, {column: value})`` in stream order; values are exact (`Fraction` seconds for Numerics).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from timeline import expression as ex

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
    return Fraction(str(value)) if kind(value) == "number" and value is not None else value


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


def is_predicate(part: ex.Expression) -> bool:
    if isinstance(part, ex.Not | ex.And | ex.Or):
        return all(is_predicate(p) for p in part.parts)
    return isinstance(part, ex.Compare) and any(isinstance(p, ex.Column) for p in part.parts)


class Oracle:
    """One key's events, which are at least one."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.origin = min(tick for tick, _ in events)

    def at(self, part: ex.Expression, tick: int) -> Any:
        """The value of a timeline at a tick from the origin on."""
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
                since = tick
                while since > self.origin and same(self.at(of, since - 1), now):
                    since -= 1
                return Fraction(tick - since, 1000)
        raise AssertionError(part)

"""Values and predicates by their definitions: what `tests.support.oracle` stands on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from timeline.language import expression as ex


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
    if left is None or right is None or kind(left) != kind(right) or kind(left) == "boolean":
        return False
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op])


def matches(predicate: ex.Expression, event: Mapping[str, Any]) -> bool:
    if isinstance(predicate, ex.Not):
        return not matches(predicate.of, event)
    if isinstance(predicate, ex.And):
        return all(matches(p, event) for p in predicate.operands)
    if isinstance(predicate, ex.Or):
        return any(matches(p, event) for p in predicate.operands)
    if isinstance(predicate, ex.In):
        return any(matches(compare, event) for compare in predicate.compares())
    if isinstance(predicate, ex.Call):
        column, text = predicate.arguments
        assert isinstance(column, ex.Column)
        assert isinstance(text, ex.Constant)
        return TEXTS[predicate.name](event.get(column.column), text.value)
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


#: What is asked of texts, by the name: of a value, and the text that is asked for.
TEXTS: dict[str, Callable[[Any, Any], bool]] = {
    "starts_with": lambda value, text: isinstance(value, str) and value.startswith(text),
    "matches": lambda value, text: isinstance(value, str) and re.search(text, value) is not None,
}


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
    if isinstance(part, ex.Call) and part.operator not in TEXTS:
        return False
    return any(isinstance(p, ex.Column) for p in part.parts)

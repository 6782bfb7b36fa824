"""Conditions that are never true together, whatever the events are: ``delay > 3 && delay < 2``."""

from __future__ import annotations

from itertools import combinations

from timeline.language.advice import quote
from timeline.language.expression import And, Compare, Constant, Expression, In, Or
from timeline.values.scalars import CompareOp, Scalar, compare_scalars, type_name

_FLIPPED: dict[CompareOp, CompareOp] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_BELOW = ("<", "<=")


def never_together(e: And) -> tuple[str, str] | None:
    """Why no value is all that is asked of it, and what may be meant; ``None`` if one can be.

    >>> from timeline.language.parser import parse
    >>> predicate = parse("count(delay > 3 && late == true && delay < 2)").parts[0]
    >>> never_together(predicate)
    ('delay > 3 && delay < 2 is never true: delay is never both', 'delay > 3 || delay < 2')
    """
    asked = [(part, *found) for part in e.operands if (found := _asked(part)) is not None]
    for (first, of, one), (second, of_other, other) in combinations(asked, 2):
        if of == of_other and not _can_be(one, other):
            both, either = And((first, second)), Or((first, second))
            return f"{quote(both)} is never true: {quote(of)} is never both", quote(either)
    return None


#: One of which comparisons with constants holds.
_Asked = list[tuple[CompareOp, Scalar]]


def _asked(e: Expression) -> tuple[Expression, _Asked] | None:
    """Of what an operand asks, and what; ``None`` if that is not a comparison with constants."""
    if isinstance(e, In):
        return e.of, [(c.op, c.right.value) for c in e.compares() if isinstance(c.right, Constant)]
    if not isinstance(e, Compare) or isinstance(e.left, Constant) is isinstance(e.right, Constant):
        return None
    if isinstance(e.right, Constant):
        return e.left, [(e.op, e.right.value)]
    assert isinstance(e.left, Constant)
    return e.right, [(_FLIPPED.get(e.op, e.op), e.left.value)]


def _can_be(one: _Asked, other: _Asked) -> bool:
    return any(_fit(*a, *b) for a in one for b in other)


def _fit(op: CompareOp, value: Scalar, other_op: CompareOp, other: Scalar) -> bool:
    """Whether there may be a value for which both comparisons hold."""
    if op == "==":
        return compare_scalars(other_op, value, other)
    if other_op == "==":
        return compare_scalars(op, other, value)
    if "!=" in (op, other_op):
        return True
    if None in (value, other) or type_name(value) != type_name(other):
        return False
    if (op in _BELOW) is (other_op in _BELOW):
        return True
    low, high = (other, value) if op in _BELOW else (value, other)
    strict = op in ("<", ">") or other_op in ("<", ">")
    return compare_scalars("<" if strict else "<=", low, high)

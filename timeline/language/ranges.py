"""Which comparisons no number can fulfil: counts and durations are never below 0, counts are whole."""

from __future__ import annotations

from collections.abc import Callable, Collection

from timeline.language.advice import quote
from timeline.language.checking import kind_of
from timeline.language.expression import Arithmetic, Compare, Constant, Expression
from timeline.values.kinds import Kind

_NEVER_BELOW_0 = (
    "count",
    "count_rises",
    "gaps",
    "duration_where",
    "duration_in_cur_state",
    "duration_in_prior_state",
    "time_since",
    "distinct",
)
#: What is never below 0 if what it is taken of is not.
_LIKE_ITS_OPERANDS = ("lag", "min_so_far", "max_so_far", "if")
_WHOLE = ("count", "count_rises", "gaps", "distinct")
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def never_in_range(e: Compare) -> tuple[str, str | None] | None:
    """Why a comparison with a constant is never true, or always, and what may be meant; ``None``: it is not.

    >>> from timeline.language.parser import parse
    >>> never_in_range(parse("count(a == 1) < 0"))
    ('count(a == 1) < 0 is never true: count(a == 1) is never below 0', 'count(a == 1) == 0')
    >>> never_in_range(parse("count(a == 1) == 0.5"))
    ('count(a == 1) == 0.5 is never true: count(a == 1) is a whole number', None)
    """
    of, op, constant = e.left, str(e.op), e.right
    if isinstance(of, Constant):
        of, op, constant = e.right, _FLIPPED.get(op, op), e.left
    if not isinstance(constant, Constant) or type(constant.value) not in (int, float):
        return None
    bound = constant.value
    assert isinstance(bound, int | float)
    if op in ("==", "!=") and bound != int(bound) and _is_whole(of):
        how = "excludes nothing" if op == "!=" else "is never true"
        return f"{quote(e)} {how}: {quote(of)} is a whole number", None
    below = (op == "<" and bound <= 0) or (op in ("<=", "==") and bound < 0)
    if not below or not _never_below_0(of):
        return None
    meant = f"{quote(of)} == 0" if op == "<" and bound == 0 else None
    return f"{quote(e)} is never true: {quote(of)} is never below 0", meant


def _never_below_0(e: Expression) -> bool:
    if isinstance(e, Constant):
        return e.value is None or (type(e.value) in (int, float) and e.value >= 0)  # type: ignore[operator]
    return kind_of(e) in (Kind.NUMERIC, Kind.RATIO) and _made_of(e, _never_below_0, "-", _NEVER_BELOW_0)


def _is_whole(e: Expression) -> bool:
    if isinstance(e, Constant):
        return e.value is None or type(e.value) is int
    return kind_of(e) is Kind.NUMERIC and _made_of(e, _is_whole, "/", _WHOLE)


def _made_of(e: Expression, holds: Callable[[Expression], bool], unless: str, names: Collection[str]) -> bool:
    """Whether something of numbers holds of an expression because it does of its parts, but through
    arithmetic by ``unless``, or because of the operator that it is."""
    if isinstance(e, Arithmetic):
        return e.op != unless and all(map(holds, e.parts))
    if e.name in _LIKE_ITS_OPERANDS:
        return all(map(holds, [p for p in e.parts if kind_of(p) is not Kind.BOOL]))
    return e.name in names

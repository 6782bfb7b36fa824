"""Advice: what somebody is likely to have meant by an expression whose parts do not fit."""

from __future__ import annotations

from typing import TypeGuard

from timeline.language.expression import (
    And,
    Arithmetic,
    Call,
    Column,
    Compare,
    Constant,
    Expression,
    In,
    Not,
    Or,
)
from timeline.language.printer import print_expression
from timeline.values.kinds import Kind

# A message quotes an expression up to this length; a caret shows the rest.
_QUOTED = 80


def suggest(e: Expression, kind: Kind, wanted: tuple[Kind, ...], of: Expression | None) -> str | None:
    """What the user is likely to have meant, given what ``e`` is and what could stand there."""
    # `!state == "x"` compares `!state`: the parentheses are what is missing.
    compare = "!({} {} ...)" if isinstance(of, Not) else "{} {} ..."
    text = quote(e)
    match kind:
        case Kind.CONSTANT if Kind.COLUMN in wanted and isinstance(e, Constant):
            return print_expression(Column(e.value)) if isinstance(e.value, str) else None
        case Kind.PREDICATE if _is(of, "count_rises"):
            return f"count({text}) or {_quote_lift(e)}"
        case Kind.PREDICATE if _is(of, "arithmetic", "sum"):
            return f"count({text})"
        case Kind.BOOL if _is(of, "count"):
            return f"count_rises({text})"
        case Kind.BOOL if _is(of, "arithmetic", "since"):
            return f"duration_where({text}) or count_rises({text})"
        case Kind.PREDICATE if Kind.STATE in wanted and Kind.CONSTANT not in wanted:
            return lifts(e)
        case Kind.PREDICATE:
            return _quote_lift(e)
        case Kind.COLUMN if _is(of, "count"):
            return f"{text} != null"
        case Kind.COLUMN if Kind.PREDICATE in wanted:
            return compare.format(text, "==")
        case Kind.COLUMN if isinstance(of, Arithmetic):
            return f"latest_event_to_state({text}) or sum({text})"
        case Kind.COLUMN if Kind.STATE in wanted:
            text = f"latest_event_to_state({text})"
            return f"{text} or {quote(Constant(e.column))}" if _may_be_text(e, of) else text
        case Kind.COLUMN:
            return compare.format(f"latest_event_to_state({text})", "==")
        case Kind.STATE if Kind.COLUMN in wanted and _is(e, "latest_event_to_state"):
            return print_expression(e.parts[0])
        case Kind.RATIO if isinstance(e, Arithmetic) and (isinstance(of, Arithmetic) or _is_lag(of)):
            quotient = _one_quotient(e, of) if isinstance(of, Arithmetic) else _lagged(e, of)
            text = "" if quotient is None else print_expression(quotient)
            return text if 0 < len(text) <= _QUOTED else None
        case Kind.STATE if Kind.BOOL in wanted:
            return compare.format(text, "==")
        case Kind.NUMERIC | Kind.RATIO if Kind.BOOL in wanted:
            return compare.format(text, ">")
    return None


def _is(e: Expression | None, *names: str) -> bool:
    return e is not None and e.name in names


def _may_be_text(e: Expression, of: Expression | None) -> TypeGuard[Column]:
    """Whether a column stands where a State is compared: a text may have lost its quotes."""
    if not isinstance(e, Column) or not isinstance(of, Compare):
        return False
    other = of.right if e is of.left else of.left
    return other.name in ("latest_event_to_state", "first", "prior_state")


def _is_lag(e: Expression | None) -> TypeGuard[Call]:
    return _is(e, "lag")


def _lagged(ratio: Arithmetic, of: Call) -> Expression:
    ago = of.arguments[1]
    sides = (s if isinstance(s, Constant) else Call("lag", (s, ago)) for s in (ratio.left, ratio.right))
    return Arithmetic("/", *sides)


def _one_quotient(ratio: Arithmetic, of: Arithmetic) -> Expression | None:
    """The Ratio that is meant by arithmetic between a Ratio and a constant, ``1 - x / y`` say."""
    x, y = ratio.left, ratio.right
    other = of.right if ratio is of.left else of.left
    if not isinstance(other, Constant) or type(other.value) not in (int, float):
        return None
    if of.op in ("+", "-"):
        whole = y if other.value == 1 else Arithmetic("*", y, other)
        above = (x, whole) if ratio is of.left else (whole, x)
        return Arithmetic("/", Arithmetic(of.op, *above), y)
    if isinstance(x, Constant):
        return None
    if of.op == "/" and ratio is of.right:
        return Arithmetic("/", y if other.value == 1 else Arithmetic("*", y, other), x)
    return Arithmetic("/", Arithmetic(of.op, x, other), y)


def lifts(predicate: Expression) -> str:
    """The two ways of making a timeline of a predicate."""
    return f"has_existed({quote(predicate)}) or {_quote_lift(predicate)}"


def _quote_lift(predicate: Expression) -> str:
    text = print_expression(_lift(predicate))
    return text if len(text) <= _QUOTED else "latest_event_to_state(column) == ..."


def _lift(predicate: Expression) -> Expression:
    """The predicate asked of the latest states rather than of each event."""
    match predicate:
        case Column():
            return Call("latest_event_to_state", (predicate,))
        case Compare():
            return Compare(predicate.op, _lift(predicate.left), _lift(predicate.right))
        case In():
            return In(_lift(predicate.of), predicate.values)
        case Call():  # a question about a text
            return Call(predicate.name, (_lift(predicate.parts[0]), *predicate.arguments[1:]))
        case Not():
            return Not(_lift(predicate.of))
        case And() | Or():
            return type(predicate)(tuple(_lift(o) for o in predicate.operands))
    return predicate


def quote(e: Expression) -> str:
    """The text of an expression as a message shows it."""
    text = print_expression(e)
    return text if len(text) <= _QUOTED else "..."

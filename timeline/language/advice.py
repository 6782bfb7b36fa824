"""Advice: what somebody is likely to have meant by an expression whose parts do not fit."""

from __future__ import annotations

from timeline.language.expression import (
    And,
    Arithmetic,
    Column,
    Compare,
    Constant,
    Count,
    CountRises,
    Expression,
    Lag,
    LatestEventToState,
    Not,
    Or,
    Sum,
)
from timeline.language.kinds import Kind
from timeline.language.printer import print_expression

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
        case Kind.PREDICATE if isinstance(of, CountRises):
            return f"count({text}) or {_quote_lift(e)}"
        case Kind.PREDICATE if isinstance(of, Arithmetic | Sum):
            return f"count({text})"
        case Kind.BOOL if isinstance(of, Count):
            return f"count_rises({text})"
        case Kind.BOOL if isinstance(of, Arithmetic):
            return f"duration_where({text}) or count_rises({text})"
        case Kind.PREDICATE if Kind.STATE in wanted and Kind.CONSTANT not in wanted:
            return lifts(e)
        case Kind.PREDICATE:
            return _quote_lift(e)
        case Kind.COLUMN if isinstance(of, Count):
            return f"{text} != null"
        case Kind.COLUMN if Kind.PREDICATE in wanted:
            return compare.format(text, "==")
        case Kind.COLUMN if isinstance(of, Arithmetic):
            return f"latest_event_to_state({text}) or sum({text})"
        case Kind.COLUMN if Kind.STATE in wanted:
            return f"latest_event_to_state({text})"
        case Kind.COLUMN:
            return compare.format(f"latest_event_to_state({text})", "==")
        case Kind.STATE if Kind.COLUMN in wanted and isinstance(e, LatestEventToState):
            return print_expression(e.column)
        case Kind.RATIO if isinstance(e, Arithmetic) and isinstance(of, Arithmetic | Lag):
            quotient = _lagged(e, of) if isinstance(of, Lag) else _one_quotient(e, of)
            text = "" if quotient is None else print_expression(quotient)
            return text if 0 < len(text) <= _QUOTED else None
        case Kind.STATE if Kind.BOOL in wanted:
            return compare.format(text, "==")
        case Kind.NUMERIC | Kind.RATIO if Kind.BOOL in wanted:
            return compare.format(text, ">")
    return None


def choice_advice(choice: Expression, kind: Kind, wanted: Kind) -> str | None:
    """What could stand beside the ``wanted`` kind in an ``if`` instead of a choice of another kind."""
    text = quote(choice)
    match kind, wanted:
        case Kind.STATE, Kind.NUMERIC:
            return f"{text} + 0"
        case Kind.STATE, Kind.BOOL:
            return f"{text} == ..."
        case Kind.NUMERIC, Kind.BOOL:
            return f"{text} > ..."
        case Kind.BOOL, Kind.NUMERIC:
            return f"duration_where({text}) or count_rises({text})"
    return None


def _lagged(ratio: Arithmetic, of: Lag) -> Expression:
    sides = (s if isinstance(s, Constant) else Lag(s, of.duration) for s in (ratio.left, ratio.right))
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
            return LatestEventToState(predicate)
        case Compare():
            return Compare(predicate.op, _lift(predicate.left), _lift(predicate.right))
        case Not():
            return Not(_lift(predicate.of))
        case And() | Or():
            return type(predicate)(tuple(_lift(o) for o in predicate.operands))
    return predicate


def quote(e: Expression) -> str:
    """The text of an expression as a message shows it."""
    text = print_expression(e)
    return text if len(text) <= _QUOTED else "..."

"""Kinds: what an expression stands for, and the check that its parts fit together."""

from __future__ import annotations

import math

from timeline.errors import ExpressionError, KindError, Span
from timeline.expression import (
    And,
    Column,
    Compare,
    Constant,
    Expression,
    LatestEventToState,
    Not,
    Or,
    Scalar,
)
from timeline.printer import print_expression
from timeline.signatures import (
    MAX_DEPTH,
    SIGNATURE_OF,
    TIMELINES,
    Kind,
    duration_problem,
)

__all__ = ["Kind", "check", "check_node", "check_parts", "kind_of", "too_deep"]

# A message quotes an expression up to this length; a caret shows the rest.
_QUOTED = 80


def kind_of(e: Expression) -> Kind:
    """The kind of a tree that was checked.

    >>> from timeline.expression import Column, Compare, Constant
    >>> kind_of(Compare("==", Column("state"), Constant("play")))
    <Kind.PREDICATE: 'predicate over events'>
    """
    while True:
        match e:
            case Column():
                return Kind.COLUMN
            case Constant():
                return Kind.CONSTANT
            case Compare():
                bare = isinstance(e.left, Column) or isinstance(e.right, Column)
                return Kind.PREDICATE if bare else Kind.BOOL
        result = SIGNATURE_OF[type(e)].result
        if result is not None:
            return result
        e = e.parts[0]  # of its operands' kind, and they were checked to be of one kind


def check(e: Expression, source: str | None = None) -> Kind:
    """Check a whole expression: its parts fit, and it is a timeline. Returns its kind.

    ``source`` is the text that the spans point into; errors carry it for their caret.

    Raises:
        KindError: parts that do not fit, or a whole that has no value over time.
        ExpressionError: nested more than 200 deep, or a constant or duration out of range.

    >>> from timeline.expression import Column, LatestEventToState
    >>> check(LatestEventToState(Column("quality")))
    <Kind.STATE: 'State'>
    >>> check(Column("quality"))
    Traceback (most recent call last):
    ...
    timeline.errors.KindError: the whole cannot be quality, a column of an event; \
expected a State, a Bool, a Numeric; did you mean latest_event_to_state(quality)?
    """
    try:
        kind = check_parts(e)
        if kind not in TIMELINES:
            raise _misfit("the whole cannot be", e, kind, TIMELINES)
    except ExpressionError as error:
        error.source = source
        raise
    return kind


def check_parts(e: Expression) -> Kind:
    """As `check`, for what need not be a timeline: a column, a constant, a predicate."""
    # A stack and not recursion: how deep the tree is, is one of the questions.
    order: list[Expression] = []
    todo = [(e, 1)]
    while todo:
        node, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise too_deep(node.span)
        order.append(node)
        todo += [(part, depth + 1) for part in node.parts]
    for node in reversed(order):  # children before their parents, left before right
        check_node(node)
    return kind_of(e)


def too_deep(span: Span | None) -> ExpressionError:
    """The error for an expression nested deeper than `MAX_DEPTH`."""
    return ExpressionError(f"nested too deeply: more than {MAX_DEPTH} levels", span=span)


def check_node(e: Expression) -> None:
    """Check one node whose parts were checked before.

    Raises:
        KindError: its parts do not fit.
        ExpressionError: a constant, column name or duration that cannot be.
    """
    match e:
        case Column():
            _check_scalar(e.column, e)
        case Constant():
            _check_scalar(e.value, e)
        case Compare():
            _check_compare(e)
        case _:
            _check_arguments(e)


def _check_scalar(value: Scalar, e: Expression) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ExpressionError("half of a surrogate pair is no character", span=e.span) from None
    elif isinstance(value, (int, float)):
        try:
            finite = math.isfinite(value)
        except OverflowError:
            finite = False
        if not finite:
            raise ExpressionError("number out of range: at most 1.797e308", span=e.span)


def _check_arguments(e: Expression) -> None:
    signature = SIGNATURE_OF[type(e)]
    label = signature.symbol or signature.usage
    arguments = signature.arguments(e)
    parameters = signature.parameters * (len(arguments) if signature.variadic else 1)
    for parameter, argument in zip(parameters, arguments, strict=True):
        if isinstance(argument, int):
            if (problem := duration_problem(argument)) is not None:
                raise ExpressionError(problem, span=e.span)
        elif (kind := kind_of(argument)) not in parameter.kinds:
            raise _misfit(f"{label} cannot take", argument, kind, parameter.kinds, of=e)
    if isinstance(e, And | Or):
        _check_one_kind(e, label)


def _check_one_kind(e: And | Or, label: str) -> None:
    predicates = [o for o in e.operands if kind_of(o) is Kind.PREDICATE]
    if 0 < len(predicates) < len(e.operands):
        first = predicates[0]
        raise KindError(
            f"{label} cannot mix {_quote(first)}, a {Kind.PREDICATE.value}, with a "
            f"{Kind.BOOL.value} timeline",
            span=first.span,
            suggestion=_lifts(first),
        )


def _check_compare(e: Compare) -> None:
    sides = ((e.left, kind_of(e.left)), (e.right, kind_of(e.right)))
    kinds = {kind for _, kind in sides}
    if kinds == {Kind.CONSTANT}:
        raise KindError(
            f"{e.op} between two constants is always the same",
            span=e.span,
            expected=("a column or a timeline on one side",),
        )
    wanted = (*TIMELINES, Kind.CONSTANT)
    for side, kind in sides:
        if kind is Kind.PREDICATE:
            raise _misfit(f"{e.op} cannot take", side, kind, wanted)
        if kind is Kind.COLUMN and not kinds <= {Kind.COLUMN, Kind.CONSTANT}:
            raise _misfit(f"{e.op} beside a timeline cannot take", side, kind, wanted)
        if kind is Kind.BOOL and e.op not in ("==", "!="):
            raise KindError(
                f"{e.op} cannot take {_quote(side)}: a Bool has no order",
                span=side.span,
                suggestion=f"duration_where({_quote(side)})",
            )
    if Kind.NUMERIC in kinds:
        for side, _ in sides:
            if isinstance(side, Constant) and isinstance(side.value, (str, bool)):
                word = "string" if isinstance(side.value, str) else "boolean"
                raise KindError(
                    f"a Numeric can never equal a {word}, nor be ordered beside it",
                    span=side.span,
                    expected=("a number",),
                )


def _misfit(
    what: str,
    e: Expression,
    kind: Kind,
    wanted: tuple[Kind, ...],
    of: Expression | None = None,
) -> KindError:
    return KindError(
        f"{what} {_quote(e)}, a {kind.value}",
        span=e.span,
        expected=[f"a {k.value}" for k in wanted],
        suggestion=_suggest(e, kind, wanted, of),
    )


def _suggest(e: Expression, kind: Kind, wanted: tuple[Kind, ...], of: Expression | None) -> str | None:
    """What the user is likely to have meant, given what ``e`` is and what could stand there."""
    # `!state == "x"` compares `!state`: the parentheses are what is missing.
    compare = "!({} {} ...)" if isinstance(of, Not) else "{} {} ..."
    text = _quote(e)
    match kind:
        case Kind.CONSTANT if Kind.COLUMN in wanted and isinstance(e, Constant):
            return print_expression(Column(e.value)) if isinstance(e.value, str) else None
        case Kind.PREDICATE if Kind.STATE in wanted and Kind.CONSTANT not in wanted:
            return _lifts(e)
        case Kind.PREDICATE:
            return _quote_lift(e)
        case Kind.COLUMN if Kind.PREDICATE in wanted:
            return compare.format(text, "==")
        case Kind.COLUMN if Kind.STATE in wanted:
            return f"latest_event_to_state({text})"
        case Kind.COLUMN:
            return compare.format(f"latest_event_to_state({text})", "==")
        case Kind.STATE if Kind.BOOL in wanted:
            return compare.format(text, "==")
        case Kind.NUMERIC if Kind.BOOL in wanted:
            return compare.format(text, ">")
    return None


def _lifts(predicate: Expression) -> str:
    """The two ways of making a timeline of a predicate."""
    return f"has_existed({_quote(predicate)}) or {_quote_lift(predicate)}"


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


def _quote(e: Expression) -> str:
    text = print_expression(e)
    return text if len(text) <= _QUOTED else "..."

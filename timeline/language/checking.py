"""Kinds: what an expression stands for, and the check that its parts fit together."""

from __future__ import annotations

from timeline.errors import ExpressionError, KindError
from timeline.language.advice import lifts, quote, suggest
from timeline.language.constants import check_digits, check_scalar, constant_result
from timeline.language.expression import (
    MAX_DEPTH,
    And,
    Arithmetic,
    Call,
    Column,
    Compare,
    Constant,
    Expression,
    Given,
    In,
    Or,
    Outputs,
    too_deep,
)
from timeline.language.output_names import name_problem
from timeline.language.signatures import arguments_of, duration_problem, signature_of
from timeline.values.kinds import TIMELINES, Kind


def kind_of(e: Expression) -> Kind:
    """The kind of a tree that was checked.

    >>> from timeline.language.expression import Column, Compare, Constant
    >>> kind_of(Compare("==", Column("state"), Constant("play")))
    <Kind.PREDICATE: 'predicate over events'>
    """
    while True:
        match e:
            case Column():
                return Kind.COLUMN
            case Constant():
                return Kind.CONSTANT
            case In():
                return Kind.PREDICATE if isinstance(e.of, Column) else Kind.BOOL
            case Compare():
                bare = isinstance(e.left, Column) or isinstance(e.right, Column)
                return Kind.PREDICATE if bare else Kind.BOOL
            case Arithmetic():
                divided = e.op == "/" and not isinstance(e.right, Constant)
                return Kind.RATIO if divided else Kind.NUMERIC
            case Given():
                return e.kind
            case Outputs():
                return Kind.OUTPUTS
        result = signature_of(e.name).result
        if isinstance(result, Kind):
            return result
        if result is not None:
            assert isinstance(e, Call)
            return result(e)
        e = e.parts[0]  # of its operands' kind, and they were checked to be of one kind


def check(e: Expression, source: str | None = None) -> Kind:
    """Check a whole expression: its parts fit, and it is a timeline. Returns its kind.

    ``source`` is the text that the spans point into; errors carry it for their caret.

    Raises:
        KindError: parts that do not fit, or a whole that has no value over time.
        ExpressionError: nested more than 200 deep, or a constant or duration out of range.

    >>> from timeline.language.expression import Call, Column
    >>> check(Call("latest_event_to_state", (Column("quality"),)))
    <Kind.STATE: 'State'>
    >>> check(Column("quality"))
    Traceback (most recent call last):
    ...
    timeline.errors.KindError: the whole cannot be quality, a column of an event; \
expected a State, a Bool, a Numeric, a Ratio; did you mean latest_event_to_state(quality)?
    """
    try:
        kind = check_parts(e)
        if kind not in TIMELINES and kind is not Kind.OUTPUTS:
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


def check_node(e: Expression) -> None:
    """Check one node whose parts were checked before.

    Raises:
        KindError: its parts do not fit.
        ExpressionError: a constant, column name or duration that cannot be.
    """
    match e:
        case Column():
            check_scalar(e.column, e)
        case Constant():
            check_scalar(e.value, e)
        case Compare():
            _check_compare(e, e.op)
        case In():
            for compare in e.compares():
                _check_compare(compare, "in")
        case Arithmetic():
            _check_arithmetic(e)
        case Outputs():
            _check_outputs(e)
        case Given():
            pass
        case _:
            _check_arguments(e)
    if isinstance(e, Arithmetic):
        check_digits(e)


def _check_arguments(e: Expression) -> None:
    signature = signature_of(e.name)
    label = signature.symbol or signature.usage
    arguments = arguments_of(e)
    parameters = signature.parameters * (len(arguments) if signature.variadic else 1)
    for parameter, argument in zip(parameters, arguments, strict=True):
        if isinstance(argument, int):
            if (problem := duration_problem(argument)) is not None:
                raise ExpressionError(problem, span=e.span)
        elif (kind := kind_of(argument)) not in parameter.kinds:
            raise _misfit(f"{label} cannot take", argument, kind, parameter.kinds, of=e)
    if isinstance(e, And | Or):
        _check_one_kind(e, label)
    if signature.check is not None and isinstance(e, Call):
        signature.check(e)


def _check_outputs(e: Outputs) -> None:
    for number, (name, part) in enumerate(zip(e.names, e.operands, strict=True)):
        if (problem := name_problem(name, e.names[:number])) is not None:
            raise ExpressionError(problem, span=part.span)
        if (kind := kind_of(part)) not in TIMELINES:
            raise _misfit(f"output {name} cannot be", part, kind, TIMELINES)


def _check_one_kind(e: And | Or, label: str) -> None:
    predicates = [o for o in e.operands if kind_of(o) is Kind.PREDICATE]
    if 0 < len(predicates) < len(e.operands):
        first = predicates[0]
        raise KindError(
            f"{label} cannot mix {quote(first)}, a {Kind.PREDICATE.value}, with a {Kind.BOOL.value} timeline",
            span=first.span,
            suggestion=lifts(first),
        )


def _check_arithmetic(e: Arithmetic) -> None:
    wanted = (Kind.NUMERIC, Kind.STATE, Kind.CONSTANT)
    for side in (e.left, e.right):
        kind = kind_of(side)
        if kind not in wanted:
            raise _misfit(f"{e.op} cannot take", side, kind, wanted, of=e)
        if isinstance(side, Constant) and type(side.value) not in (int, float):
            raise KindError(f"{e.op} cannot take {quote(side)}", span=side.span, expected=("a number",))
    constants = [isinstance(side, Constant) for side in (e.left, e.right)]
    if all(constants):
        raise KindError(
            f"{e.op} between two constants is a constant itself",
            span=e.span,
            expected=("a timeline on one side",),
            suggestion=constant_result(e),
        )
    if e.op == "*" and not any(constants):
        raise KindError(
            f"* takes a constant on one side, got {quote(e.left)} and {quote(e.right)}",
            span=e.span,
            expected=("a number on one side",),
        )


def _check_compare(e: Compare, sign: str) -> None:
    sides = ((e.left, kind_of(e.left)), (e.right, kind_of(e.right)))
    kinds = {kind for _, kind in sides}
    if kinds == {Kind.CONSTANT}:
        raise KindError(
            f"{sign} between two constants is always the same",
            span=e.span,
            expected=("a column or a timeline on one side",),
        )
    wanted = (*TIMELINES, Kind.CONSTANT)
    for side, kind in sides:
        if kind is Kind.PREDICATE:
            raise _misfit(f"{sign} cannot take", side, kind, wanted)
        if kind is Kind.COLUMN and not kinds <= {Kind.COLUMN, Kind.CONSTANT}:
            raise _misfit(f"{sign} beside a timeline cannot take", side, kind, wanted, of=e)
        if kind is Kind.BOOL and e.op not in ("==", "!="):
            raise KindError(
                f"{sign} cannot take {quote(side)}: a Bool has no order",
                span=side.span,
                suggestion=f"duration_where({quote(side)})",
            )
    if kinds & {Kind.NUMERIC, Kind.RATIO}:
        number = Kind.NUMERIC if Kind.NUMERIC in kinds else Kind.RATIO
        for side, kind in sides:
            if kind is Kind.BOOL:
                raise KindError(
                    f"a {number.value} can never equal {quote(side)}, a Bool",
                    span=side.span,
                    suggestion=f"duration_where({quote(side)}) or count_rises({quote(side)})",
                )
            if isinstance(side, Constant) and isinstance(side.value, (str, bool)):
                word = "string" if isinstance(side.value, str) else "boolean"
                raise KindError(
                    f"a {number.value} can never equal a {word}, nor be ordered beside it",
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
        f"{what} {quote(e)}, a {kind.value}",
        span=e.span,
        expected=[f"a {k.value}" for k in wanted],
        suggestion=suggest(e, kind, wanted, of),
    )

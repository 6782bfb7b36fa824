"""``where``: which keys are meant, by a condition on the values of their outputs at one time."""

from __future__ import annotations

from collections.abc import Mapping

from timeline.errors import ExpressionError, KindError
from timeline.language.checking import check_parts
from timeline.language.expression import Column, Expression, Given
from timeline.language.output_names import unknown_output
from timeline.language.parser import read
from timeline.language.printer import print_expression
from timeline.operators.base import own_table
from timeline.operators.lowering import operator_class, operator_of
from timeline.tables.packing import Bools
from timeline.tables.splicing import cut
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64


def parse_where(text: str, kinds: Mapping[str, Kind]) -> Expression:
    """The tree of a condition on outputs, whose kinds these are.

    Raises:
        ExpressionError: not a condition, or a name that no output has.

    >>> kinds = {"cdn": Kind.STATE, "rebuffering": Kind.NUMERIC}
    >>> print_expression(parse_where("rebuffering > 5 && cdn == 'C1'", kinds))
    'rebuffering > 5 && cdn == "C1"'
    >>> parse_where("cdn == C1", kinds)
    Traceback (most recent call last):
    ...
    timeline.errors.ExpressionError: line 1, column 8: there is no output C1; expected cdn, rebuffering; \
did you mean "C1"?
    """

    def given(column: Column) -> Expression:
        if column.column in kinds:
            return Given(column.column, kinds[column.column], span=column.span)
        error = unknown_output(column.column, kinds, column.span)
        error.suggestion = error.suggestion or f'"{column.column}"'
        raise ExpressionError(
            error.message, span=error.span, expected=error.expected, suggestion=error.suggestion
        )

    try:
        tree = read(text, {name: Given(name, kind) for name, kind in kinds.items()}, given)
        todo = [tree]
        while todo:
            part = todo.pop()
            if part.name and not operator_class(part.name).pointwise:
                raise ExpressionError(
                    f"a condition looks at outputs at one time only, and {print_expression(part)} "
                    "needs more; make it an output under [outputs] and name that",
                    span=part.span,
                )
            if isinstance(part, Column):
                raise unknown_output(part.column, kinds, part.span)
            todo += part.parts
        kind = check_parts(tree)
        if kind is not Kind.BOOL:
            shown = print_expression(tree)
            raise KindError(
                f"a condition cannot be {shown}, a {kind.value}",
                span=tree.span,
                expected=("a Bool",),
                suggestion=f"{shown} > ..." if kind in (Kind.NUMERIC, Kind.RATIO) else f"{shown} == ...",
            )
    except ExpressionError as error:
        error.source = text
        raise
    return tree


def holds(condition: Expression, at: I64, tables: Mapping[str, Table]) -> Bools:
    """Where a condition holds, given tables with one row for each of the packed places ``at``.

    It is computed by the operators that compute timelines, so that it means the same.
    """
    values: Bools = _table(condition, Window(at), tables).value
    return values


def names_in(condition: Expression) -> set[str]:
    """The outputs that a condition looks at."""
    if isinstance(condition, Given):
        return {condition.output}
    return set().union(*map(names_in, condition.parts))


def table_of(condition: Expression, window: Window, tables: Mapping[str, Table]) -> Table:
    """The timeline of a condition on a window, from whole tables: it switches where a comparison does."""
    return cut(_table(condition, window, tables), window)


def _table(e: Expression, window: Window, tables: Mapping[str, Table]) -> Table:
    if isinstance(e, Given):
        return tables[e.output]
    operator, parts = operator_of(e)
    inputs = [_table(part, window, tables) for part in parts]
    return operator.compute(inputs, window, own_table(operator, inputs[0].vocabulary))

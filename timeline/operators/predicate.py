"""Predicates over events: which events of a batch match."""

from __future__ import annotations

import numpy as np

from timeline.language.expression import And, Call, Column, Compare, Constant, Expression, In, Not, Or
from timeline.language.signatures import operator_classes
from timeline.operators.pairs import is_one_of, of_codes, of_pairs
from timeline.operators.texts import TextTest
from timeline.tables.events import EventColumn, Events
from timeline.tables.packing import Bools, all_of, any_of
from timeline.values.scalars import Scalar, compare_scalars
from timeline.values.vocabulary import NULL_CODE


def columns_of(predicate: Expression) -> frozenset[str]:
    """The event columns that an expression reads."""
    if isinstance(predicate, Column):
        return frozenset((predicate.column,))
    return frozenset().union(*(columns_of(part) for part in predicate.parts))


def matches(predicate: Expression, events: Events) -> Bools:
    """For each event of the batch (n), whether the predicate holds of it.

    A comparison of a column that the event does not carry is false, ``!=`` too; ``!`` of that is true.

    >>> from timeline.tables.events import from_rows
    >>> events = from_rows([("a", 1, {"state": "play"}), ("a", 2, {})])
    >>> matches(Compare("!=", Column("state"), Constant("seek")), events).tolist()
    [True, False]
    """
    if isinstance(predicate, Not):
        return ~matches(predicate.of, events)
    if isinstance(predicate, And):
        return all_of([matches(p, events) for p in predicate.operands])
    if isinstance(predicate, Or):
        return any_of([matches(p, events) for p in predicate.operands])
    if isinstance(predicate, In):
        column = _operand(predicate.of, events)
        carried: Bools = column.codes != NULL_CODE
        return all_of([carried, of_codes(column.codes, column.as_scalars(), is_one_of(predicate.values))])
    if isinstance(predicate, Call):
        test = operator_classes()[predicate.name].of(predicate)
        assert isinstance(test, TextTest)
        column = _operand(predicate.parts[0], events)
        return test.holds(column.codes, column.as_scalars())
    assert isinstance(predicate, Compare), predicate
    left = _operand(predicate.left, events)
    right = _operand(predicate.right, events)
    # A constant is a float too: both are compared as users see them.
    values = left.as_scalars(), right.as_scalars()
    return of_pairs(
        left.codes,
        right.codes,
        (len(left.values), len(right.values)),
        lambda x, y: _compare_carried(predicate, x, values[0][x], y, values[1][y]),
    )


def _operand(side: Expression, events: Events) -> EventColumn:
    if isinstance(side, Constant):
        return EventColumn(np.zeros(len(events), np.int64), [side.value])
    assert isinstance(side, Column), side
    return events.column(side.column)


def _compare_carried(
    predicate: Compare, left_code: int, left: Scalar, right_code: int, right: Scalar
) -> bool:
    missing_left = isinstance(predicate.left, Column) and left_code == NULL_CODE
    missing_right = isinstance(predicate.right, Column) and right_code == NULL_CODE
    if missing_left or missing_right:
        return False
    return compare_scalars(predicate.op, left, right)

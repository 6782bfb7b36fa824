"""From a part of an expression to the operator that computes it."""

from __future__ import annotations

from timeline.language.expression import Expression
from timeline.language.signatures import operator_classes
from timeline.operators.arithmetic import Arithmetic
from timeline.operators.base import Lowered, Operator
from timeline.operators.compare import Compare
from timeline.operators.is_in import In
from timeline.operators.outputs import Outputs

# What has a syntax of its own instead of a signature.
_WRITTEN: dict[str, type[Operator]] = {
    "compare": Compare,
    "arithmetic": Arithmetic,
    "outputs": Outputs,
    "in": In,
}


def operator_of(part: Expression) -> Lowered:
    """The operator of one node, and the sub-expressions that are its inputs.

    >>> from timeline.language.parser import parse
    >>> operator, inputs = operator_of(parse("lag(count(a == 1), 5s)"))
    >>> operator.name, operator.reach, len(inputs)
    ('lag', 5000, 1)
    """
    return operator_class(part.name).lower(part)


def operator_class(name: str) -> type[Operator]:
    """The class of the operator of that name."""
    return _WRITTEN.get(name) or operator_classes()[name]

"""From a part of an expression to the operator that computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from timeline.language import expression as ex
from timeline.language.checking import kind_of
from timeline.language.kinds import Kind
from timeline.operators.and_ import And
from timeline.operators.arithmetic import Arithmetic
from timeline.operators.base import Operator
from timeline.operators.compare import FLIPPED, Compare
from timeline.operators.count import Count
from timeline.operators.count_rises import CountRises
from timeline.operators.duration_in_cur_state import DurationInCurState
from timeline.operators.duration_in_prior_state import DurationInPriorState
from timeline.operators.duration_where import DurationWhere
from timeline.operators.has_existed import HasExisted, HasExistedEvent
from timeline.operators.has_existed_within import HasExistedWithin, HasExistedWithinEvent
from timeline.operators.if_ import If
from timeline.operators.lag import Lag
from timeline.operators.latest_event_to_state import LatestEventToState
from timeline.operators.not_ import Not
from timeline.operators.or_ import Or
from timeline.operators.outputs import Outputs
from timeline.operators.prior_state import PriorState
from timeline.operators.sum_ import Sum
from timeline.tables.table import Shape

_SHAPES = {
    Kind.STATE: Shape.STATE,
    Kind.BOOL: Shape.BOOL,
    Kind.NUMERIC: Shape.NUMERIC,
    Kind.RATIO: Shape.RATIO,
}


def _constant(part: ex.Expression) -> ex.Constant | None:
    return replace(part, span=None) if isinstance(part, ex.Constant) else None


def operator_of(part: ex.Expression) -> tuple[Operator, Sequence[ex.Expression]]:
    """The operator of one node, and the sub-expressions that are its inputs."""
    match part:
        case ex.LatestEventToState(column=column):
            return LatestEventToState(column.column), ()
        case ex.HasExisted(of=of) if kind_of(of) is Kind.PREDICATE:
            return HasExistedEvent(predicate=of), ()
        case ex.HasExisted(of=of):
            return HasExisted(), (of,)
        case ex.HasExistedWithin(of=of, duration=duration) if kind_of(of) is Kind.PREDICATE:
            return HasExistedWithinEvent(predicate=of, duration=duration), ()
        case ex.HasExistedWithin(of=of, duration=duration):
            return HasExistedWithin(duration), (of,)
        case ex.Not(of=of):
            return Not(), (of,)
        case ex.And(operands=operands):
            return And(), operands
        case ex.Or(operands=operands):
            return Or(), operands
        case ex.Compare(op=op, left=left, right=ex.Constant() as constant):
            return Compare(op, replace(constant, span=None)), (left,)
        case ex.Compare(op=op, left=ex.Constant() as constant, right=right):
            return Compare(FLIPPED[op], replace(constant, span=None)), (right,)
        case ex.Compare(op=op, left=left, right=right):
            return Compare(op), (left, right)
        case ex.DurationWhere(of=of):
            return DurationWhere(), (of,)
        case ex.DurationInCurState(of=of):
            return DurationInCurState(), (of,)
        case ex.DurationInPriorState(of=of):
            return DurationInPriorState(), (of, ex.DurationInCurState(of))
        case ex.PriorState(of=of):
            return PriorState(), (of,)
        case ex.Count(of=of):
            return Count(of), ()
        case ex.Sum(column=column):
            return Sum(column.column), ()
        case ex.CountRises(of=of):
            return CountRises(), (of,)
        case ex.Arithmetic(op=op, left=left, right=ex.Constant() as constant):
            return Arithmetic(op, replace(constant, span=None), 1), (left,)
        case ex.Arithmetic(op=op, left=ex.Constant() as constant, right=right):
            return Arithmetic(op, replace(constant, span=None), 0), (right,)
        case ex.Arithmetic(op=op, left=left, right=right):
            return Arithmetic(op), (left, right)
        case ex.If(condition=condition, then=then, otherwise=otherwise):
            choices = (_constant(then), _constant(otherwise))
            timelines = [c for c in (then, otherwise) if not isinstance(c, ex.Constant)]
            return If(_SHAPES[kind_of(part)], choices), (condition, *timelines)
        case ex.Outputs(names=names, operands=operands):
            return Outputs(names), operands
        case ex.Lag(of=of, duration=duration):
            return Lag(duration, _SHAPES[kind_of(of)], None), (of,)
    raise AssertionError(f"no operator for {part!r}")

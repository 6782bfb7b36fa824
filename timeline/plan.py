"""From an expression to the directed graph of its nodes, each sub-expression once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from timeline import expression as ex
from timeline.builder import Build
from timeline.errors import NotFoundError, TimelineError
from timeline.kinds import Kind, kind_of
from timeline.operators.and_ import And
from timeline.operators.arithmetic import Arithmetic
from timeline.operators.base import Leaf, Operator
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
from timeline.outputs import VALUE
from timeline.parser import parse
from timeline.printer import print_expression
from timeline.table import Shape


@dataclass(frozen=True)
class PlanNode:
    """One node: ``inputs`` are the indices of the nodes it computes from; none for a leaf."""

    index: int
    expression: ex.Expression
    operator: Operator
    inputs: tuple[int, ...]
    text: str
    before_origin: ex.Scalar

    @property
    def kind(self) -> Kind:
        return kind_of(self.expression)

    @property
    def leaf(self) -> Leaf | None:
        """The operator if it reads events, else ``None``."""
        return self.operator if isinstance(self.operator, Leaf) else None

    @cached_property
    def digest(self) -> str:
        """Ten hex digits that stand for the node's canonical text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:10]


@dataclass(frozen=True)
class Plan:
    """The nodes of an expression in an order in which inputs come first; the last is the result.

    >>> plan = make_plan('duration_where(has_existed(a == 1) && !has_existed(a == 1))')
    >>> [(node.text, node.inputs) for node in plan.nodes]  # doctest: +NORMALIZE_WHITESPACE
    [('has_existed(a == 1)', ()),
     ('!has_existed(a == 1)', (0,)),
     ('has_existed(a == 1) && !has_existed(a == 1)', (0, 1)),
     ('duration_where(has_existed(a == 1) && !has_existed(a == 1))', (2,))]
    """

    nodes: tuple[PlanNode, ...]

    @property
    def result(self) -> PlanNode:
        return self.nodes[-1]

    @property
    def outputs(self) -> dict[str, PlanNode]:
        """The nodes that are asked for, by name; the result of a plain expression is ``value``.

        >>> make_plan("{n: count(a == 1), often: count(a == 1) > 5}").outputs["often"].inputs
        (0,)
        """
        if isinstance(self.result.operator, Outputs):
            inputs = [self.nodes[i] for i in self.result.inputs]
            return dict(zip(self.result.operator.names, inputs, strict=True))
        return {VALUE: self.result}

    @property
    def leaves(self) -> list[PlanNode]:
        return [node for node in self.nodes if node.leaf is not None]

    @property
    def columns(self) -> list[str]:
        """The event columns that the plan reads, sorted."""
        return sorted({c for node in self.leaves if node.leaf for c in node.leaf.columns})

    def find(self, wanted: str) -> PlanNode:
        """The node that a person means: its name as an output, its DSL text, its digest, or the first
        digits of that.

        Raises:
            NotFoundError: no node, or several; the message lists what there is.
        """
        if wanted in self.outputs:
            return self.outputs[wanted]
        matching = [n for n in self.nodes if n.digest.startswith(wanted) or n.text == wanted]
        if not matching:
            try:
                text = print_expression(parse(wanted))
            except TimelineError:
                text = ""
            matching = [n for n in self.nodes if n.text == text]
        if len(matching) != 1:
            known = "\n".join(f"  {n.digest}  {n.text}" for n in self.nodes)
            what = "no node" if not matching else "more than one node"
            raise NotFoundError(f"{what} {wanted!r}; the nodes are:\n{known}")
        return matching[0]


def make_plan(expression: ex.Expression | Build | str) -> Plan:
    """The plan of an expression, given as text, as built in Python, or as a tree.

    Raises:
        ExpressionError: text that cannot be understood, or parts that do not fit.
    """
    if isinstance(expression, Build):
        expression = expression.expression
    tree = parse(expression) if isinstance(expression, str) else expression
    nodes: list[PlanNode] = []
    known: dict[ex.Expression, int] = {}

    def add(part: ex.Expression) -> int:
        if part in known:
            return known[part]
        operator, inputs = operator_of(part)
        indices = tuple(add(child) for child in inputs)
        before = [nodes[i].before_origin for i in indices]
        if isinstance(operator, Lag):
            operator = replace(operator, initial=before[0])
        if isinstance(operator, Outputs):
            operator = replace(operator, initials=tuple(before))
        initial = operator.before_origin(before)
        node = PlanNode(len(nodes), part, operator, indices, print_expression(part), initial)
        nodes.append(node)
        known[part] = node.index
        return node.index

    add(tree)
    return Plan(tuple(nodes))


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

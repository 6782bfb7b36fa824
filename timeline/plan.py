"""From an expression to the directed graph of its nodes, each sub-expression once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from timeline.errors import NotFoundError, TimelineError
from timeline.language import expression as ex
from timeline.language.builder import Build
from timeline.language.checking import kind_of
from timeline.language.output_names import VALUE
from timeline.language.parser import parse
from timeline.language.printer import print_expression
from timeline.operators.base import Leaf, Operator
from timeline.operators.lowering import operator_of
from timeline.operators.outputs import Outputs
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar


@dataclass(frozen=True)
class PlanNode:
    """One node: ``inputs`` are the indices of the nodes it computes from; none for a leaf."""

    index: int
    expression: ex.Expression
    operator: Operator
    inputs: tuple[int, ...]
    text: str
    before_origin: Scalar

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
        operator = operator.over(before)
        initial = operator.before_origin(before)
        node = PlanNode(len(nodes), part, operator, indices, print_expression(part), initial)
        nodes.append(node)
        known[part] = node.index
        return node.index

    add(tree)
    return Plan(tuple(nodes))


def kinds_of(plan: Plan) -> dict[str, Kind]:
    """The kinds of a plan's outputs.

    >>> from timeline.plan import make_plan
    >>> kinds_of(make_plan("{n: count(a == 1), often: count(a == 1) > 5}"))
    {'n': <Kind.NUMERIC: 'Numeric'>, 'often': <Kind.BOOL: 'Bool'>}
    """
    return {name: node.kind for name, node in plan.outputs.items()}

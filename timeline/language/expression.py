"""The typed tree of an expression: what the parser and the builder make, and the plan is made from.

Trees are immutable and compare by structure; where they stand in a text (``span``) does not count.
What has a syntax of its own has a class here; every other operator is a `Call` of its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Literal

from timeline.errors import ExpressionError, Span
from timeline.values.kinds import Kind
from timeline.values.scalars import CompareOp, Scalar

ArithmeticOp = Literal["+", "-", "*", "/"]

#: How deep an expression may be nested; far below Python's own limit, far above what can be read.
MAX_DEPTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """Root of the tree's classes."""

    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The operator's name, by which it is found; empty for what is no operator."""
        return ""

    @property
    def parts(self) -> tuple[Expression, ...]:
        """The direct sub-expressions, in the order in which they are written."""
        return ()


@dataclass(frozen=True, slots=True)
class Column(Expression):
    """A column of an event, written bare (``quality``) or as ``col("lat long")``."""

    column: str


@dataclass(frozen=True, slots=True)
class Constant(Expression):
    """A JSON scalar. ``True == 1`` in Python, so constants compare with their type."""

    value: Scalar = field(compare=False)
    _identity: tuple[str, Scalar] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        value = self.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
            object.__setattr__(self, "value", value)
        kind = "number" if type(value) in (int, float) else type(value).__name__
        object.__setattr__(self, "_identity", (kind, value))


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """A call of an operator by its name: its arguments as they are written, a duration in ms (at least 1).

    >>> Call("has_existed_within", (Column("seen"), 5_000)).parts
    (Column(column='seen'),)
    """

    operator: str
    arguments: tuple[Expression | int, ...]

    @property
    def name(self) -> str:
        return self.operator

    @property
    def parts(self) -> tuple[Expression, ...]:
        return tuple(a for a in self.arguments if isinstance(a, Expression))


@dataclass(frozen=True, slots=True)
class Not(Expression):
    of: Expression

    @property
    def name(self) -> str:
        return "not"

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class And(Expression):
    """Two or more operands; make it with `conjunction`, which flattens nested ones."""

    operands: tuple[Expression, ...]

    @property
    def name(self) -> str:
        return "and"

    @property
    def parts(self) -> tuple[Expression, ...]:
        return self.operands


@dataclass(frozen=True, slots=True)
class Or(Expression):
    """Two or more operands; make it with `disjunction`, which flattens nested ones."""

    operands: tuple[Expression, ...]

    @property
    def name(self) -> str:
        return "or"

    @property
    def parts(self) -> tuple[Expression, ...]:
        return self.operands


@dataclass(frozen=True, slots=True)
class Compare(Expression):
    """``left op right`` over event columns (then it is a predicate) or over timelines and constants."""

    op: CompareOp
    left: Expression
    right: Expression

    @property
    def name(self) -> str:
        return "compare"

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class In(Expression):
    """``of in (values)`` over an event column (then it is a predicate) or over a timeline.

    Two or more values, none twice; make it with `membership`.
    """

    of: Expression
    values: tuple[Constant, ...]

    @property
    def name(self) -> str:
        return "in"

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of, *self.values)

    def compares(self) -> tuple[Compare, ...]:
        """The comparisons of which one must hold."""
        return tuple(Compare("==", self.of, value, span=self.span) for value in self.values)


@dataclass(frozen=True, slots=True)
class Arithmetic(Expression):
    """``left op right`` over timelines and constants; ``/`` by a timeline makes a Ratio."""

    op: ArithmeticOp
    left: Expression
    right: Expression

    @property
    def name(self) -> str:
        return "arithmetic"

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Outputs(Expression):
    """Several named timelines side by side; only the whole of an expression can be this."""

    names: tuple[str, ...]
    operands: tuple[Expression, ...]

    @property
    def name(self) -> str:
        return "outputs"

    @property
    def parts(self) -> tuple[Expression, ...]:
        return self.operands


@dataclass(frozen=True, slots=True)
class Given(Expression):
    """The value of an output, where that is there already: in what is asked of results."""

    output: str
    kind: Kind


def conjunction(operands: tuple[Expression, ...], span: Span | None = None) -> Expression:
    """``a && b && ...`` with nested conjunctions flattened, so that grouping does not matter."""
    flat: list[Expression] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, And) else (operand,))
    return flat[0] if len(flat) == 1 else And(tuple(flat), span=span)


def disjunction(operands: tuple[Expression, ...], span: Span | None = None) -> Expression:
    """``a || b || ...`` with nested disjunctions flattened, so that grouping does not matter."""
    flat: list[Expression] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, Or) else (operand,))
    return flat[0] if len(flat) == 1 else Or(tuple(flat), span=span)


def membership(of: Expression, values: tuple[Constant, ...], span: Span | None = None) -> Expression:
    """``of in (values)`` with each value once; in one value it is a comparison."""
    each = tuple(dict.fromkeys(values))
    return Compare("==", of, each[0], span=span) if len(each) == 1 else In(of, each, span=span)


def size(e: Expression) -> int:
    """How many parts a tree has, itself included."""
    count, todo = 0, [e]
    while todo:
        count += 1
        todo += todo.pop().parts
    return count


def placed(e: Expression, span: Span) -> Expression:
    """The tree with every part at one place: where it is put in, for errors to point at."""

    def moved(value: object) -> object:
        if isinstance(value, Expression):
            return placed(value, span)
        if isinstance(value, tuple) and value and isinstance(value[0], Expression):
            return tuple(map(moved, value))
        return value

    parts = {f.name: moved(getattr(e, f.name)) for f in fields(e) if f.init and f.name != "span"}
    return replace(e, **parts, span=span)


def too_deep(span: Span | None) -> ExpressionError:
    """The error for an expression nested deeper than `MAX_DEPTH`."""
    return ExpressionError(f"nested too deeply: more than {MAX_DEPTH} levels", span=span)

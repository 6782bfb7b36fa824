"""The typed tree of an expression: what the parser and the builder make, and the plan is made from.

Trees are immutable and compare by structure; where they stand in a text (``span``) does not count.
Every class below that is a timeline operator names its DSL spelling in ``name``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from timeline.errors import Span
from timeline.values.scalars import CompareOp, Scalar

if TYPE_CHECKING:
    from timeline.language.kinds import Kind


ArithmeticOp = Literal["+", "-", "*", "/"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """Root of the tree's classes."""

    name: ClassVar[str] = ""
    span: Span | None = field(default=None, compare=False, repr=False)

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
class LatestEventToState(Expression):
    name: ClassVar[str] = "latest_event_to_state"
    column: Column

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.column,)


@dataclass(frozen=True, slots=True)
class HasExisted(Expression):
    """Over a predicate on events, or over a Bool timeline."""

    name: ClassVar[str] = "has_existed"
    of: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class HasExistedWithin(Expression):
    """Over a predicate on events, or over a Bool timeline; ``duration`` in ms, at least 1."""

    name: ClassVar[str] = "has_existed_within"
    of: Expression
    duration: int

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class Not(Expression):
    name: ClassVar[str] = "not"
    of: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class And(Expression):
    """Two or more operands; make it with `conjunction`, which flattens nested ones."""

    name: ClassVar[str] = "and"
    operands: tuple[Expression, ...]

    @property
    def parts(self) -> tuple[Expression, ...]:
        return self.operands


@dataclass(frozen=True, slots=True)
class Or(Expression):
    """Two or more operands; make it with `disjunction`, which flattens nested ones."""

    name: ClassVar[str] = "or"
    operands: tuple[Expression, ...]

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
    def parts(self) -> tuple[Expression, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Arithmetic(Expression):
    """``left op right`` over timelines and constants; ``/`` by a timeline makes a Ratio."""

    op: ArithmeticOp
    left: Expression
    right: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class DurationWhere(Expression):
    name: ClassVar[str] = "duration_where"
    of: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class DurationInCurState(Expression):
    name: ClassVar[str] = "duration_in_cur_state"
    of: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class DurationInPriorState(Expression):
    name: ClassVar[str] = "duration_in_prior_state"
    of: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class PriorState(Expression):
    name: ClassVar[str] = "prior_state"
    of: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class Count(Expression):
    name: ClassVar[str] = "count"
    of: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class Sum(Expression):
    name: ClassVar[str] = "sum"
    column: Column

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.column,)


@dataclass(frozen=True, slots=True)
class CountRises(Expression):
    name: ClassVar[str] = "count_rises"
    of: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class If(Expression):
    """``then`` where ``condition`` is true, else ``otherwise``; both of one kind, or constants."""

    name: ClassVar[str] = "if"
    condition: Expression
    then: Expression
    otherwise: Expression

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.condition, self.then, self.otherwise)


@dataclass(frozen=True, slots=True)
class Lag(Expression):
    """The value ``duration`` (ms, at least 1) ago."""

    name: ClassVar[str] = "lag"
    of: Expression
    duration: int

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class Outputs(Expression):
    """Several named timelines side by side; only the whole of an expression can be this."""

    name: ClassVar[str] = "outputs"
    names: tuple[str, ...]
    operands: tuple[Expression, ...]

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

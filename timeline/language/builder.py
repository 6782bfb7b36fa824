"""Expressions written in Python: the same trees that the parser makes.

>>> from timeline.language.calls import duration_in_cur_state, latest_event_to_state
>>> str(duration_in_cur_state(latest_event_to_state("lat_long")) < 10)
'duration_in_cur_state(latest_event_to_state(lat_long)) < 10'
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from fractions import Fraction
from numbers import Integral
from typing import TypeAlias

from timeline.errors import DurationError, ExpressionError
from timeline.language.checking import check_node, check_parts, kind_of
from timeline.language.expression import (
    MAX_DEPTH,
    Arithmetic,
    ArithmeticOp,
    Column,
    Compare,
    Constant,
    Expression,
    Not,
    conjunction,
    disjunction,
    membership,
    too_deep,
)
from timeline.language.printer import print_expression
from timeline.language.signatures import signature_of
from timeline.values.kinds import Kind
from timeline.values.scalars import CompareOp, Scalar
from timeline.values.ticks import format_seconds, parse_duration

Duration: TypeAlias = int | float | str | timedelta
Operand: TypeAlias = "Build | Expression | Scalar | timedelta"


class BuildError(ExpressionError, TypeError):
    """Python that cannot be made an expression: ``and`` for ``&``, a list as a constant."""


class Build:
    """An expression, or a part of one, with Python's operators.

    ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=`` compare; ``+``, ``-``, ``*``, ``/`` calculate; ``&``,
    ``|``, ``~`` are and, or, not, and need parentheses round comparisons. ``expression`` is the tree,
    ``str()`` the DSL.

    Raises:
        KindError: parts that do not fit together, at once when they are put together.
        BuildError: what Python would take as one truth value: ``and``, ``or``, ``not``, ``if``,
            ``a < b < c``.

    >>> from timeline.language.calls import has_existed_within, latest_event_to_state
    >>> playing = latest_event_to_state("state") == "play"
    >>> print(playing & ~has_existed_within(col("state") == "seek", "5s"))
    latest_event_to_state(state) == "play" && !has_existed_within(state == "seek", 5s)
    """

    __slots__ = ("_depth", "expression")

    expression: Expression

    def __init__(self, expression: Expression) -> None:
        check_parts(expression)
        self.expression = expression
        self._depth = _depth(expression)

    @property
    def kind(self) -> Kind:
        """What this stands for: a timeline's kind, or a predicate, column or constant."""
        return kind_of(self.expression)

    def __eq__(self, other: Operand) -> Build:  # type: ignore[override]
        return _compare("==", self, other)

    def __ne__(self, other: Operand) -> Build:  # type: ignore[override]
        return _compare("!=", self, other)

    def __lt__(self, other: Operand) -> Build:
        return _compare("<", self, other)

    def __le__(self, other: Operand) -> Build:
        return _compare("<=", self, other)

    def __gt__(self, other: Operand) -> Build:
        return _compare(">", self, other)

    def __ge__(self, other: Operand) -> Build:
        return _compare(">=", self, other)

    def __add__(self, other: Operand) -> Build:
        return _calculate("+", self, other)

    def __radd__(self, other: Operand) -> Build:
        return _calculate("+", other, self)

    def __sub__(self, other: Operand) -> Build:
        return _calculate("-", self, other)

    def __rsub__(self, other: Operand) -> Build:
        return _calculate("-", other, self)

    def __mul__(self, other: Operand) -> Build:
        return _calculate("*", self, other)

    def __rmul__(self, other: Operand) -> Build:
        return _calculate("*", other, self)

    def __truediv__(self, other: Operand) -> Build:
        return _calculate("/", self, other)

    def __rtruediv__(self, other: Operand) -> Build:
        return _calculate("/", other, self)

    # `==` makes an expression, so a set or a dict could not tell two of these apart.
    __hash__ = None  # type: ignore[assignment]

    def __and__(self, other: Build) -> Build:
        parts = (self, _beside("&", other))
        return _made(conjunction(tuple(p.expression for p in parts)), *parts)

    def __or__(self, other: Build) -> Build:
        parts = (self, _beside("|", other))
        return _made(disjunction(tuple(p.expression for p in parts)), *parts)

    def __rand__(self, other: object) -> Build:
        return _beside("&", other)

    def __ror__(self, other: object) -> Build:
        return _beside("|", other)

    def is_in(self, values: Iterable[Scalar]) -> Build:
        """Whether it is one of some constants.

        >>> print(call("has_existed", col("cdn").is_in(["a", "b"])))
        has_existed(cdn in ("a", "b"))
        """
        constants = tuple(_build(value).expression for value in values)
        if not constants or not all(isinstance(c, Constant) for c in constants):
            raise BuildError("is_in takes one or more constants", expected=("a list such as ['a', 'b']",))
        return _made(membership(self.expression, constants), self)  # type: ignore[arg-type]

    def __invert__(self) -> Build:
        return _made(Not(self.expression), self)

    def __bool__(self) -> bool:
        raise BuildError(
            f"{self} has no truth value in Python; write & for and, | for or, ~ for not, "
            "and a < b < c as (a < b) & (b < c)"
        )

    def __str__(self) -> str:
        return print_expression(self.expression)

    def __repr__(self) -> str:
        return f"<Build {self}>"


def col(name: str) -> Build:
    """A column of an event, for a predicate.

    >>> print(call("has_existed", col("state") == "play"))
    has_existed(state == "play")
    """
    if not isinstance(name, str):
        raise BuildError(f"col takes the name of a column, got {name!r}")
    return _made(Column(name))


def call(name: str, *arguments: Operand | Duration) -> Build:
    """A call of the operator of that name: a column may be given by its name, a duration as `Duration`.

    Raises:
        KindError: parts that do not fit.
        DurationError: a duration that is no whole number of ms.
        ExpressionError: one that is below 1 ms or longer than time itself.

    >>> print(call("has_existed_within", col("state") == "seek", "5s"))
    has_existed_within(state == "seek", 5s)
    """
    signature = signature_of(name)
    parts: list[Build] = []
    values: list[Expression | int] = []
    for parameter, argument in zip(signature.parameters, arguments, strict=True):
        if parameter.is_duration:
            values.append(_milliseconds(argument))
            continue
        bare = isinstance(argument, str) and parameter.kinds == (Kind.COLUMN,)
        parts.append(col(str(argument)) if bare else _build(argument))
        values.append(parts[-1].expression)
    return _made(signature.make(tuple(values)), *parts)


def _compare(op: CompareOp, left: Build, right: Operand) -> Build:
    other = _build(right)
    return _made(Compare(op, left.expression, other.expression), left, other)


def _calculate(op: ArithmeticOp, left: Operand, right: Operand) -> Build:
    parts = (_build(left), _build(right))
    return _made(Arithmetic(op, *(p.expression for p in parts)), *parts)


def _made(node: Expression, *parts: Build) -> Build:
    """Wrap a node whose parts were checked: only the node itself is looked at."""
    check_node(node)
    # Flattening makes the sum too large by one for each `&` of a chain.
    depth = 1 + max((p._depth for p in parts), default=0)
    if depth > MAX_DEPTH:
        depth = _depth(node)
        if depth > MAX_DEPTH:
            raise too_deep(node.span)
    build = object.__new__(Build)
    build.expression = node
    build._depth = depth
    return build


def _depth(e: Expression) -> int:
    depth, level = 0, [e]
    while level:
        depth, level = depth + 1, [part for node in level for part in node.parts]
    return depth


def _beside(symbol: str, other: object) -> Build:
    if isinstance(other, Build):
        return other
    raise BuildError(
        f"{symbol} cannot take {other!r}; it binds tighter than == in Python, "
        f'so write (a == "x") {symbol} (b == "y")'
    )


def _build(value: object) -> Build:
    """What stands beside an operator as a `Build`; subclasses become the plain types."""
    match value:
        case Build():
            return value
        case Expression():
            return Build(value)
        case None | bool():
            return _made(Constant(value))
        case str():
            return _made(Constant(str.__str__(value)))
        case int() | Integral():  # numpy's whole numbers are no ints
            return _made(Constant(int(value)))
        case float():
            return _made(Constant(float(value)))
        case timedelta():
            return _made(Constant(format_seconds(_milliseconds(value))))
    raise BuildError(
        f"{value!r} cannot be part of an expression",
        expected=("a string", "a number", "True", "False", "None", "a timedelta"),
    )


def _milliseconds(duration: object) -> int:
    match duration:
        case str():
            return parse_duration(duration)
        case timedelta():
            ms = Fraction(duration // timedelta(microseconds=1), 1_000)
        case int() | float() if not isinstance(duration, bool):
            try:
                # By its shortest text, as in the DSL: 0.1 is 100 ms, whatever the binary says.
                ms = Fraction(str(duration)) * 1_000
            except ValueError:
                raise DurationError(f"not a duration: {duration!r}") from None
        case _:
            raise BuildError(
                f"not a duration: {duration!r}",
                expected=('a text such as "5s"', "a number of seconds", "a timedelta"),
            )
    if ms.denominator != 1:
        raise DurationError(f"a duration is a whole number of milliseconds, got {duration!r}")
    return int(ms)

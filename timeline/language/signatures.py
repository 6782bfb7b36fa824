"""The table of operators: one entry each, for parser, kind check, printer and builder alike.

A further operator is a class in `timeline.language.expression` and an entry in `SIGNATURES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import cast

from timeline.language.expression import (
    And,
    Count,
    CountRises,
    DurationInCurState,
    DurationInPriorState,
    DurationWhere,
    Expression,
    HasExisted,
    HasExistedWithin,
    If,
    Lag,
    LatestEventToState,
    Not,
    Or,
    PriorState,
    Sum,
    conjunction,
    disjunction,
)
from timeline.language.kinds import Kind
from timeline.values.ticks import MAX_TICK, format_duration


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: the letter that usage lines show and the kinds it takes."""

    letter: str
    kinds: tuple[Kind, ...]

    @property
    def is_duration(self) -> bool:
        """Whether a duration (ms in the tree) stands here rather than an expression."""
        return not self.kinds


_COLUMN = Parameter("col", (Kind.COLUMN,))
_MATCH = Parameter("p", (Kind.PREDICATE, Kind.BOOL))
_CONDITION = Parameter("b", (Kind.BOOL,))
_STATE = Parameter("s", (Kind.STATE, Kind.BOOL))
_DURATION = Parameter("d", ())
_EVENTS = Parameter("p", (Kind.PREDICATE,))
_CHOICES = (Kind.STATE, Kind.BOOL, Kind.NUMERIC, Kind.CONSTANT)
_LAGGED = Parameter("x", (Kind.STATE, Kind.BOOL, Kind.NUMERIC))


@dataclass(frozen=True, slots=True)
class Signature:
    """How one operator is written and what it makes.

    ``result`` is ``None`` where the operands decide (`kind_of`). An operator with a
    ``symbol`` is written with it, and as a call only by the seed's name (``TL_And``).
    """

    node: type[Expression]
    parameters: tuple[Parameter, ...]
    result: Kind | None
    symbol: str = ""
    join: Callable[[tuple[Expression, ...]], Expression] | None = None

    @property
    def name(self) -> str:
        """The DSL's name.

        >>> SIGNATURE_OF[HasExistedWithin].name
        'has_existed_within'
        """
        return self.node.name

    @property
    def alias(self) -> str:
        """The seed's name, which the parser takes too.

        >>> SIGNATURE_OF[HasExistedWithin].alias
        'TL_HasExistedWithin'
        """
        return "TL_" + "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def variadic(self) -> bool:
        """Whether the one parameter is taken two or more times."""
        return self.join is not None

    @property
    def usage(self) -> str:
        """The call as a message shows it.

        >>> SIGNATURE_OF[HasExistedWithin].usage, SIGNATURE_OF[And].usage
        ('has_existed_within(p, d)', 'TL_And(p, p, ...)')
        """
        letters = [p.letter for p in self.parameters]
        if self.variadic:
            letters = [*letters, *letters, "..."]
        return f"{self.alias if self.symbol else self.name}({', '.join(letters)})"

    def make(self, arguments: tuple[Expression | int, ...]) -> Expression:
        """The node for these arguments, expressions and (for durations) ms.

        >>> from timeline.language.expression import Column
        >>> SIGNATURE_OF[LatestEventToState].make((Column("quality"),))
        LatestEventToState(column=Column(column='quality'))
        """
        if self.join is not None:
            return self.join(cast(tuple[Expression, ...], arguments))
        # mypy sees the root class here, which has no positional fields.
        return cast(Callable[..., Expression], self.node)(*arguments)

    def arguments(self, node: Expression) -> tuple[Expression | int, ...]:
        """What `make` was given: the fields of a node in the order in which they are written."""
        if self.variadic:
            return node.parts
        return tuple(getattr(node, f.name) for f in fields(node) if f.name != "span")


#: Every operator but comparisons and arithmetic, which have a syntax of their own.
SIGNATURES = (
    Signature(LatestEventToState, (_COLUMN,), Kind.STATE),
    Signature(HasExisted, (_MATCH,), Kind.BOOL),
    Signature(HasExistedWithin, (_MATCH, _DURATION), Kind.BOOL),
    Signature(DurationWhere, (_CONDITION,), Kind.NUMERIC),
    Signature(DurationInCurState, (_STATE,), Kind.NUMERIC),
    Signature(DurationInPriorState, (_STATE,), Kind.NUMERIC),
    Signature(PriorState, (_STATE,), Kind.STATE),
    Signature(Count, (_EVENTS,), Kind.NUMERIC),
    Signature(Sum, (_COLUMN,), Kind.NUMERIC),
    Signature(CountRises, (_CONDITION,), Kind.NUMERIC),
    Signature(If, (_CONDITION, Parameter("x", _CHOICES), Parameter("y", _CHOICES)), None),
    Signature(Lag, (_LAGGED, _DURATION), None),
    Signature(Not, (_MATCH,), None, symbol="!"),
    Signature(And, (_MATCH,), None, symbol="&&", join=conjunction),
    Signature(Or, (_MATCH,), None, symbol="||", join=disjunction),
)
SIGNATURE_OF: dict[type[Expression], Signature] = {s.node: s for s in SIGNATURES}

#: Every name that can be called, with what it calls.
CALLS: dict[str, Signature] = {
    **{s.name: s for s in SIGNATURES if not s.symbol},
    **{s.alias: s for s in SIGNATURES},
}

#: The constants of other languages, which would otherwise be taken for columns without a word.
LOOKALIKES = {
    **dict.fromkeys(("True", "TRUE"), "true"),
    **dict.fromkeys(("False", "FALSE"), "false"),
    **dict.fromkeys(("None", "Null", "NULL"), "null"),
}

# A column may bear an operator's name: only a call is one. The text of version 0.1 was stricter, and
# stands for the nodes that it started, so the operators of then are still printed as col("...").
_CALLS_OF_0_1 = (
    s for s in SIGNATURES if s.node not in (DurationInPriorState, PriorState, Count, Sum, CountRises, If, Lag)
)
#: Names that are printed as ``col("...")`` when they are columns.
NOT_BARE = frozenset(
    {"not", "and", "or", "true", "false", "null", "col", *LOOKALIKES}
    | {name for s in _CALLS_OF_0_1 for name in (s.alias, *(() if s.symbol else (s.name,)))},
)


def duration_problem(ms: int) -> str | None:
    """What is wrong with a duration as an argument; ``None`` when nothing is.

    >>> duration_problem(0)
    'a duration is at least 1ms, got 0ms'
    """
    if ms < 1:
        return f"a duration is at least 1ms, got {format_duration(ms)}"
    if ms > MAX_TICK:
        return f"a duration is at most {format_duration(MAX_TICK)}, got {format_duration(ms)}"
    return None

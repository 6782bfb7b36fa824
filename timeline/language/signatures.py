"""How operators are written: what parser, printer, kind check and builder know of each.

An operator's file (`timeline.operators`) declares its `Signature`. The language imports none of those files;
it finds them (`signature_of`, `signatures`), so that a file that is there is all that an operator needs.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import keyword
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from timeline.language.expression import (
    And,
    Call,
    Expression,
    Not,
    Or,
    conjunction,
    disjunction,
)
from timeline.values.kinds import Kind
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

    @property
    def python_name(self) -> str:
        """What it is called in Python."""
        return "column" if self.kinds == (Kind.COLUMN,) else self.letter


#: The parameters that most operators have.
COLUMN = Parameter("col", (Kind.COLUMN,))
EVENTS = Parameter("p", (Kind.PREDICATE,))
MATCH = Parameter("p", (Kind.PREDICATE, Kind.BOOL))
CONDITION = Parameter("b", (Kind.BOOL,))
STATE = Parameter("s", (Kind.STATE, Kind.BOOL))
DURATION = Parameter("d", ())
NUMBER = Parameter("x", (Kind.NUMERIC, Kind.STATE))


@dataclass(frozen=True, slots=True)
class Signature:
    """How one operator is written and what it makes.

    ``result`` is its kind, ``None`` where that is the first operand's, or a function of the call. ``check``
    finds fault with a call whose operands have the right kinds (it raises `KindError`). ``rank`` orders lists
    of operators, the common ones first. An operator with a ``symbol`` is written with it, and as a call only
    by the seed's name (``TL_And``).
    """

    name: str
    parameters: tuple[Parameter, ...]
    result: Kind | Callable[[Call], Kind] | None
    rank: int = 100
    check: Callable[[Call], None] | None = None
    symbol: str = ""

    @property
    def alias(self) -> str:
        """The seed's name, which the parser takes too.

        >>> signature_of("has_existed_within").alias
        'TL_HasExistedWithin'
        """
        return alias_of(self.name)

    @property
    def python_name(self) -> str:
        """The function of `timeline.language.calls`.

        >>> signature_of("has_existed").python_name, signature_of("if").python_name
        ('has_existed', 'if_')
        """
        taken = keyword.iskeyword(self.name) or hasattr(builtins, self.name)
        return f"{self.name}_" if taken else self.name

    @property
    def variadic(self) -> bool:
        """Whether the one parameter is taken two or more times."""
        return self.name in _JOINS

    @property
    def usage(self) -> str:
        """The call as a message shows it.

        >>> signature_of("has_existed_within").usage, signature_of("and").usage
        ('has_existed_within(p, d)', 'TL_And(p, p, ...)')
        """
        letters = [p.letter for p in self.parameters]
        if self.variadic:
            letters = [*letters, *letters, "..."]
        return f"{self.alias if self.symbol else self.name}({', '.join(letters)})"

    def make(self, arguments: tuple[Any, ...]) -> Expression:
        """The node for these arguments, expressions and (for durations) ms.

        >>> from timeline.language.expression import Column
        >>> signature_of("latest_event_to_state").make((Column("quality"),))
        Call(operator='latest_event_to_state', arguments=(Column(column='quality'),))
        """
        if self.name in _JOINS:
            return _JOINS[self.name](arguments)
        return Not(*arguments) if self.name == "not" else Call(self.name, arguments)


# What has a class of its own in the tree.
_JOINS: Mapping[str, Callable[[tuple[Expression, ...]], Expression]] = {
    "and": conjunction,
    "or": disjunction,
}


def arguments_of(node: Expression) -> tuple[Expression | int, ...]:
    """What `Signature.make` was given: in the order in which they are written."""
    return node.arguments if isinstance(node, Call) else node.parts


def alias_of(name: str) -> str:
    """The seed's name of an operator."""
    return "TL_" + "".join(word.capitalize() for word in name.split("_"))


@functools.cache
def operator_classes() -> Mapping[str, Any]:
    """The class of every operator that has a signature, by its name, the common ones first."""
    package = importlib.import_module("timeline.operators")
    found: dict[str, Any] = {}
    for module_info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        for of_class in vars(module).values():
            if isinstance(of_class, type) and isinstance(vars(of_class).get("signature"), Signature):
                found[vars(of_class)["signature"].name] = of_class
    return dict(sorted(found.items(), key=lambda named: (named[1].signature.rank, named[0])))


def signatures() -> tuple[Signature, ...]:
    """Those of all operators but comparisons, arithmetic and sets of outputs, the common ones first."""
    return tuple(of_class.signature for of_class in operator_classes().values())


def signature_of(name: str) -> Signature:
    """The signature of the operator of that name."""
    signature: Signature = operator_classes()[name].signature
    return signature


@functools.cache
def calls() -> Mapping[str, Signature]:
    """Every name that can be called, with what it calls."""
    return {
        **{s.name: s for s in signatures() if not s.symbol},
        **{s.alias: s for s in signatures()},
    }


#: What stands between the operands of a node that is written with a sign, or before the one.
SYMBOLS: Mapping[type[Expression], str] = {Not: "!", And: "&&", Or: "||"}

#: The constants of other languages, which would otherwise be taken for columns without a word.
LOOKALIKES = {
    **dict.fromkeys(("True", "TRUE"), "true"),
    **dict.fromkeys(("False", "FALSE"), "false"),
    **dict.fromkeys(("None", "Null", "NULL"), "null"),
}

# A column may bear an operator's name: only a call is one. The text of version 0.1 was stricter, and
# stands for the nodes that it started, so the operators of then are still printed as col("...").
_CALLS_OF_0_1 = (
    "latest_event_to_state",
    "has_existed",
    "has_existed_within",
    "duration_where",
    "duration_in_cur_state",
)
#: Names that are printed as ``col("...")`` when they are columns.
NOT_BARE = frozenset(
    {"not", "and", "or", "true", "false", "null", "col", *LOOKALIKES, *_CALLS_OF_0_1}
    | {alias_of(name) for name in ("not", "and", "or", *_CALLS_OF_0_1)}
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

"""The types of JSON scalars that an expression can have, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping

from timeline.language.checking import kind_of
from timeline.language.expression import Column, Constant, Expression
from timeline.values.kinds import Kind
from timeline.values.scalars import type_name

_OF_KIND = {Kind.BOOL: "boolean", Kind.NUMERIC: "number", Kind.RATIO: "number"}
#: What is a State that has been one of its operands before.
_SAME = ("prior_state", "lag")


def words(types: frozenset[str]) -> str:
    """Types as a message says them.

    >>> words(frozenset({"string", "number"}))
    'a number or a string'
    """
    return " or ".join(f"a {name}" for name in sorted(types))


def types_of(e: Expression, columns: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The types that an expression can have beside null, given those of columns; none if that is not known.

    >>> from timeline.language.parser import parse
    >>> columns = {"delay": frozenset({"number"})}
    >>> sorted(types_of(parse("prior_state(latest_event_to_state(delay))"), columns))
    ['number']
    """
    match e:
        case Constant():
            return frozenset() if e.value is None else frozenset({type_name(e.value)})
        case Column():
            return columns.get(e.column, frozenset())
    if (name := _OF_KIND.get(kind_of(e))) is not None:
        return frozenset({name})
    if e.name in ("latest_event_to_state", "first") or e.name in _SAME:
        return types_of(e.parts[0], columns)
    if e.name == "if":
        _, *choices = e.parts
        found = [types_of(c, columns) for c in choices if not (isinstance(c, Constant) and c.value is None)]
        return frozenset().union(*found) if all(found) else frozenset()
    return frozenset()

"""Mistakes: what an expression, that can be understood, says of events as it cannot be meant."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from timeline.errors import Span
from timeline.language.advice import quote
from timeline.language.checking import kind_of
from timeline.language.contradictions import never_together
from timeline.language.expression import And, Column, Compare, Constant, Expression, In, Outputs
from timeline.language.ranges import never_in_range
from timeline.language.types import types_of, words
from timeline.values.kinds import Kind

#: So many columns are named where none is like the one that is missing.
_NAMED = 8
#: What makes a number of a State.
_OF_NUMBERS = ("arithmetic", "min_so_far", "max_so_far", "time_weighted_avg")
#: What adds numbers up, and leaves out what is none.
_OF_SUMS = ("sum", "integral")
#: What asks of texts only.
_OF_TEXTS = ("starts_with", "matches")
_NUMBER = r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"


Kinds: TypeAlias = Literal["column", "quotes", "type", "number", "never", "unit"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something that is likely to be meant otherwise: ``place`` is where in the expression (empty: nowhere in
    it), in words, ``span`` where in the text, or in that of an ``output``; ``text`` is what is wrong,
    ``suggestion`` a likely correction.

    >>> str(Mistake("column", "no event carries the column lokation", "location", "line 1, column 7"))
    'line 1, column 7: no event carries the column lokation; did you mean location?'
    """

    kind: Kinds
    text: str
    suggestion: str | None = None
    place: str = ""
    output: str = ""
    span: Span | None = None

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        meant = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{where}{self.text}{meant}"

    def to_json(self) -> dict[str, str | None]:
        """As programs get it."""
        return {
            "kind": self.kind,
            "place": self.place,
            "text": self.text,
            "suggestion": self.suggestion,
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """What events look like that were looked at: how many they are, the types (``string``, ``number``,
    ``boolean``) that each column of the expression has among them, and the names of all their columns."""

    events: int = 0
    types: Mapping[str, frozenset[str]] = field(default_factory=dict)
    names: Sequence[str] = ()

    @property
    def count(self) -> str:
        return f"({self.events:,} event{'s' if self.events != 1 else ''} looked at)"


def mistakes_in(whole: Expression, seen: Seen) -> list[Mistake]:
    """The mistakes of an expression that was checked, each once, in the order in which they are written.

    Where no event was looked at, those are told that no event can make good. The others are none any more
    once an event was looked at that makes them good.

    >>> from timeline.language.parser import parse
    >>> seen = Seen(3, {"delay": frozenset({"number"})}, ["flight", "time", "delay"])
    >>> [str(m) for m in mistakes_in(parse('count(delay == "5" && dely > 3)'), seen)]
    ... # doctest: +NORMALIZE_WHITESPACE
    ['line 1, column 7: delay == "5" is never true: delay is a number, never a string (3 events looked at);
      did you mean 5, without quotes?',
     'line 1, column 23: no event carries the column dely (3 events looked at); did you mean delay?']
    """
    # Outputs of a spec have a text of their own each; those in braces are in one text.
    apart = isinstance(whole, Outputs) and whole.span is None
    parts = zip(whole.names, whole.operands, strict=True) if apart and isinstance(whole, Outputs) else ()
    search = _Search(seen)
    for name, part in parts or (("", whole),):
        search.output = name
        search.look(part)
    return search.found


class _Search:
    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.found: list[Mistake] = []
        self.output = ""
        self._missing: set[str] = set()
        self._texts: set[str] = set()

    def look(self, whole: Expression) -> None:
        todo = [whole]
        while todo:
            e = todo.pop()
            match e:
                case Column():
                    self._column(e)
                case Compare():
                    self._bare_word(e)
                    self._compare(e)
                case And():
                    if (never := never_together(e)) is not None:
                        self._tell(Mistake("never", *never), e)
                case In():
                    for compare in e.compares():
                        self._compare(compare)
                case _ if e.name in _OF_TEXTS:
                    self._text(e)
                case _ if e.name in _OF_SUMS:
                    self._sum(e)
                case _ if e.name in _OF_NUMBERS:
                    self._numbers(e)
            todo += reversed(e.parts)

    def _tell(self, mistake: Mistake, at: Expression) -> None:
        # An output that others refer to is in each of them.
        if mistake.text not in self._texts:
            self._texts.add(mistake.text)
            place = [f"output {self.output}"] if self.output else []
            if at.span is not None:
                place.append(f"line {at.span.line}, column {at.span.column}")
            self.found.append(replace(mistake, place=", ".join(place), output=self.output, span=at.span))

    def _types(self, e: Expression) -> frozenset[str]:
        return types_of(e, self.seen.types)

    def _carried(self, e: Expression) -> bool:
        return not self.seen.events or not isinstance(e, Column) or bool(self.seen.types.get(e.column))

    def _column(self, e: Column) -> None:
        if self._carried(e) or e.column in self._missing:
            return
        self._missing.add(e.column)
        near = self._near(e.column)
        names = "" if near or not self.seen.names else f"; there are {_some(self.seen.names)}"
        text = f"no event carries the column {quote(e)} {self.seen.count}{names}"
        self._tell(Mistake("column", text, near), e)

    def _bare_word(self, e: Compare) -> None:
        """A column beside a column is likely to be a constant without its quotes if nobody carries it."""
        if not (isinstance(e.left, Column) and isinstance(e.right, Column)):
            return
        word = e.left if self._carried(e.right) else e.right
        if self._carried(word) or word.column in self._missing:
            return
        self._missing.add(word.column)
        text = f"{quote(word)} without quotes is a column, and no event carries it {self.seen.count}"
        meant = [quote(Constant(word.column)), self._near(word.column)]
        self._tell(Mistake("quotes", text, " or ".join(filter(None, meant))), word)

    def _near(self, column: str) -> str | None:
        known = {name.lower(): name for name in self.seen.names}
        near = difflib.get_close_matches(column.lower(), known, n=1)
        return _named(known[near[0]]) if near else None

    def _compare(self, e: Compare) -> None:
        if (never := never_in_range(e)) is not None:
            self._tell(Mistake("never", *never), e)
            return
        left, right = self._types(e.left), self._types(e.right)
        if not left or not right or left & right:
            return
        how = "excludes nothing" if e.op == "!=" else "is never true"
        if isinstance(e.left, Constant) or isinstance(e.right, Constant):
            constant, of = (e.left, e.right) if isinstance(e.left, Constant) else (e.right, e.left)
            assert isinstance(constant, Constant)
            known, other = (right, left) if of is e.right else (left, right)
            why = f"{quote(of)} is {words(known)}, never {words(other)}"
            # An order of texts is not that of the numbers that they spell.
            suggestion = _retyped(constant, known) if e.op in ("==", "!=") or "string" not in known else None
        else:
            why = f"{quote(e.left)} is {words(left)}, {quote(e.right)} {words(right)}"
            suggestion = None
        # What a Bool or a number is, needs no events to tell.
        observed = any(kind_of(side) in (Kind.COLUMN, Kind.STATE) for side in e.parts)
        count = f" {self.seen.count}" if observed else ""
        self._tell(Mistake("type", f"{quote(e)} {how}: {why}{count}", suggestion), e)

    def _sum(self, e: Expression) -> None:
        (of,) = e.parts
        types = self._types(of)
        if types and "number" not in types:
            why = f"{quote(of)} is {words(types)}, never a number {self.seen.count}"
            meant = f"count({quote(of)} != null)" if isinstance(of, Column) else None
            self._tell(Mistake("number", f"{quote(e)} is always 0: {why}", meant), e)

    def _text(self, e: Expression) -> None:
        of = e.parts[0]
        types = self._types(of)
        if types and "string" not in types:
            why = f"{quote(of)} is {words(types)}, never a string {self.seen.count}"
            self._tell(Mistake("type", f"{quote(e)} is never true: {why}"), e)

    def _numbers(self, e: Expression) -> None:
        for side in e.parts:
            types = self._types(side)
            if types and "number" not in types and kind_of(side) is Kind.STATE:
                whole = f"{quote(e)} is always null"
                why = f"{quote(side)} is {words(types)}, never a number {self.seen.count}"
                self._tell(Mistake("number", f"{whole}: {why}"), side)


def _retyped(constant: Constant, types: frozenset[str]) -> str | None:
    """The constant as it would be if it had one of the types; ``None`` if it cannot be."""
    value = constant.value
    if isinstance(value, bool):
        if "string" in types:
            return quote(Constant(str(value).lower()))
        return str(int(value)) if "number" in types else None
    if isinstance(value, str):
        plain = value.strip()
        if "boolean" in types and plain.lower() in ("true", "false"):
            return f"{plain.lower()}, without quotes"
        return f"{plain}, without quotes" if "number" in types and re.fullmatch(_NUMBER, plain) else None
    if "string" in types:
        return quote(Constant(quote(constant)))
    return ("true" if value else "false") if "boolean" in types and value in (0, 1) else None


def _some(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return ", ".join(map(_named, names[:_NAMED])) + more


def _named(name: str) -> str:
    """A column of the data, which may be called anything, as one writes it."""
    text = quote(Column(name))
    return text if text.isprintable() else f"col({json.dumps(name)})"

"""``X | aggregate(group_by(cdn), count, sum, avg)``: an expression and what is asked of it over all keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from timeline.aggregate.parsing import parse_aggregates
from timeline.errors import ExpressionError, RequestError, Span
from timeline.language.checking import check, kind_of
from timeline.language.expression import Call, Column, Expression, Outputs
from timeline.language.output_names import VALUE, name_problem
from timeline.language.parser import parse

_SIGN = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|(?:#|//)[^\n]*|\|\||[|(){},]")
_INTO = re.compile(r"\s*aggregate\s*\(")
_GROUP_BY = re.compile(r"\s*group_by\s*\(")
_LATE = re.compile(r"\bgroup_by\s*\([^)]*\)?")
_COLUMN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*")
_NAMED = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*:")


@dataclass(frozen=True, slots=True)
class Piped:
    """The outputs that such a text names, and the question: ``agg`` and ``group_by`` as in
    `timeline.aggregate.Request.parse`."""

    outputs: Outputs
    agg: str
    group_by: tuple[str, ...]

    @property
    def words(self) -> dict[str, Any]:
        """The question in the words of `timeline.aggregate.Request.parse`."""
        return {"agg": self.agg, "group_by": list(self.group_by)}

    def unless(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Those words, where ``said`` does not say them."""
        return {word: said.get(word) or meant for word, meant in self.words.items()}


def read_piped(text: str, name: str = VALUE) -> Piped | None:
    """What a text with a pipe into ``aggregate(...)`` says; ``None`` if it has none.

    The outputs are those of the expression before the pipe, called ``name`` if it has no names, and what is
    grouped by: a column (its latest state), or ``name: expression``, which may say ``@value``.

    Raises:
        ExpressionError: a part that cannot be understood, with its place in the text.
        RequestError: what is no aggregate, or does not fit.

    >>> piped = read_piped("count(state == 'error') | aggregate(group_by(cdn), count, sum, avg)")
    >>> piped.agg, piped.group_by, piped.outputs.names
    ('count, sum(value), avg(value)', ('cdn',), ('value', 'cdn'))
    """
    plain = _SIGN.sub(lambda sign: " " * len(sign[0]) if sign[0][0] in "#/" else sign[0], text)
    pipe = _pipe(plain)
    into = None if pipe is None else _INTO.match(plain, pipe + 1)
    if pipe is None or into is None:
        return None
    try:
        return _read(plain, pipe, into.end(), name)
    except (ExpressionError, RequestError) as error:
        error.source = text
        raise


def _pipe(text: str) -> int | None:
    """Where the first pipe is that stands in no parentheses."""
    depth = 0
    for sign in _signs(text):
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(sign[0], 0)
        if sign[0] == "|" and not depth:
            return sign.start()
    return None


def _read(text: str, pipe: int, begin: int, name: str) -> Piped:
    arguments, end = _arguments(text, begin)
    if text[end:].strip():
        place = len(text) - len(text[end:].lstrip())
        raise ExpressionError("nothing can follow aggregate(...)", span=_span(text, place))
    base = parse(text[:pipe])
    named = isinstance(base, Outputs)
    outputs: dict[str, Expression] = {name: base}
    if isinstance(base, Outputs):
        if name != VALUE:
            raise ExpressionError("an output is one expression, not a set of outputs", span=base.span)
        outputs = dict(zip(base.names, base.operands, strict=True))
    groups: list[str] = []
    if (grouped := _GROUP_BY.match(text, arguments[0][0])) is not None:
        for first, last in _arguments(text, grouped.end())[0]:
            group, tree = _group(text, first, last, outputs)
            outputs[group] = tree
            groups.append(group)
        del arguments[0]
    listed = "count"
    if arguments:
        listed = _padded(text, arguments[0][0], arguments[-1][1])
        if (late := _LATE.search(listed)) is not None:
            raise ExpressionError("group_by(...) comes first", span=_span(text, late.start(), late.end()))
    whole = Outputs(tuple(outputs), tuple(outputs.values()))
    check(whole)
    kinds = {output: kind_of(tree) for output, tree in outputs.items()}
    agg = ", ".join(a.label for a in parse_aggregates(listed, kinds, None if named else name))
    return Piped(whole, agg, tuple(groups))


def _group(text: str, first: int, last: int, known: Mapping[str, Expression]) -> tuple[str, Expression]:
    """The name and the tree of one thing that is grouped by, between two offsets."""
    if (column := _COLUMN.fullmatch(text, first, last)) is not None:
        name = column[1]
        tree = known.get(name) or Call("latest_event_to_state", (Column(name, span=_span(text, first)),))
    elif (named := _NAMED.match(text, first, last)) is not None:
        name, tree = named[1], parse(_padded(text, named.end(), last), known)
    else:
        got = text[first:last].strip()
        raise ExpressionError(
            f"group_by takes columns, or NAME: EXPRESSION; got {got or 'nothing'}",
            span=_span(text, first, last),
            suggestion=f"group_by(name: {got})" if got else "group_by(cdn)",
        )
    if (problem := name_problem(name, [] if known.get(name) is tree else list(known))) is not None:
        raise ExpressionError(problem, span=_span(text, first, last))
    return name, tree


def _signs(text: str, begin: int = 0) -> Iterator[re.Match[str]]:
    """The signs of a text that are in no string and no comment."""
    return (sign for sign in _SIGN.finditer(text, begin) if sign[0] in ("|", "||", *"(){},"))


def _arguments(text: str, begin: int) -> tuple[list[tuple[int, int]], int]:
    """Where the arguments of a call begin and end, whose parenthesis is just before ``begin``, and where it
    ends itself."""
    found, depth, first = [], 0, begin
    for sign in _signs(text, begin):
        if sign[0] in "({":
            depth += 1
        elif sign[0] == "," and not depth:
            found.append((first, sign.start()))
            first = sign.end()
        elif sign[0] in ")}":
            if not depth:
                return [*found, (first, sign.start())], sign.end()
            depth -= 1
    raise ExpressionError("( is never closed", span=_span(text, begin - 1, begin))


def _padded(text: str, first: int, last: int) -> str:
    """A part of a text with blanks before it, so that places in it are those in the whole."""
    return re.sub(r"[^\n]", " ", text[:first]) + text[first:last]


def _span(text: str, first: int, last: int | None = None) -> Span:
    """The place between two offsets, or to the end of the line."""
    line = text[first : len(text) if last is None else last].split("\n")[0]
    return Span(text.count("\n", 0, first) + 1, first - text.rfind("\n", 0, first), max(1, len(line)))

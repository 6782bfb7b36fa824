"""The DSL's parser: text to the typed tree of `timeline.language.expression`, checked."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, cast

from timeline.errors import ExpressionError, Span
from timeline.language.advice import quote
from timeline.language.braces import read_braces, refers
from timeline.language.checking import check
from timeline.language.expression import (
    MAX_DEPTH,
    Arithmetic,
    ArithmeticOp,
    Column,
    Compare,
    Constant,
    Expression,
    In,
    Not,
    Outputs,
    conjunction,
    disjunction,
    membership,
    placed,
    too_deep,
)
from timeline.language.output_names import unknown_output
from timeline.language.printer import print_expression
from timeline.language.quantities import Quantity
from timeline.language.signatures import LOOKALIKES, Signature, calls, signatures
from timeline.language.synonyms import CALLS, OVER_KEYS
from timeline.language.syntax import first_line, syntax_tree, token_span
from timeline.values.scalars import CompareOp

if TYPE_CHECKING:  # lark takes 40 ms to import, and most of what imports this module never parses
    from lark import Token, Tree

#: The most values of ``x in (...)``.
MAX_VALUES = 1_000


def parse(text: str, references: Mapping[str, Expression] | None = None) -> Expression:
    """The tree of an expression in the DSL, its parts and the whole checked for their kinds.

    ``references`` are what ``@name`` stands for, by name (see `timeline.language.references`).

    Raises:
        ExpressionError: not an expression; the error has the place, what could have stood there
            and, where there is a likely one, a correction.
        KindError: an expression whose parts do not fit, or which is no timeline.

    >>> parse('has_existed_within(state == "seek", 5s)')
    Call(operator='has_existed_within', arguments=(Compare(op='==', left=Column(column='state'), \
right=Constant(value='seek')), 5000))
    >>> parse('has_existed_wihin(state == "seek", 5s)')  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    timeline.errors.ExpressionError: line 1, column 1: unknown operator has_existed_wihin; \
expected col, latest_event_to_state, has_existed, ...; did you mean has_existed_within(...)?
    """
    try:
        expression = read(text, references)
    except ExpressionError as error:
        error.source = text
        raise
    check(expression, text)
    return expression


def read(
    text: str,
    references: Mapping[str, Expression] | None = None,
    columns: Callable[[Column], Expression] | None = None,
) -> Expression:
    """As `parse`, with the kinds not checked. ``columns`` says what a bare name stands for.

    Raises:
        ExpressionError: not an expression.
    """
    tree, reader = syntax_tree(text), _Reader(text, references, columns)
    if references is None and refers(tree):
        return read_braces(
            tree, lambda one, known: _Reader(text, known, columns).read(one), reader.span(tree)
        )
    return reader.read(tree)


_Part: TypeAlias = "Expression | Quantity | Token"


class _Reader:
    """One method for each kind of node that the grammar makes, named as the grammar names it."""

    def __init__(
        self,
        text: str,
        references: Mapping[str, Expression] | None,
        columns: Callable[[Column], Expression] | None,
    ) -> None:
        self._text = text
        self._references = references
        self._columns = columns
        self._depths: dict[int, int] = {}  # the tree keeps every part alive, so no id comes twice

    def read(self, tree: Tree[Token]) -> Expression:
        # Bottom up and without recursion: 200 parentheses are 1 000 levels of lark's tree.
        made: dict[int, _Part] = {}
        for node in tree.iter_subtrees():
            parts = [made.get(id(c), cast("Token", c)) for c in node.children]
            e = made[id(node)] = getattr(self, node.data)(parts, self.span(node))
            if isinstance(e, Expression):
                self._note_depth(e)
        return _expression(made[id(tree)])

    def _note_depth(self, e: Expression) -> None:
        depth = 1 + max((self._depths.get(id(p), 1) for p in e.parts), default=0)
        if depth > MAX_DEPTH:
            raise too_deep(e.span)
        self._depths[id(e)] = depth

    def span(self, node: Tree[Token]) -> Span:
        meta = node.meta
        length = len(first_line(self._text[meta.start_pos : meta.end_pos]))
        return Span(meta.line, meta.column, length)

    def either(self, parts: list[_Part], span: Span) -> Expression:
        return disjunction(tuple(_expression(p) for p in parts), span)

    def both(self, parts: list[_Part], span: Span) -> Expression:
        return conjunction(tuple(_expression(p) for p in parts), span)

    def opposite(self, parts: list[_Part], span: Span) -> Expression:
        return Not(_expression(parts[0]), span=span)

    def comparison(self, parts: list[_Part], span: Span) -> Expression:
        sides = [_expression(p) for p in parts[::2]]
        signs = [cast("Token", p) for p in parts[1::2]]
        compares = [
            Compare(cast(CompareOp, str(sign)), left, right, span=span)
            for sign, left, right in zip(signs, sides, sides[1:], strict=False)
        ]
        if len(compares) > 1:
            raise ExpressionError(
                "comparisons do not chain",
                span=token_span(signs[1]),
                suggestion=print_expression(conjunction(tuple(compares))),
            )
        return compares[0]

    def among(self, parts: list[_Part], span: Span) -> Expression:
        of, values = _expression(parts[0]), [_expression(p) for p in parts[2:]]
        if len(values) > MAX_VALUES:
            raise ExpressionError(f"in takes at most {MAX_VALUES} values, got {len(values)}", span=span)
        for value in values:
            if not isinstance(value, Constant):
                raise ExpressionError(
                    f"in takes constants, got {quote(value)}",
                    span=value.span,
                    expected=("a constant",),
                    suggestion=quote(Constant(value.column)) if isinstance(value, Column) else None,
                )
        return membership(of, tuple(v for v in values if isinstance(v, Constant)), span)

    def not_among(self, parts: list[_Part], span: Span) -> Expression:
        made = self.among(parts, span)
        if not isinstance(parts[0], Column):
            return Not(made, span=span)
        # As != of each: an event without the column says nothing.
        compares = made.compares() if isinstance(made, In) else (cast(Compare, made),)
        return conjunction(tuple(replace(c, op="!=") for c in compares), span)

    def is_null(self, parts: list[_Part], span: Span) -> Expression:
        if isinstance(parts[0], Column):
            return Not(self.is_not_null(parts, span), span=span)
        return Compare("==", _expression(parts[0]), Constant(None, span=span), span=span)

    def is_not_null(self, parts: list[_Part], span: Span) -> Expression:
        return Compare("!=", _expression(parts[0]), Constant(None, span=span), span=span)

    def total(self, parts: list[_Part], span: Span) -> Expression:
        made = _expression(parts[0])
        signs = [cast("Token", sign) for sign in parts[1::2]]
        for number, (sign, right) in enumerate(zip(signs, parts[2::2], strict=True)):
            place = self._up_to(signs[number + 1], span) if number + 1 < len(signs) else span
            made = Arithmetic(cast(ArithmeticOp, str(sign)), made, _expression(right), span=place)
            self._note_depth(made)
        return made

    def _up_to(self, sign: Token, span: Span) -> Span:
        """The part of a place that lies before a sign on its line."""
        if sign.line != span.line or sign.start_pos is None or sign.column is None:
            return span
        start = sign.start_pos - (sign.column - span.column)
        return replace(span, length=len(self._text[start : sign.start_pos].rstrip()))

    product = total

    def call(self, parts: list[_Part], span: Span) -> Expression:
        name, *arguments = parts
        name = cast("Token", name)
        if name == "col":
            return _column_call(arguments, span)
        signature = calls().get(name)
        if signature is None:
            raise _unknown_operator(name)
        _check_count(signature, name, len(arguments), span)
        parameters = signature.parameters * (len(arguments) if signature.variadic else 1)
        values = tuple(
            _duration(a) if p.is_duration else _expression(a)
            for p, a in zip(parameters, arguments, strict=True)
        )
        return replace(signature.make(values), span=span)

    def column(self, parts: list[_Part], span: Span) -> Expression:
        name = str(parts[0])
        if name in LOOKALIKES:
            raise ExpressionError(
                f'{name} is not a constant; a column of this name is col("{name}")',
                span=span,
                suggestion=LOOKALIKES[name],
            )
        column = Column(name, span=span)
        return column if self._columns is None else self._columns(column)

    def reference(self, parts: list[_Part], span: Span) -> Expression:
        name = str(parts[0])[1:]
        if self._references is None:
            raise ExpressionError(
                f"@{name} stands for another output, and there are none here: "
                "name them under [outputs] in a spec, or as {a: ..., b: ...}",
                span=span,
            )
        if name not in self._references:
            raise unknown_output(name, self._references, span)
        return placed(self._references[name], span)

    def output(self, parts: list[_Part], span: Span) -> Expression:
        return Outputs((str(parts[0]),), (_expression(parts[1]),), span=span)

    def outputs(self, parts: list[_Part], span: Span) -> Expression:
        each = [cast(Outputs, part) for part in parts]
        names, operands = tuple(e.names[0] for e in each), tuple(e.operands[0] for e in each)
        return Outputs(names, operands, span=span)

    def string(self, parts: list[_Part], span: Span) -> Expression:
        return Constant(_unquote(str(parts[0]), span), span=span)

    def quantity(self, parts: list[_Part], span: Span) -> Quantity:
        return Quantity("".join(str(p) for p in parts), span)

    def true(self, parts: list[_Part], span: Span) -> Expression:
        return Constant(True, span=span)

    def false(self, parts: list[_Part], span: Span) -> Expression:
        return Constant(False, span=span)

    def null(self, parts: list[_Part], span: Span) -> Expression:
        return Constant(None, span=span)


def _expression(part: _Part) -> Expression:
    return part.constant() if isinstance(part, Quantity) else cast(Expression, part)


def _duration(part: _Part) -> int:
    if isinstance(part, Quantity):
        return part.duration()
    e = cast(Expression, part)
    raise ExpressionError(
        "this is not a duration", span=e.span, expected=("a duration such as 500ms, 5s or 1h",)
    )


def _column_call(arguments: list[_Part], span: Span) -> Column:
    suggestion = None
    match arguments:
        case [Constant(value=str() as name)]:
            return Column(name, span=span)
        case [Column(column=name)]:
            suggestion = f"col({json.dumps(name, ensure_ascii=False)})"
    raise ExpressionError("col takes the name of a column in quotes", span=span, suggestion=suggestion)


def _check_count(signature: Signature, name: str, got: int, span: Span) -> None:
    least = len(signature.parameters) + signature.variadic
    if got == least or (got > least and signature.variadic):
        return
    usage = signature.usage.replace(signature.name, name)
    raise ExpressionError(
        f"{usage} takes {'at least ' * signature.variadic}{least} argument{'s' * (least > 1)}, got {got}",
        span=span,
    )


def _unknown_operator(name: Token) -> ExpressionError:
    word = name.lower()
    known = {call.lower(): call for call in ("col", *calls())}
    close = difflib.get_close_matches(word, known, n=1)
    near = f"{known[close[0]]}(...)" if close and word not in OVER_KEYS else None
    what = f"unknown operator {name}"
    if word in OVER_KEYS:
        what += ": it is asked over all keys (`timeline query NAME --all --agg ...`), not of each"
    return ExpressionError(
        what,
        span=token_span(name),
        expected=("col", *(s.name for s in signatures() if not s.symbol)),
        suggestion=CALLS.get(word) or near,
    )


def _unquote(literal: str, span: Span) -> str:
    if literal[0] == "'":
        # As JSON would have it: \' is no escape there, and " needs one.
        spelling = {"\\'": "'", '"': '\\"'}
        body = re.sub(r"\\.|\"", lambda m: spelling.get(m[0], m[0]), literal[1:-1])
        literal = f'"{body}"'
    try:
        return cast(str, json.loads(literal, strict=False))
    except ValueError:
        raise ExpressionError(
            r"bad escape in a string: JSON has \" \\ \/ \b \f \n \r \t and \uXXXX", span=span
        ) from None

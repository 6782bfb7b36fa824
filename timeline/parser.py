"""The DSL's parser: text to the typed tree of `timeline.expression`, checked."""

from __future__ import annotations

import difflib
import functools
import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from timeline.errors import DurationError, ExpressionError, Span
from timeline.expression import (
    Arithmetic,
    ArithmeticOp,
    Column,
    Compare,
    CompareOp,
    Constant,
    Expression,
    Not,
    conjunction,
    disjunction,
)
from timeline.kinds import check, too_deep
from timeline.printer import print_expression
from timeline.signatures import CALLS, LOOKALIKES, MAX_DEPTH, Signature, duration_problem
from timeline.ticks import format_seconds, parse_duration

if TYPE_CHECKING:  # lark takes 40 ms to import, and most of what imports this module never parses
    from lark import Lark, Token, Tree

_NUMBER = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# What was meant by characters that begin no token.
_MEANT = {"=>": ">=", "=<": "<=", "=!": "!=", "=": "==", "&": "&&", "|": "||"}
# The grammar's terminals in a reader's words, in the order in which they are listed.
_WORDS = {
    **dict.fromkeys(("AND", "AMPERSANDS", "OR", "BARS", "COMPARE", "PLUS", "STAR", "SLASH"), "an operator"),
    "NAME": "a column or a call",
    **dict.fromkeys(("STRING", "QUANTITY", "TRUE", "FALSE", "NULL"), "a constant"),
    "BANG": "!",
    "LPAR": "(",
    "COMMA": "a comma",
    "RPAR": ")",
    "$END": "the end",
}


def parse(text: str) -> Expression:
    """The tree of an expression in the DSL, its parts and the whole checked for their kinds.

    Raises:
        ExpressionError: not an expression; the error has the place, what could have stood there
            and, where there is a likely one, a correction.
        KindError: an expression whose parts do not fit, or which is no timeline.

    >>> parse('has_existed_within(state == "seek", 5s)')
    HasExistedWithin(of=Compare(op='==', left=Column(column='state'), \
right=Constant(value='seek')), duration=5000)
    >>> parse('has_existed_wihin(state == "seek", 5s)')
    Traceback (most recent call last):
    ...
    timeline.errors.ExpressionError: line 1, column 1: unknown operator has_existed_wihin; \
expected col, latest_event_to_state, has_existed, has_existed_within, duration_where, \
duration_in_cur_state, duration_in_prior_state, prior_state, count, sum, count_rises, if, lag; \
did you mean has_existed_within(...)?
    """
    try:
        expression = _Reader(text).read(_syntax_tree(text))
    except ExpressionError as error:
        error.source = text
        raise
    check(expression, text)
    return expression


@functools.cache
def _grammar() -> Lark:
    from lark import Lark

    grammar = Path(__file__).with_name("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", propagate_positions=True)


# --- Syntax: text to lark's tree, and what to say when there is none


def _syntax_tree(text: str) -> Tree[Token]:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    state = _grammar().parse_interactive(text)
    read: list[Token] = []
    nesting = _Nesting()
    try:
        for token in state.iter_parse():
            nesting.feed(token)
            read.append(token)
        last = read[-1] if read else None
        return cast("Tree[Token]", state.feed_eof(last))  # type: ignore[no-untyped-call]
    except UnexpectedCharacters as error:
        place = Span(error.line, error.column, 1)
        expected = _expected(text, read)
        raise _unexpected_character(text[error.pos_in_stream or 0 :], place, expected) from None
    except UnexpectedToken as error:
        if error.token.type == "$END":
            raise _unexpected_end(last, nesting, _expected(text, read)) from None
        raise _unexpected_token(error.token, _expected(text, read[:-1])) from None


class _Nesting:
    """Counts open parentheses, and the ``!`` and ``not`` before an operand, as tokens come in."""

    def __init__(self) -> None:
        self.open: list[Token] = []
        self._prefixes = [0]
        self._depth = 0

    def feed(self, token: Token) -> None:
        match token.type:
            case "LPAR":
                self.open.append(token)
                self._prefixes.append(0)
                self._depth += 1
            case "RPAR" if self.open:
                self.open.pop()
                self._depth -= 1 + self._prefixes.pop()
            case "BANG" | "NOT":
                self._prefixes[-1] += 1
                self._depth += 1
            case "AND" | "AMPERSANDS" | "OR" | "BARS" | "COMPARE" | "COMMA" | "PLUS" | "STAR" | "SLASH":
                self._depth -= self._prefixes[-1]
                self._prefixes[-1] = 0
        if self._depth > MAX_DEPTH:
            raise too_deep(_token_span(token))


def _expected(text: str, read: list[Token]) -> tuple[str, ...]:
    """What could have stood after the tokens of ``read``."""
    # On a token that does not fit, the parser may first close what it has open, and then no longer
    # knows all that could have gone on: so read the good ones again.
    state = _grammar().parse_interactive(text)
    for token in read:
        state.feed_token(token)
    accepts: set[str] = state.accepts()  # type: ignore[no-untyped-call]
    return tuple(dict.fromkeys(word for name, word in _WORDS.items() if name in accepts))


def _unexpected_character(rest: str, place: Span, expected: tuple[str, ...]) -> ExpressionError:
    if rest[0] in "\"'":
        length = len(_first_line(rest))
        return ExpressionError("the string is never closed", span=replace(place, length=length))
    for wrong, right in _MEANT.items():
        if rest.startswith(wrong):
            return ExpressionError(
                f"{wrong} is not an operator",
                span=replace(place, length=len(wrong)),
                suggestion=right,
            )
    if (word := re.match(r"\w+", rest)) is not None:
        return ExpressionError(
            f"{word[0]} cannot be written bare: it is not of the letters A to Z, digits and _",
            span=replace(place, length=len(word[0])),
            suggestion=f"col({json.dumps(word[0], ensure_ascii=False)})",
        )
    return ExpressionError(f"unexpected character {rest[0]}", span=place, expected=expected)


def _unexpected_end(last: Token | None, nesting: _Nesting, expected: tuple[str, ...]) -> ExpressionError:
    if last is None:
        return ExpressionError("the expression is empty", span=Span(1, 1, 0), expected=expected)
    if nesting.open and ")" in expected:
        return ExpressionError("( is never closed", span=_token_span(nesting.open[-1]), expected=expected)
    end = Span(last.end_line or 1, last.end_column or 1, 0)
    return ExpressionError("the expression ends too early", span=end, expected=expected)


def _unexpected_token(token: Token, expected: tuple[str, ...]) -> ExpressionError:
    closed = token.type == "RPAR" and "the end" in expected
    word = token.lower()
    return ExpressionError(
        ") closes nothing" if closed else f"unexpected {token}",
        span=_token_span(token),
        expected=expected,
        suggestion=word if token.type == "NAME" and word in ("and", "or", "not") else None,
    )


def _token_span(token: Token) -> Span:
    return Span(token.line or 1, token.column or 1, len(token))


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0].rstrip("\r")


# --- Meaning: lark's tree to ours


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A number or a duration: which of them, the place where it stands decides."""

    text: str
    span: Span

    def constant(self) -> Constant:
        digits = self.text.removeprefix("-")
        if _NUMBER.fullmatch(digits):
            # float() first: int() of thousands of digits is an error of Python's own.
            value: int | float = float(self.text)
            if math.isfinite(value) and digits.isdecimal():
                value = int(self.text)
        elif digits[-1].isalpha():
            value = format_seconds(self._ms())
        else:
            raise ExpressionError(f"not a number: {self.text}; write it as 7, 0.5 or 1e6", span=self.span)
        return Constant(value, span=self.span)

    def duration(self) -> int:
        ms = self._ms()
        if (problem := duration_problem(ms)) is not None:
            raise ExpressionError(problem, span=self.span)
        return ms

    def _ms(self) -> int:
        try:
            return parse_duration(self.text)
        except DurationError as error:
            raise ExpressionError(str(error), span=self.span) from None


_Part: TypeAlias = "Expression | _Quantity | Token"


class _Reader:
    """One method for each kind of node that the grammar makes, named as the grammar names it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, tree: Tree[Token]) -> Expression:
        # Bottom up and without recursion: 200 parentheses are 1 000 levels of lark's tree.
        made: dict[int, _Part] = {}
        depths: dict[int, int] = {}  # `made` keeps every node alive, so no id comes twice
        for node in tree.iter_subtrees():
            parts = [made.get(id(c), cast("Token", c)) for c in node.children]
            e = made[id(node)] = getattr(self, node.data)(parts, self._span(node))
            if isinstance(e, Expression):
                depths[id(e)] = 1 + max((depths.get(id(p), 1) for p in e.parts), default=0)
                if depths[id(e)] > MAX_DEPTH:
                    raise too_deep(e.span)
        return _expression(made[id(tree)])

    def _span(self, node: Tree[Token]) -> Span:
        meta = node.meta
        length = len(_first_line(self._text[meta.start_pos : meta.end_pos]))
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
                span=_token_span(signs[1]),
                suggestion=print_expression(conjunction(tuple(compares))),
            )
        return compares[0]

    def total(self, parts: list[_Part], span: Span) -> Expression:
        made = _expression(parts[0])
        for sign, right in zip(parts[1::2], parts[2::2], strict=True):
            op = cast(ArithmeticOp, str(cast("Token", sign)))
            made = Arithmetic(op, made, _expression(right), span=span)
        return made

    product = total

    def call(self, parts: list[_Part], span: Span) -> Expression:
        name, *arguments = parts
        name = cast("Token", name)
        if name == "col":
            return _column_call(arguments, span)
        signature = CALLS.get(name)
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
        return Column(name, span=span)

    def string(self, parts: list[_Part], span: Span) -> Expression:
        return Constant(_unquote(str(parts[0]), span), span=span)

    def quantity(self, parts: list[_Part], span: Span) -> _Quantity:
        return _Quantity("".join(str(p) for p in parts), span)

    def true(self, parts: list[_Part], span: Span) -> Expression:
        return Constant(True, span=span)

    def false(self, parts: list[_Part], span: Span) -> Expression:
        return Constant(False, span=span)

    def null(self, parts: list[_Part], span: Span) -> Expression:
        return Constant(None, span=span)


def _expression(part: _Part) -> Expression:
    return part.constant() if isinstance(part, _Quantity) else cast(Expression, part)


def _duration(part: _Part) -> int:
    if isinstance(part, _Quantity):
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
    known = {call.lower(): call for call in ("col", *CALLS)}
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return ExpressionError(
        f"unknown operator {name}",
        span=_token_span(name),
        expected=("col", *(s.name for s in dict.fromkeys(CALLS.values()) if not s.symbol)),
        suggestion=f"{known[close[0]]}(...)" if close else None,
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

"""Syntax: text to lark's tree by `grammar.lark`, and what to say when there is none."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from timeline.errors import ExpressionError, Span
from timeline.language.expression import MAX_DEPTH, too_deep
from timeline.language.synonyms import SIGNS
from timeline.values.ticks import unit_of

if TYPE_CHECKING:  # lark takes 40 ms to import, and most of what imports this module never parses
    from lark import Lark, Token, Tree

#: The most words and signs of one expression, and characters: what is longer takes seconds to read.
MAX_TOKENS = 10_000
MAX_LENGTH = 256 << 10

# What was meant by characters that begin no token.
_MEANT = {"=>": ">=", "=<": "<=", "=!": "!=", "=": "==", "&": "&&", "|": "||", "?": "if(b, x, y)"}
# What stands between operands.
_BETWEEN = ("AND", "AMPERSANDS", "OR", "BARS", "COMPARE", "COMMA", "PLUS", "STAR", "SLASH", "IN", "IS")
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


@functools.cache
def _grammar() -> Lark:
    from lark import Lark

    grammar = Path(__file__).with_name("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", propagate_positions=True)


def syntax_tree(text: str) -> Tree[Token]:
    """Lark's tree of an expression.

    Raises:
        ExpressionError: text that is none by the grammar, or nested too deeply.
    """
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"an expression has at most {MAX_LENGTH} characters, got {len(text)}", span=Span(1, 1, 1)
        )
    state = _grammar().parse_interactive(text)
    read: list[Token] = []
    nesting = _Nesting()
    try:
        for token in state.iter_parse():
            nesting.feed(token)
            read.append(token)
            if len(read) > MAX_TOKENS:
                raise ExpressionError(
                    f"an expression has at most {MAX_TOKENS} words and signs, and more follow here; "
                    "divide it into several timelines",
                    span=token_span(token),
                )
        last = read[-1] if read else None
        return cast("Tree[Token]", state.feed_eof(last))  # type: ignore[no-untyped-call]
    except UnexpectedCharacters as error:
        place = Span(error.line, error.column, 1)
        expected = _expected(text, read)
        raise _unexpected_character(text[error.pos_in_stream or 0 :], place, expected) from None
    except UnexpectedToken as error:
        if error.token.type == "$END":
            raise _unexpected_end(last, nesting, _expected(text, read)) from None
        good = read[:-1]
        raise _unexpected_token(error.token, good[-1] if good else None, _expected(text, good)) from None


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
            case word if word in _BETWEEN:
                self._depth -= self._prefixes[-1]
                self._prefixes[-1] = 0
        if self._depth > MAX_DEPTH:
            raise too_deep(token_span(token))


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
        length = len(first_line(rest))
        return ExpressionError("the string is never closed", span=replace(place, length=length))
    if re.match(r"\|\s*aggregate\b", rest):
        return ExpressionError(
            "a pipe into aggregate(...) asks over all keys: it ends a whole expression, or the only output "
            "of a spec; of several outputs write expression = '{a: ..., b: ...} | aggregate(...)'",
            span=place,
        )
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
        return ExpressionError("( is never closed", span=token_span(nesting.open[-1]), expected=expected)
    end = Span(last.end_line or 1, last.end_column or 1, 0)
    return ExpressionError("the expression ends too early", span=end, expected=expected)


def _unexpected_token(token: Token, last: Token | None, expected: tuple[str, ...]) -> ExpressionError:
    after = "" if last is None else last.type
    if last is not None and after == "NAME" and last.lower() == "not":
        return ExpressionError(f"{last} is a column here", span=token_span(last), suggestion="not")
    if last is not None and after == "QUANTITY" and (unit := unit_of(token)) is not None:
        return ExpressionError(
            "a duration is written without a space",
            span=replace(token_span(last), length=len(last) + 1 + len(token)),
            suggestion=f"{last}{unit}",
        )
    if after == "MINUS" and expected == ("a constant",):
        return ExpressionError(
            f"- cannot stand before {token}: only before a number, or between two parts",
            span=token_span(token),
            expected=("a number",),
            suggestion=f"0 - {token}..." if token.type in ("NAME", "LPAR") else None,
        )
    if after == "IS":
        return ExpressionError(
            "is stands before null or not null only", span=token_span(token), suggestion=f"== {token}"
        )
    closed = token.type == "RPAR" and "the end" in expected
    meant = SIGNS.get(token.lower()) if token.type == "NAME" else None
    return ExpressionError(
        ") closes nothing" if closed else f"unexpected {token}",
        span=token_span(token),
        expected=expected,
        suggestion=meant,
    )


def token_span(token: Token) -> Span:
    """Where a token stands."""
    return Span(token.line or 1, token.column or 1, len(token))


def first_line(text: str) -> str:
    """What a caret can stand under."""
    return text.split("\n", 1)[0].rstrip("\r")

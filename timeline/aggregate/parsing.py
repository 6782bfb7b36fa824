"""The list of aggregates of a question: text to columns of the answer, by `aggregates.lark`."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

from timeline.aggregate.functions import CLOSED, FUNCTIONS, KEY, Aggregate, check_output, near
from timeline.errors import RequestError, Span, shortened
from timeline.language.synonyms import AGGREGATES
from timeline.language.syntax import token_span
from timeline.values.kinds import Kind

if TYPE_CHECKING:  # lark takes 40 ms to import, and most questions have no such list
    from lark import Lark, Token, Tree

_QUANTILE = re.compile(r"p(\d{1,2}(\.\d{1,6})?|100)")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def parse_aggregates(text: str, kinds: Mapping[str, Kind], of: str | None = None) -> tuple[Aggregate, ...]:
    """The aggregates of a list such as ``count, sum(x), avg, p99(x), histogram(x, 0, 1, 10)``.

    One that names no output takes that of the one before, the first one ``of``; of a result without names
    there is one only.

    Raises:
        RequestError: what is no aggregate, or does not fit the outputs, whose kinds these are.

    >>> parse_aggregates("count, sun(n)", {"n": Kind.NUMERIC})
    Traceback (most recent call last):
    ...
    timeline.errors.RequestError: line 1, column 8: there is no aggregate sun; expected count, sum, avg, \
min, max, p50, p99, histogram, distinct, duration, duration_by, rises, change (or p and another number up to \
100); did you mean sum?
    """
    if len(text) > MAX_LENGTH:
        raise RequestError(f"a list of aggregates has at most {MAX_LENGTH} characters, got {len(text)}")
    found: list[Aggregate] = []
    # The key itself, which stands beside the outputs where lives are asked, is none of them.
    own = [name for name in kinds if name != KEY] or list(kinds)
    last = own[0] if len(own) == 1 else of
    try:
        for tree in cast("list[Tree[Token]]", _tree(text).children):
            function, *words = [cast("Token", part) for part in tree.children if part is not None]
            aggregate = _aggregate(function, words, last)
            if aggregate.output is not None:
                _check_output(aggregate, {**kinds, CLOSED: Kind.BOOL}, words[0] if words else function)
                if function == "duration_by" and len(words) > 1:
                    limited = Aggregate(aggregate.label, "duration", str(words[1]))
                    _check_output(limited, kinds, words[1])
            found.append(aggregate)
            last = aggregate.output or last
    except RequestError as error:
        error.source = text
        raise
    return tuple(dict.fromkeys(found))


#: Characters of a list, and of a number in it.
MAX_LENGTH, MAX_DIGITS = 20_000, 40


@functools.cache
def _grammar() -> Lark:
    from lark import Lark

    return Lark(Path(__file__).with_name("aggregates.lark").read_text("utf-8"), parser="lalr")


def _tree(text: str) -> Tree[Token]:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    state = _grammar().parse_interactive(text)
    read: list[Token] = []
    try:
        for token in state.iter_parse():
            read.append(token)
        return cast("Tree[Token]", state.feed_eof(read[-1] if read else None))  # type: ignore[no-untyped-call]
    except UnexpectedCharacters as error:
        raise _no_aggregate(text, read, error.pos_in_stream or 0, 1) from None
    except UnexpectedToken as error:
        if error.token.type == "$END":
            raise _no_aggregate(text, read, len(text), 0) from None
        raise _no_aggregate(text, read[:-1], error.token.start_pos or 0, len(error.token)) from None


def _no_aggregate(text: str, read: Sequence[Token], at: int, length: int) -> RequestError:
    """What to say of the part of a list in which something at an offset does not fit what was read."""
    begin, inside = 0, False
    for token in read:
        inside = token.type == "LPAR" or (inside and token.type != "RPAR")
        if token.type == "COMMA" and not inside:
            begin = token.end_pos or 0
    part = (text[begin:at] + text[at:].split(",", 1)[0]).strip()
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return RequestError(
        f"{part or 'nothing'} is no aggregate; write a list such as count, sum(OUTPUT), p99(OUTPUT)",
        span=Span(line, column, length),
    )


def _meant(word: str) -> str:
    known = AGGREGATES.get(word.lower())
    if known is None and word.lower() in FUNCTIONS:
        known = word.lower()
    return near(word, FUNCTIONS) if known is None else f"; did you mean {known}?"


def _aggregate(function: Token, words: Sequence[Token], last: str | None) -> Aggregate:
    quantile = _QUANTILE.fullmatch(function)
    if quantile is None and function not in FUNCTIONS:
        raise RequestError(
            f"there is no aggregate {function}; expected {', '.join(FUNCTIONS)} "
            f"(or p and another number up to 100){_meant(function)}",
            span=token_span(function),
        )
    name, rest = str(function), words[1:]
    alone = name in ("count", "duration")
    output = str(words[0]) if words else None if alone else last
    if output is None and not alone:
        raise RequestError(f"{name} of what? expected {name}(OUTPUT)", span=token_span(function))
    if quantile is not None:
        if rest:
            raise RequestError(f"{name} takes one output, got {', '.join(words)}", span=token_span(rest[0]))
        return Aggregate(f"{name}({output})", "quantile", output, (quantile[1],))
    _check_rest(name, rest)
    label = name if output is None else f"{name}({', '.join([output, *rest])})"
    return Aggregate(label, name, output, tuple(map(str, rest)))


def _check_rest(function: str, rest: Sequence[Token]) -> None:
    if function == "duration_by" and len(rest) < 2:
        return
    if rest and function != "histogram":
        raise RequestError(
            f"{function} takes one output, got {', '.join(rest)} besides", span=token_span(rest[0])
        )
    for word in rest:
        if not _NUMBER.fullmatch(word) or len(word) > MAX_DIGITS:
            raise RequestError(
                f"a histogram's bounds are numbers such as 0.5, got {shortened(word, MAX_DIGITS)}",
                span=token_span(word),
            )
    for before, word in itertools.pairwise(rest):
        if Fraction(before) >= Fraction(word):
            raise RequestError(f"a histogram's bounds grow, got {', '.join(rest)}", span=token_span(word))


def _check_output(aggregate: Aggregate, kinds: Mapping[str, Kind], place: Token) -> None:
    try:
        check_output(aggregate, kinds)
    except RequestError as error:
        error.span = token_span(place)
        raise

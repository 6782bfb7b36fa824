"""What an editor of expressions shows: what is wrong and how it would be right, and what could be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timeline.aggregate.piped import read_piped
from timeline.errors import ExpressionError, PlacedError, Span
from timeline.language.expression import Expression, Outputs
from timeline.language.mistakes import Seen, mistakes_in
from timeline.language.output_names import VALUE, name_problem
from timeline.language.parser import parse
from timeline.language.references import read_outputs
from timeline.language.signatures import operator_classes

WORDS = ("true", "false", "null", "and", "or", "not")


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something wrong with a text from ``start`` up to ``end``; ``fixed`` is the text as it is likely to be
    meant, where that is known. ``sure``: it cannot be understood; else it is likely to be a mistake."""

    message: str
    start: int
    end: int
    sure: bool
    suggestion: str | None = None
    fixed: str | None = None


def wrong_in(texts: Mapping[str, str], seen: Seen | None = None) -> dict[str, list[Wrong]]:
    """What is wrong with the texts of outputs, by name; with one text whose name is empty, an expression.

    Once all are understood, ``seen`` events show what is likely to be a mistake.

    >>> [wrong] = wrong_in({"": "duration_were(a == 1)"})[""]
    >>> wrong.message, wrong.start, wrong.end, wrong.fixed
    ('unknown operator duration_were', 0, 13, 'duration_where(a == 1)')
    >>> wrong_in({"n": "count(a == 1)", "often": "@n > 2"})
    {}
    """
    trees, problems = _read(texts)
    if problems:
        return {name: [_of_error(name, error, texts)] for name, error in problems.items()}
    found: dict[str, list[Wrong]] = {}
    whole = trees[""] if list(trees) == [""] else Outputs(tuple(trees), tuple(trees.values()))
    for mistake in mistakes_in(whole, seen or Seen()):
        # The outputs of what is piped are all in one text.
        name = mistake.output if mistake.output in texts else next(iter(texts))
        start, end = _place(texts[name], mistake.span)
        told = mistake.text + (f"; did you mean {mistake.suggestion}?" if mistake.suggestion else "")
        fixed = _fixed(name, texts, start, end, mistake.suggestion, None)
        found.setdefault(name, []).append(Wrong(told, start, end, False, mistake.suggestion, fixed))
    return found


def _read(texts: Mapping[str, str]) -> tuple[Mapping[str, Expression], Mapping[str, PlacedError]]:
    for name, text in texts.items() if len(texts) == 1 else ():
        try:
            piped = read_piped(text, name or VALUE)
        except PlacedError as error:
            return {}, {name: error}
        if piped is not None:
            return dict(zip(piped.outputs.names, piped.outputs.operands, strict=True)), {}
    if list(texts) != [""]:
        return read_outputs(texts)
    try:
        tree = parse(texts[""])
    except ExpressionError as error:
        return {}, {"": error}
    if isinstance(tree, Outputs):
        return {}, {"": ExpressionError("a set of outputs: add an output for each, and name it")}
    return {"": tree}, {}


def _of_error(name: str, error: PlacedError, texts: Mapping[str, str]) -> Wrong:
    start, end = _place(texts[name], error.span)
    told = error.message if error.suggestion or not error.expected else _with_expected(error)
    fixed = _fixed(name, texts, start, end, error.suggestion, error)
    return Wrong(told, start, end, True, error.suggestion, fixed)


def _with_expected(error: PlacedError) -> str:
    most = 6
    more = ", ..." if len(error.expected) > most else ""
    return f"{error.message}; expected {', '.join(error.expected[:most])}{more}"


def _place(text: str, span: Span | None) -> tuple[int, int]:
    """Where a span begins and ends; at the end of the text at least the last character."""
    if span is None:
        return 0, len(text)
    lines = text.split("\n")
    start = sum(len(line) + 1 for line in lines[: span.line - 1]) + span.column - 1
    start = max(0, min(start, len(text) - 1))
    return start, min(max(start + span.length, start + 1), len(text))


def _fixed(
    name: str,
    texts: Mapping[str, str],
    start: int,
    end: int,
    suggestion: str | None,
    before: ExpressionError | PlacedError | None,
) -> str | None:
    """The text with the suggestion taken, unless that would be wrong in the same way, or another here."""
    text = texts[name]
    for word in _alternatives(suggestion):
        # A reference is suggested by the name of the output.
        sign = "@" if text[start] == "@" and not word.startswith("@") else ""
        fixed = text[:start] + sign + word + text[end:]
        after = _read({**texts, name: fixed})[1].get(name)
        if after is None:
            return fixed
        later = _place(fixed, after.span)[0] > start
        if before is not None and later and after.message != before.message:
            return fixed
    return None


def _alternatives(suggestion: str | None) -> Iterator[str]:
    """The texts that a suggestion names in words."""
    if suggestion is None:
        return
    plain = suggestion.removesuffix(", without quotes").removesuffix("(...)")
    for word in dict.fromkeys([plain, *plain.split(" or ")]):
        if "..." not in word:
            yield word


def name_wrong(name: str) -> str | None:
    """What is wrong with the name of an output."""
    return name_problem(name)


def completions(columns: Sequence[str], outputs: Sequence[str] = ()) -> list[dict[str, Any]]:
    """What can be written: operators with their use and meaning, columns, other outputs, words.

    >>> completions(["state"])[0]["label"], completions(["state"])[-7]
    ('latest_event_to_state', {'label': 'state', 'type': 'property', 'detail': 'column'})
    """
    found: list[dict[str, Any]] = []
    for operator in operator_classes().values():
        if not (signature := operator.signature).symbol:
            about = (operator.__doc__ or "").split("\n\n")[0]
            one = {"label": signature.name, "type": "function", "detail": signature.usage}
            found.append(one | {"info": " ".join(about.split())})
    found += [{"label": name, "type": "property", "detail": "column"} for name in columns]
    found += [{"label": f"@{name}", "type": "variable", "detail": "output"} for name in outputs]
    return found + [{"label": word, "type": "keyword"} for word in WORDS]

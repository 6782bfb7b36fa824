"""What is wrong with a spec, in a reader's words: each problem with its place."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from timeline.errors import Problem, shortened

#: Problems of one spec that are told, and characters of each.
MAX_TOLD, MAX_TEXT = 50, 2_000

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_too_short": "must not be empty",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "model_type": "must be a table, such as [source] and the lines below it",
    "tuple_type": 'must be a list, such as ["a.jsonl"]',
    "string_pattern_mismatch": "use lower-case letters, digits, - and _, 63 at most, and begin with "
    "a letter or digit",
}


def problems_of(error: ValidationError) -> list[Problem]:
    """The problems that a check has found, the first `MAX_TOLD` of them."""
    every = error.errors(include_url=False)
    problems = [Problem(_place(e["loc"]), shortened(_text(e), MAX_TEXT)) for e in every[:MAX_TOLD]]
    if len(every) > MAX_TOLD:
        problems.append(Problem("spec", f"and {len(every) - MAX_TOLD} more problems"))
    return problems


def _place(steps: tuple[int | str, ...]) -> str:
    return shortened(".".join(map(str, steps))) or "spec"


def _text(error: Any) -> str:
    text = _WORDS.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    text = text.replace("Input should be", "must be")
    # What a problem of our own got is in its message.
    if error["type"] in ("missing", "extra_forbidden", "value_error"):
        return str(text)
    return f"{text}, got {shortened(repr(error['input']))}"

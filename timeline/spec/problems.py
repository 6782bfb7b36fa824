"""What is wrong with a spec, in a reader's words: each problem with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

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


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """The problems that a check by a model has found, the first `MAX_TOLD` of them."""
    every = error.errors(include_url=False)
    problems = [
        Problem(_place(e["loc"]), shortened(_text(e) + _meant(e, model), MAX_TEXT)) for e in every[:MAX_TOLD]
    ]
    if len(every) > MAX_TOLD:
        problems.append(Problem("spec", f"and {len(every) - MAX_TOLD} more problems"))
    return problems


def _place(steps: tuple[int | str, ...]) -> str:
    return shortened(".".join(map(str, steps))) or "spec"


def _meant(error: Any, model: type[BaseModel]) -> str:
    """Of a key that is not known, which one is likely to be meant: one of its table, or of another one."""
    if error["type"] != "extra_forbidden":
        return ""
    *path, key = map(str, error["loc"])
    tables = dict(_tables(model))
    elsewhere = [f"{table}.{key}".lstrip(".") for table, fields in tables.items() if key in fields]
    if elsewhere:
        return f"; did you mean {elsewhere[0]}?"
    places = {field: ".".join((*path, field)) for field in tables.get(".".join(path), ())}
    close = difflib.get_close_matches(key.lower(), list(places), n=1)
    return f"; did you mean {places[close[0]]}?" if close else ""


def _tables(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, list[str]]]:
    """The keys of each table of a model, by its place."""
    yield place, list(model.model_fields)
    for name, field in model.model_fields.items():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _tables(part, f"{place}.{name}".lstrip("."))


def _text(error: Any) -> str:
    text = _WORDS.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    text = text.replace("Input should be", "must be")
    # What a problem of our own got is in its message.
    if error["type"] in ("missing", "extra_forbidden", "value_error"):
        return str(text)
    return f"{text}, got {shortened(repr(error['input']))}"

"""Specs from files, with everything that is wrong said at once."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import (
    ValidationError,
)

from timeline.errors import Problem, SpecError
from timeline.spec.spec import Spec

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


def load_spec(path: str | Path) -> Spec:
    """Reads and checks a spec file; relative ``files`` (and a sink's ``folder``) are taken from its folder.

    Raises:
        SpecError: all that is wrong with it, each with its place.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SpecError(str(path), [Problem("file", "does not exist; check the path")]) from None
    except OSError as error:
        raise SpecError(str(path), [Problem("file", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise SpecError(str(path), [Problem("file", "is not UTF-8 text")]) from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(str(path), [Problem("file", f"is not TOML: {error}")]) from None
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        problems = [
            Problem(".".join(map(str, e["loc"])) or "spec", _problem_text(e))
            for e in error.errors(include_url=False)
        ]
        raise SpecError(str(path), problems) from None
    files = tuple(str(path.parent / file) for file in spec.source.files)
    update: dict[str, Any] = {"source": spec.source.model_copy(update={"files": files})}
    if spec.sink is not None and spec.sink.folder is not None:
        # Workers write there, and they run wherever they run.
        folder = str((path.parent / spec.sink.folder).absolute())
        update["sink"] = spec.sink.model_copy(update={"folder": folder})
    return spec.model_copy(update=update)


def _problem_text(error: Any) -> str:
    text = _WORDS.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    text = text.replace("Input should be", "must be")
    # What a problem of our own got is in its message.
    if error["type"] in ("missing", "extra_forbidden", "value_error"):
        return str(text)
    return f"{text}, got {error['input']!r}"

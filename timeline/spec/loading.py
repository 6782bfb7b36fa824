"""Specs from files, with everything that is wrong said at once."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from timeline.errors import Problem, SpecError, shortened
from timeline.spec.problems import problems_of
from timeline.spec.spec import Spec

#: Characters of a spec, and dots in the key of one line: tomllib takes 80 kB of memory for each.
MAX_LENGTH, MAX_DOTS = 1 << 20, 50


def load_spec(path: str | Path) -> Spec:
    """Reads and checks a spec file; relative ``files`` (and a sink's ``folder``) are taken from its folder.

    Raises:
        SpecError: all that is wrong with it, each with its place.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
        _within_bounds(path, text)
        data = tomllib.loads(text)
    except FileNotFoundError:
        raise SpecError(str(path), [Problem("file", "does not exist; check the path")]) from None
    except OSError as error:
        raise SpecError(str(path), [Problem("file", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise SpecError(str(path), [Problem("file", "is not UTF-8 text")]) from None
    # Beside its own error, tomllib raises Python's for numbers of thousands of digits, and deep nests.
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else shortened(str(error))
        raise SpecError(str(path), [Problem("file", f"is not TOML: {why}")]) from None
    spec = spec_of(data, str(path))
    files = tuple(str(path.parent / file) for file in spec.source.files)
    update: dict[str, Any] = {"source": spec.source.model_copy(update={"files": files})}
    # Workers write there, and they run wherever they run.
    update["sinks"] = tuple(
        sink if sink.folder is None else sink.model_copy(update={"folder": _beside(path, sink.folder)})
        for sink in spec.sinks
    )
    return spec.model_copy(update=update)


def spec_of(data: Any, what: str) -> Spec:
    """The spec that data say, in the form of a file; ``what`` they are is said in the error.

    Raises:
        SpecError: all that is wrong with it, each with its place.

    >>> spec_of({"name": "plays", "expression": 'has_existed(state == "play")'}, "the body").name
    'plays'
    """
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        raise SpecError(what, problems_of(error, Spec)) from None


def _beside(path: Path, folder: str) -> str:
    return str((path.parent / folder).absolute())


def _within_bounds(path: Path, text: str) -> None:
    if len(text) > MAX_LENGTH:
        problem = f"has {len(text)} characters, at most {MAX_LENGTH} are read; is it a spec?"
        raise SpecError(str(path), [Problem("file", problem)])
    for number, line in enumerate(text.splitlines(), start=1):
        key = line if line.lstrip().startswith("[") else line.partition("=")[0]
        if key.count(".") > MAX_DOTS and not {'"', "'", "#"} & set(key):
            problem = f"line {number} has a key of {key.count('.') + 1} parts; no table is so deep"
            raise SpecError(str(path), [Problem("file", problem)])

"""Specs from files, with everything that is wrong said at once."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from timeline.errors import Problem, SpecError
from timeline.spec.problems import problems_of
from timeline.spec.spec import Spec


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
        raise SpecError(str(path), problems_of(error)) from None
    files = tuple(str(path.parent / file) for file in spec.source.files)
    update: dict[str, Any] = {"source": spec.source.model_copy(update={"files": files})}
    if spec.sink is not None and spec.sink.folder is not None:
        # Workers write there, and they run wherever they run.
        folder = str((path.parent / spec.sink.folder).absolute())
        update["sink"] = spec.sink.model_copy(update={"folder": folder})
    return spec.model_copy(update=update)

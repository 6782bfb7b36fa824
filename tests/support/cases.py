"""Cases of tests that are data: `tests/fixtures/*.txt`, one file a theme. Lines that begin with # say why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"


def pairs(name: str) -> list[tuple[str, str]]:
    """The lines ``left  =>  right`` of a file."""
    found = []
    for line in _text(name).split("\n"):
        if line and not line.startswith("#"):
            left, right = line.split("  =>  ")
            found.append((left, right))
    return found


def cases(name: str, *fields: str) -> list[Any]:
    """One parameter set a block of a file, with the values of these fields; ``None`` for one that is absent.

    Blocks are divided by an empty line. ``field: text`` is the text as it stands there, to the end of the
    line or, if there is none on it, the lines below that are indented; ``field = JSON`` is a JSON value.

    >>> _block("text: a = 1\\nat = [1, 3]\\nmany:\\n    one\\n    two")
    {'text': 'a = 1', 'at': [1, 3], 'many': 'one\\ntwo'}
    """
    found = []
    for number, block in enumerate(_text(name).strip("\n").split("\n\n"), 1):
        values = _block("\n".join(line for line in block.split("\n") if not line.startswith("#")))
        if not values:
            continue
        if unknown := values.keys() - set(fields):
            raise ValueError(f"{name}, block {number}: {sorted(unknown)} not among {fields}")
        shown = str(next(iter(values.values())))[:60].encode("ascii", "backslashreplace").decode()
        found.append(pytest.param(*(values.get(field) for field in fields), id=shown))
    return found


def _text(name: str) -> str:
    return (FIXTURES / f"{name}.txt").read_text("utf-8")


def _block(block: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    field = ""
    for line in block.split("\n"):
        if not line:
            continue
        if line.startswith("    "):
            values[field] += ("\n" if values[field] else "") + line[4:]
            continue
        field, sign, rest = line.partition(" ")
        if field.endswith(":"):
            field = field.removesuffix(":")
            values[field] = rest
        elif sign and rest.startswith("= "):
            values[field] = json.loads(rest.removeprefix("= "))
        else:
            raise ValueError(f"neither 'field: text' nor 'field = JSON': {line!r}")
    return values

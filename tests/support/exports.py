"""The public names of every package: ``python -m tests.support.exports`` writes them down."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from tests.support.cases import FIXTURES
from tests.support.floors import PACKAGES

FILE = FIXTURES / "exports.txt"


def packages() -> Iterator[str]:
    """Every package, the four themselves first."""
    for name in PACKAGES:
        yield name
        path = importlib.import_module(name).__path__
        yield from (m.name for m in pkgutil.walk_packages(path, f"{name}.") if m.ispkg)


def exports() -> dict[str, list[str]]:
    """What each of the four packages, and each other one that has ``__all__``, hands on."""
    found = {}
    for name in packages():
        names = getattr(importlib.import_module(name), "__all__", None)
        if names is not None or name in PACKAGES:
            found[name] = sorted(names or [])
    return found


def text() -> str:
    """The fixture as it should be."""
    blocks = ["# The public names of every package. Written by `python -m tests.support.exports`."]
    blocks += ["\n".join([name, *(f"    {n}" for n in names)]) for name, names in exports().items()]
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())

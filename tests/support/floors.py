"""The shape of the packages: which modules there are, what they import, and where that runs in a circle."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import grimp

PACKAGES = ("timeline", "workflows", "feeder", "producer")


@functools.cache
def imports() -> grimp.ImportGraph:
    """What every module imports, for types only too."""
    return grimp.build_graph(*PACKAGES)


def circles(modules: Iterable[str], imported: Callable[[str], set[str]]) -> list[list[str]]:
    """For every set of modules that reach each other the shortest circle through its first one.

    >>> circles("abcd", {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}.__getitem__)
    [['b', 'c', 'b']]
    """
    known = sorted(modules)
    reached = {module: _ways(module, imported) for module in known}
    found: list[list[str]] = []
    seen: set[str] = set()
    for module in known:
        if module in seen or module not in reached[module]:
            continue
        seen |= {other for other in reached[module] if module in reached[other]}
        found.append([module, *reached[module][module]])
    return found


def _ways(module: str, imported: Callable[[str], set[str]]) -> dict[str, list[str]]:
    """A shortest way to every module that is reached from one."""
    ways: dict[str, list[str]] = {}
    edge: list[tuple[str, list[str]]] = [(module, [])]
    while edge:
        further = []
        for at, way in edge:
            for other in sorted(imported(at)):
                if other not in ways:
                    ways[other] = [*way, other]
                    further.append((other, ways[other]))
        edge = further
    return ways

"""Timing: interleaved repetitions, medians and spread, figures with their marks."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of several repetitions."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        return f"{self.median:.3f} s ({min(self.seconds):.3f} to {max(self.seconds):.3f})"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value: ``ratio`` to what it stands ``against``, in the same run."""

    name: str
    value: float
    unit: str
    ratio: float
    against: str
    mark: str
    met: bool
    detail: str = ""


def interleaved(*works: Callable[[], object], repetitions: int = 5) -> list[Times]:
    """The times of each, in turn, after a round that does not count; a machine that drifts slows all."""
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(repetitions):
        for work, times in zip(works, taken, strict=True):
            begin = time.perf_counter()
            work()
            times.append(time.perf_counter() - begin)
    return [Times(tuple(times)) for times in taken]


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def at_most(
    name: str, value: float, unit: str, against: float, other: str, mark: float, detail: str = ""
) -> Figure:
    """A figure that is to be no more than ``mark`` times what it stands against."""
    ratio = value / against
    return Figure(name, value, unit, ratio, other, f"ratio at most {mark:g}", ratio <= mark, detail)


def at_least(
    name: str, value: float, unit: str, against: float, other: str, mark: float, detail: str = ""
) -> Figure:
    """A figure that is to be no less than ``mark`` times what it stands against."""
    ratio = value / against
    return Figure(name, value, unit, ratio, other, f"ratio at least {mark:g}", ratio >= mark, detail)

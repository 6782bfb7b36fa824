"""Timing: interleaved repetitions, medians and spread, figures with their marks."""

from __future__ import annotations

import statistics
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


def interleaved(
    one: Callable[[], object], other: Callable[[], object], repetitions: int = 5
) -> tuple[Times, Times]:
    """Both in turn, after one round that does not count; a machine that drifts slows both."""
    one()
    other()
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(repetitions):
        for work, times in ((one, mine), (other, theirs)):
            begin = time.perf_counter()
            work()
            times.append(time.perf_counter() - begin)
    return Times(tuple(mine)), Times(tuple(theirs))

"""What processes cost: processor time and memory, of Linux's own books."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time of processes and of all below them, those that have ended included."""
    return sum(map(_cpu, pids))


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0  # ended between two looks; whoever waited for it has its time
    return sum(int(field) for field in fields[11:15]) / _TICK + cpu_seconds(children(pid))


def children(pid: int) -> list[int]:
    """Of a process, the processes that it started and that still run."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def memory_mib(pids: Iterable[int]) -> float:
    """Memory of processes and of all below them; of what several share, each has its part."""
    return sum(map(_memory, pids))


def _memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    own = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return own + memory_mib(children(pid))

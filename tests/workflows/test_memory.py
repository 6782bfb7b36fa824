"""What a worker frees goes back to the machine, also from between what it keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workflows import memory
from workflows.backoff import until

STATUS = Path("/proc/self/status")
#: Each too small for malloc to map it alone.
BLOCKS, BYTES = 4_000, 64 << 10


def resident() -> int:
    [line] = [line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) << 10


@pytest.mark.skipif(memory._glibc() is None or not STATUS.exists(), reason="malloc is not glibc's")
async def test_holes_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "EVERY", 0.05)
    monkeypatch.setattr(memory, "WORKED", 0.0)
    blocks = [np.ones(BYTES, np.int8) for _ in range(BLOCKS)]
    kept = blocks[::2]
    full = resident()
    del blocks
    assert full - resident() < BLOCKS * BYTES // 8, "malloc has given them back by itself"

    async def smaller() -> bool:
        return full - resident() > BLOCKS * BYTES // 4

    async with memory.sparing_memory():
        assert await until(smaller, within=30)
    assert sum(int(block[0]) for block in kept) == BLOCKS // 2

"""A dozen random schedules of faults; `python -m tests.system.faults` plays more."""

from __future__ import annotations

from pathlib import Path

from tests.system.faults.everything import play_all


async def test_random_faults_change_nothing(tmp_path: Path) -> None:
    total, failures = await play_all(range(12), tmp_path, tell=print)
    assert not failures, failures[0]
    assert total.refused > 0
    assert {"kill feeder", "kill worker", "kill server", "stale feeder"} <= set(total.faults)
    assert {"zombie feeder", "two feeders"} <= set(total.faults)
    # Not one of them was lost, or the timelines would differ.
    assert total.runs.with_inbox > 0

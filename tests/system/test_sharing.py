"""Timelines that share nodes come and go on a real server, while everything is killed."""

from __future__ import annotations

from pathlib import Path

from tests.system import sharing


async def test_timelines_that_come_and_go_under_faults(tmp_path: Path) -> None:
    """A short run of ``python -m tests.system.sharing``, which says more."""
    said: list[str] = []
    outcome = await sharing.play(3, 3, tmp_path, said.append, moves=("stream", "node"))
    assert len(said) == 7
    assert outcome.compared > 300
    assert outcome.nodes < outcome.nodes_apart
    assert outcome.signals < outcome.signals_apart

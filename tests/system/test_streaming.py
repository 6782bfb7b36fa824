"""Through a real broker, while feeders and the broker are killed: exact, and every message accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest

from feeder.broker import missing
from tests.system.streaming import stream_and_kill


@pytest.mark.skipif(missing() is not None, reason=missing() or "")
async def test_everything_is_killed_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSAR_SERVICE_URL", "")  # is given back as it was
    outcome = await stream_and_kill(10_000, 60, seed=3, folder=tmp_path, policies=("operator", "stream"))
    assert outcome.sent.sent == {"good": 10_000, "late": 200, "repeated": 200, "broken": 50}
    assert set(outcome.checks) == {"first", "later"}
    for check in outcome.checks.values():
        assert check.differences == []
        assert check.keys > 300
        # What the broker had when it was killed, but had not acknowledged, the producer has sent again: such
        # messages are in the topic twice, and count as any others. How many depends on how slow it was.
        twice = check.messages - 10_450
        assert twice >= 0
        found = (check.accepted, check.refused, check.broken)
        assert sum(found) == check.messages
        assert all(0 <= n - least <= twice for n, least in zip(found, (10_200, 200, 50), strict=True))
        assert outcome.letters == {"late": check.refused, "broken": check.broken}


@pytest.mark.skipif(missing() is not None, reason=missing() or "")
async def test_lives_close_and_marks_come_while_everything_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSAR_SERVICE_URL", "")
    limits = {"key_ttl": "20s", "watermark": "stream"}
    outcome = await stream_and_kill(
        4_000, 30, seed=5, folder=tmp_path, policies=("operator", "stream"), limits=limits, idle="1s"
    )
    assert outcome.sent.sent == {"good": 4_000, "late": 80, "repeated": 80, "broken": 20}
    assert outcome.killed == 3
    assert set(outcome.checks) == {"first", "later"}
    for check in outcome.checks.values():
        assert check.differences == []
        assert check.keys > 100
        # Some are in the topic twice, as above.
        assert check.messages >= 4_180
        assert check.accepted + check.refused + check.broken == check.messages
        assert check.refused >= 80
        assert outcome.letters["late"] + outcome.letters["closed"] == check.refused
        assert outcome.letters["broken"] == check.broken

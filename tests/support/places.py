"""The repository, its reference example and the real traces."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


CIRR = (
    'duration_where(has_existed(playerStateChange == "play") '
    '&& !has_existed_within(playerStateChange == "seek", 5s) '
    '&& latest_event_to_state(playerStateChange) == "buffer")'
)


TRACES = sorted((ROOT.parent / "shared" / "data" / "playback").glob("*.jsonl"))


needs_traces = pytest.mark.skipif(
    not TRACES, reason="the real playback traces are not on this machine (shared/data/playback)"
)

"""Sinks of specs: everything wrong is said, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cases import cases
from tests.support.sinks import OUTPUTS
from timeline.errors import SpecError
from timeline.spec.loading import load_spec


def problems(tmp_path: Path, sink: str, limits: str = "") -> dict[str, str]:
    path = tmp_path / "spec.toml"
    outputs = "\n".join(f"{name} = '''{text}'''" for name, text in OUTPUTS.items())
    path.write_text(f"name = 't'\n[outputs]\n{outputs}\n[limits]\n{limits}\n[sink]\n{sink}\n")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    return {p.place: p.message for p in caught.value.problems}


@pytest.mark.parametrize(("sink", "place", "message"), cases("sink_problems", "sink", "place", "problem"))
def test_what_is_wrong_with_a_sink_is_said(tmp_path: Path, sink: str, place: str, message: str) -> None:
    found = problems(tmp_path, sink)
    assert message in found[place], found


def test_an_aggregate_must_fit(tmp_path: Path) -> None:
    found = problems(tmp_path, "topic = 't'\nevery = '1s'\nagg = 'sum(state2)'", "key_ttl = '1h'")
    assert "there is no output state2" in found["sink.agg"]

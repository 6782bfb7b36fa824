"""The dashboard and the alert rules ask for metrics that there are, and are what Prometheus understands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.grafana import ALERTS, DASHBOARD, expressions, named, ours, rules, sdk_metrics
from tests.support.places import ROOT


def test_every_metric_that_is_asked_for_is_there() -> None:
    assert {name for name in named() if name.startswith("timeline_")} <= ours()
    assert sdk_metrics()


def test_every_metric_is_described_and_shown() -> None:
    """Of a histogram any part will do."""
    short = {re.sub(r"_(bucket|sum|count)$", "", name) for name in ours()}
    text = (ROOT / "docs" / "metrics.md").read_text()
    described = set(re.findall(r"`(timeline_\w+)`", text))
    described |= {"timeline_node" + rest for rest in re.findall(r"`(_[a-z_]+)`", text)}
    assert short == {name for name in described if name in short}, short - described
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in named()}
    assert short - shown == {"timeline_store_states"}


def test_every_panel_says_what_it_shows() -> None:
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers) > 20
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["type"] == "row" or panel["targets"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for rule in rules():
        assert {"alert", "expr", "labels", "annotations"} <= rule.keys()
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_prometheus_understands_the_rules_and_questions(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip(
            "no promtool on the PATH: it is in Debian's package prometheus, or go install "
            "github.com/prometheus/prometheus/cmd/promtool@latest"
        )
    asked = tmp_path / "asked.yaml"
    questions = [text.replace("$__rate_interval", "5m") for text in expressions()]
    asked.write_text(
        json.dumps(
            {
                "groups": [
                    {
                        "name": "asked",
                        "rules": [{"record": f"a:{n}", "expr": text} for n, text in enumerate(questions)],
                    }
                ]
            }
        )
    )
    command = [promtool, "check", "rules", "--lint=none", str(ALERTS), str(asked)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr + said.stdout

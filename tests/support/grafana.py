"""Dashboards and alert rules: which metrics they name, and which the code has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.support.places import ROOT

FOLDER = ROOT / "deploy" / "grafana"
DASHBOARD, ALERTS = FOLDER / "timeline.json", FOLDER / "alerts.yaml"
#: Only there once a workflow has continued as new.
SOMETIMES = {"temporal_workflow_continue_as_new_total"}
_METRIC = re.compile(r"\b(?:timeline|temporal)_[a-z_]+")
_MADE = re.compile(r'create_(\w+?)(?:_float|_timedelta)?\(\s*"(\w+)"(?:,\s*"[^"]*",\s*"(\w+)")?')


def expressions() -> Iterator[str]:
    """All that is asked of Prometheus."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    yield from (rule["expr"] for rule in rules())


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def named() -> set[str]:
    """The metrics that are asked for, by their names for Prometheus."""
    return {name for text in expressions() for name in _METRIC.findall(text)}


def sdk_metrics() -> set[str]:
    """Those of Temporal's SDK that a worker which has done something shows at once."""
    return {name for name in named() if name.startswith("temporal_")} - SOMETIMES


def ours() -> set[str]:
    """The metrics that the code makes, by their names for Prometheus."""
    text = (ROOT / "workflows" / "metrics.py").read_text()
    names = set(re.findall(r'^    "(timeline_\w+)": "', text, re.MULTILINE))  # gauges that are added up
    for kind, name, unit in _MADE.findall(text):
        if kind == "counter":
            names.add(f"{name}_total")
        elif kind == "histogram":
            names |= {f"{name}_{unit}_{part}" for part in ("bucket", "sum", "count")}
        else:
            names.add(name)
    return names

"""``python -m tests.support.helm`` builds Helm, if need be, for the tests of the chart in deploy/helm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from feeder.broker import cache_folder as broker_folder
from tests.support.go import go_install
from tests.support.places import ROOT
from timeline.errors import ServiceError

CHART = ROOT / "deploy" / "helm"
KUBERNETES = "1.31.0"
VERSION = "3.22.0"
#: Set to 1: build Helm where it is not there.
WANTED = "TIMELINE_HELM"


def folder() -> Path:
    """Where Helm is, or will be, for all of a user's projects."""
    return broker_folder().with_name(f"helm-{VERSION}")


def find() -> Path | None:
    """The program: of the user's cache, or else of the machine."""
    built = folder() / "helm"
    on_path = shutil.which("helm")
    return built if built.exists() else Path(on_path) if on_path else None


def missing() -> str | None:
    """Why the chart cannot be tested, and what to do; ``None`` if it can be."""
    if find() is not None:
        return None
    if shutil.which("go") is None:
        return "there is no helm, and no Go to build it with"
    if os.environ.get(WANTED) != "1":
        return f"there is no helm; {WANTED}=1 builds it, in some minutes"
    return None


def install() -> Path:
    """The program; built if it is not there. Blocks.

    Raises:
        ServiceError: Go could not build it.
    """
    if (found := find()) is not None:
        return found
    return go_install(folder(), [f"helm.sh/helm/v3/cmd/helm@v{VERSION}"], "Helm", lambda: None) / "helm"


def helm(*arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs Helm on the chart, with values over its own, for a Kubernetes that the chart takes: one that Go
    built from its module thinks of 1.20."""
    told = ["--kube-version", KUBERNETES, *([] if values is None else ["--values", "-"])]
    return subprocess.run(
        [str(install()), *arguments, *told],
        input=yaml.safe_dump(values or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    """What Kubernetes would be told.

    Raises:
        AssertionError: Helm refuses, with what it says.
    """
    done = helm("template", "plays", str(CHART), "--namespace", "here", values=values)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def main() -> int:
    os.environ[WANTED] = "1"
    try:
        print(install())
    except ServiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

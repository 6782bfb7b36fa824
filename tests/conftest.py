"""What tests of any folder need: the command line without a server, Hypothesis at no particular speed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.support.cli import Cli, kill_what_was_started

if TYPE_CHECKING:
    from tests.support.everywhere import Way

# Nothing that is random may fail because the machine is slow.
hypothesis.settings.register_profile(
    "timeline", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("timeline")


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Kills what a failed test did not stop."""
    yield
    kill_what_was_started()


@pytest.fixture
def local_cli(tmp_path: Path) -> Cli:
    """The command line without a server."""
    return Cli(None, tmp_path)


@pytest.fixture(params=["local", "graph"])
def way(request: pytest.FixtureRequest) -> Way:
    """A way to run an expression over events; under tests/system there is one more, by workflows."""
    from tests.support.everywhere import in_graph, locally

    return {"local": locally, "graph": in_graph}[request.param]


_status = 0


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    global _status
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends without tearing the interpreter down: see `timeline.cli.main.run` for what that can do.

    A worker of pytest-xdist has told all its results by now, and its status is asked by nobody.
    """
    native = {"temporalio.bridge.temporal_sdk_bridge", "pulsar"}
    if native & sys.modules.keys():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)

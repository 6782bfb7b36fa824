"""What only a real server has: hosts of which one goes, and a configuration that it must understand."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from feeder.files.feed import feed_files
from tests.support.cluster.binaries import folder
from tests.support.cluster.server import RealServer
from tests.support.places import ROOT
from tests.support.servers import is_real, make_server
from tests.support.timelines import assert_exact, many, spec, write
from workflows.client import Client
from workflows.worker import make_worker

pytestmark = [
    pytest.mark.real_server,
    pytest.mark.skipif(not is_real(), reason="is about a real server: TIMELINE_TEST_SERVER=real"),
]


async def test_one_host_of_two_is_killed_and_then_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = spec()
    rows = many(20, 60)
    first = make_server(tmp_path / "dev.db")
    assert isinstance(first, RealServer)
    async with first, first.beside() as second:
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"{first.address},{second.address}")
        timelines = await Client.connect(patience="20m")
        async with make_worker(timelines.temporal):
            await timelines.registry.register(wanted)
            file = tmp_path / "events.jsonl"
            for end, gone, back in ((400, first, second), (800, second, first), (1_200, None, second)):
                await feed_files(timelines, wanted, [write(file, rows[:end])])
                if not back.running:
                    await back.start()
                if gone is not None:
                    await gone.stop(kill=True)
            await assert_exact(timelines, wanted, 20)
            assert (await timelines.leaves.status(wanted, 0))["accepted"] == 1_200


def test_the_deployments_configuration_is_understood() -> None:
    command = [str(folder() / "server"), "validate-dynamic-config", str(ROOT / "deploy" / "temporal.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "error" not in done.stdout, done.stdout
    assert "warning" not in done.stdout, done.stdout

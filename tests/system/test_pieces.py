"""States in frozen pieces, on the real server: each is stored once, and what goes on from them is exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from tests.support.graphs import POLICIES
from tests.support.servers import make_server
from tests.support.timelines import many, spec, write
from tests.system.test_storage import OFTEN, forget_closed_runs_of, started_with, working
from timeline.fragments import Policy
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.payloads.encryption import new_key
from workflows.stores.sweep import sweep


@pytest.mark.parametrize("policy", POLICIES[1:])
async def test_pieces_are_stored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    # Encrypted: what is stored anew would look otherwise, and must be found again all the same.
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEY", new_key("today"))
    monkeypatch.setattr("timeline.engine.frozen.FREEZE_AT", 0)
    monkeypatch.setattr("timeline.engine.frozen.TIMES", 1)
    directory, file, rows = tmp_path / "store", tmp_path / "many.jsonl", many(6, 60)
    cirr = spec(fragments=policy)
    nodes = [f"{cirr.source_id}.{f.root.operator.name}.{f.digest}.0" for f in cirr.fragments]

    def files() -> dict[str, int]:
        found = [p for p in directory.glob("*/*/*") if "timeline-registry" not in str(p)]
        return {str(p.relative_to(directory)): p.stat().st_mtime_ns for p in found}

    async with make_server(tmp_path / "dev.db", options=OFTEN) as server:
        client = await connect_embedded(server.address)
        timelines = Client(client)
        seen: dict[str, int] = {}
        for part in range(3):  # each by another worker
            async with working(client, directory) as store:
                assert store is not None
                if not part:
                    await timelines.registry.register(cirr)
                for end in range(120 * part + 30, 120 * part + 121, 30):
                    await feed_files(timelines, cirr, [write(file, rows[:end])])
                    for name, written in files().items():
                        assert seen.setdefault(name, written) == written
                assert (await compare(timelines, cirr)).differences == []
        carried = [await started_with(client, node) for node in nodes]
        older = [name for run, names in carried for name in names if run not in name]
        assert len(older) >= len(nodes), "what earlier runs froze is referred to, not written again"
        assert max(len(names) for _, names in carried) > 1
        await forget_closed_runs_of(client, nodes)
        async with working(client, directory) as store:
            assert store is not None
            await sweep(client, store, min_age=0)
            assert files().keys() == {name for _, names in carried for name in names}
        async with working(client, directory):
            assert (await compare(timelines, cirr)).differences == []

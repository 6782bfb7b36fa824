"""Every policy of who lives with whom, on the real server: the same answers, from fewer workflows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from feeder.files.feed import feed_files
from tests.support.graphs import POLICIES
from tests.support.timelines import assert_exact, many, spec, write
from timeline.fragments import Policy
from timeline.spec.spec import Spec
from timeline.spec.tables import Source
from workflows.client import Client
from workflows.names import fragment_id, node_id

WORKFLOWS = {
    "node": ["has_existed", "has_existed_within", "latest_event_to_state", "equal", "duration_where"],
    "operator": ["has_existed", "has_existed_within", "latest_event_to_state", "equal", "duration_where"],
    "stream": ["duration_where"],
}


@pytest.mark.parametrize("policy", POLICIES)
async def test_the_same_answers(timelines: Client, tmp_path: Path, policy: Policy) -> None:
    cirr = spec(fragments=policy, shards=2)
    await timelines.registry.register(cirr)
    users = await timelines.registry.users()
    mine = sorted(w for w, names in users.items() if cirr.name in names)
    assert mine == sorted(fragment_id(cirr, f, s) for f in cirr.fragments for s in range(2))
    types = [f.root.operator.name for f in cirr.fragments if f.root.operator.name not in ("not", "and")]
    assert types == WORKFLOWS[policy]
    for end in (100, 250, 400):
        report = await feed_files(timelines, cirr, [write(tmp_path / "many.jsonl", many(20, 20)[:end])])
    assert report.accepted == 150
    await assert_exact(timelines, cirr, 20)
    # Every node is there to be asked, whatever hosts it.
    told = await timelines.nodes.of_timeline(cirr)
    assert [node.text for node, _, _ in told] == 2 * [node.text for node in cirr.plan.nodes]
    assert {s["expression"] for _, _, s in told} == {node.text for node in cirr.plan.nodes}
    assert {(s["accepted"] + s["refused"] > 0) for n, _, s in told if n.leaf} == {True}
    assert len(await timelines.registry.remove(cirr.name)) == len(mine)


async def test_timelines_of_one_policy_share(timelines: Client, tmp_path: Path) -> None:
    label = f"shared-{tmp_path.name.replace('_', '-').lower()[:40]}"
    source = Source(name=label, key="session")
    play = 'has_existed(playerStateChange == "play")'

    def named(name: str, expression: str) -> Spec:
        return Spec(name=f"{label}-{name}", expression=expression, source=source)

    one, other = named("a", f"duration_where(!{play})"), named("b", f"count_rises(!{play})")
    await timelines.registry.register(one)
    await feed_files(timelines, one, [write(tmp_path / "a.jsonl", many(5, 10))])
    await timelines.registry.register(other)
    await feed_files(timelines, other, [])
    users = (await timelines.registry.users()).items()
    shared = {w for w, names in users if {one.name, other.name} <= set(names)}
    assert shared == {node_id(one, one.plan.leaves[0], 0)}
    await assert_exact(timelines, one, 5)
    await assert_exact(timelines, other, 5)


@pytest.mark.parametrize("policy", POLICIES)
async def test_outputs_and_a_sink_of_nodes_that_live_inside(
    timelines: Client, tmp_path: Path, policy: Policy
) -> None:
    outputs = {
        "buffering": "latest_event_to_state(playerStateChange) == 'buffer'",
        "steady": "!@buffering",
        "seconds": "duration_where(@buffering)",
    }
    wanted = Spec.from_wire(
        {
            "name": f"inside-{policy}",
            "outputs": outputs,
            "source": {"key": "session"},
            "limits": {"allowed_lateness": 0},
            "run": {"fragments": policy},
            "sink": {"folder": str(tmp_path / "rows"), "on": "change"},
        }
    )
    await timelines.registry.register(wanted)
    rows = [("s", 1000, "play"), ("s", 2000, "buffer"), ("s", 5000, "play"), ("s", 9000, "seek")]
    await feed_files(timelines, wanted, [write(tmp_path / "events.jsonl", list(rows))])
    [answer] = await timelines.questions.values(wanted, wanted.plan.result, [("s", 4000)])
    assert answer.value == {"buffering": True, "steady": False, "seconds": 2}
    await assert_exact(timelines, wanted, 1)
    [file] = (tmp_path / "rows").iterdir()
    written = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["time"], row["buffering"], row["steady"]) for row in written] == [
        (1000, False, True),
        (2000, True, False),
        (5000, False, True),
    ]


async def test_a_timeline_is_moved_from_policy_to_policy(timelines: Client, tmp_path: Path) -> None:
    cirr = spec()
    await timelines.registry.register(cirr)
    file = write(tmp_path / "many.jsonl", many(6, 20)[:60])
    await feed_files(timelines, cirr, [file])
    policies: list[Policy] = ["operator", "stream", "node"]
    for version, policy in enumerate(policies, 1):
        moved = cirr.by_policy(policy)
        [done] = await timelines.registry.register_all([moved], {cirr.name: version})
        assert done.stopped, "what it was made of before is gone"
        cirr = moved
        write(file, many(6, 20)[: 60 + 20 * version])
        await feed_files(timelines, cirr, [file])
        await assert_exact(timelines, cirr, 6)

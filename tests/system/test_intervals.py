"""Intervals through workflows, in every policy, are those of local evaluation."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from feeder.files.feed import feed_files
from tests.support.cli import Cli
from tests.support.graphs import POLICIES
from timeline.errors import NotFoundError, RequestError
from timeline.fragments import Policy
from timeline.local.evaluate import evaluate
from timeline.spec.spec import Spec
from timeline.tables.events import from_rows
from workflows.client import Client

OUTPUTS = {
    "cdn": "latest_event_to_state(cdn)",
    "seeking": 'has_existed_within(state == "seek", 5s)',
    "buffered": 'duration_where(latest_event_to_state(state) == "buffer" && !@seeking)',
}
ROWS: list[tuple[str, int, dict[str, Any]]] = [
    (f"s{t % 7}", t * 1_000, {"state": ("play", "buffer", "seek")[t * 5 % 3], "cdn": f"C{t // 11 % 2}"})
    for t in range(1, 80)
] + [("s1", 300_000, {"state": "seek", "cdn": "C9"})]


def spec(policy: Policy, **limits: Any) -> Spec:
    return Spec.from_wire(
        {
            "name": f"intervals-{uuid.uuid4().hex[:6]}",
            "outputs": OUTPUTS,
            "limits": {"shards": 2, "allowed_lateness": "10s", **limits},
            "run": {"fragments": policy},
        }
    )


async def fed(timelines: Client, wanted: Spec, folder: Path) -> None:
    path = folder / "e.jsonl"
    path.write_text("".join(json.dumps({"key": k, "time": t, **c}) + "\n" for k, t, c in ROWS))
    await timelines.register(wanted)
    await feed_files(timelines, wanted, [path])


@pytest.mark.parametrize("policy", POLICIES)
async def test_every_policy_has_those_of_local_evaluation(
    timelines: Client, tmp_path: Path, policy: Policy
) -> None:
    wanted = spec(policy)
    await fed(timelines, wanted, tmp_path)
    local = evaluate(wanted.plan, from_rows(ROWS), wanted.node_limits)
    for node in ("cdn", "seeking", '!has_existed_within(state == "seek", 5s)'):
        for start, end in ((None, None), ("20s", "1m")):
            got = await timelines.intervals(wanted.name, node=node, start=start, end=end)
            want = local.intervals(wanted.plan.find(node), start=start, end=end)
            assert list(got) == list(want)
            assert got.to_arrow() == want.to_arrow()
    one = await timelines.intervals(wanted.name, ["s3", "s1"], node="cdn")
    assert [i.key for i in one] == sorted((i.key for i in one), reverse=True)
    with pytest.raises(NotFoundError, match="no events of key 's8'; it has heard of 7 keys"):
        await timelines.intervals(wanted.name, "s8", node="cdn")
    with pytest.raises(RequestError, match="has 3 outputs; name one as the node: cdn, seeking"):
        await timelines.intervals(wanted.name)
    await timelines.remove(wanted.name)


async def test_of_lives(timelines: Client, tmp_path: Path) -> None:
    wanted = spec("operator", key_ttl="30s", shards=1)
    await fed(timelines, wanted, tmp_path)
    local = evaluate(wanted.plan, from_rows(ROWS), wanted.node_limits)
    got = await timelines.intervals(wanted.name, node="cdn")
    assert list(got) == list(local.intervals(wanted.plan.outputs["cdn"]))
    of_s1 = [(i.value, i.begin, i.end, i.open) for i in got if i.key == "s1"]
    assert of_s1[-2:] == [("C1", 78_000, 108_000, False), ("C9", 300_000, 300_000, True)]
    await timelines.remove(wanted.name)


async def test_the_command_line(cli: Cli, timelines: Client) -> None:
    wanted = spec("stream")
    await fed(timelines, wanted, cli.folder)

    async def good(*words: str) -> str:
        return await asyncio.to_thread(cli.good, "intervals", wanted.name, *words)

    one, every = await asyncio.gather(
        good("s1", "--node", "cdn", "--from", "70s", "--to", "200s"),
        good("--all", "--node", "seeking", "--format", "jsonl"),
    )
    assert [line.split() for line in one.splitlines()] == [
        ["key", "value", "from", "to", "seconds", "open"],
        ["s1", "C1", "70000", "71000", "1", "false"],
        ["s1", "C0", "71000", "78000", "7", "false"],
        ["s1", "C1", "78000", "200000", "122", "true"],
    ]
    local = evaluate(wanted.plan, from_rows(ROWS), wanted.node_limits)
    rows = [json.loads(line) for line in every.splitlines()]
    assert rows == [i.row() for i in local.intervals(wanted.plan.outputs["seeking"])]
    wrong = {
        "": "give a KEY, or --all for those of all keys, got neither",
        "s1 --all": "got 's1' and --all",
        "s1 --format lanes": "'lanes' is not one of 'table'",
        "s1 --node buffered": "which changes all the time",
        "s9 --node cdn": "no events of key 's9'",
    }
    for words, message in wrong.items():
        assert message in await asyncio.to_thread(cli.bad, "intervals", wanted.name, *words.split())
    await timelines.remove(wanted.name)

"""Timelines are changed, paused and resumed while events flow, and no answer is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from tests.support.cli import Cli
from tests.support.servers import Server
from timeline.errors import NotFoundError, PausedError, TimelineError
from timeline.spec.changes import changes
from timeline.spec.spec import Spec
from workflows.client import Client

STATES = ("play", "buffer", "seek", "pause")
BUFFERING = 'latest_event_to_state(state) == "buffer"'


def spec(name: str, expression: str, **more: object) -> Spec:
    return Spec.from_wire({"name": name, "expression": expression, **more})


def write(path: Path, first: int, count: int) -> Path:
    rows = (
        {"key": f"k{i % 7}", "time": i * 500, "state": STATES[i * 7 % 11 % 4]}
        for i in range(first, first + count)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


async def exact(timelines: Client, wanted: Spec) -> int:
    """How many timelines are as local evaluation has them; all must be."""
    comparison = await compare(timelines, wanted)
    assert not comparison.differences
    return comparison.timelines


async def running(timelines: Client, wanted: Spec) -> set[str]:
    return {node for node in await timelines.registry.users() if node.startswith(f"{wanted.source_id}.")}


@pytest.mark.real_server
async def test_a_changed_spec_goes_on_where_its_nodes_stand(timelines: Client, tmp_path: Path) -> None:
    before = spec("changed", f"duration_where({BUFFERING})")
    after = spec("changed", f"count_rises({BUFFERING})", description="how often")
    await timelines.registry.register(before)
    early, late = write(tmp_path / "early.jsonl", 0, 300), write(tmp_path / "late.jsonl", 300, 300)
    await feed_files(timelines, before, [early])
    with pytest.raises(TimelineError, match=r"another spec \(v1\)"):
        await timelines.registry.register_all([after])
    with pytest.raises(TimelineError, match="was v7 when you looked and is v1 now; look again"):
        await timelines.registry.register_all([after], {"changed": 7})
    shown = changes(before, after)
    assert (len(shown.stays), len(shown.new), len(shown.goes), shown.anew) == (2, 1, 1, False)
    assert shown.settings == (("description", "", "how often"),)
    [done] = await timelines.registry.register_all([after], {"changed": 1})
    assert (done.version, done.new, done.replaced, len(done.stopped)) == (2, True, 1, 1)
    assert await timelines.registry.spec("changed") == after
    assert [v["number"] for v in await timelines.registry.versions("changed")] == [1, 2]
    assert len(await running(timelines, after)) == 3
    report = await feed_files(timelines, after, [late])
    assert (report.accepted, report.refused) == (300, 0)
    assert await exact(timelines, after) == 7 * 3
    # The same once more is nothing new.
    [done] = await timelines.registry.register_all([after])
    assert (done.version, done.new, done.stopped) == (2, False, ())
    await timelines.registry.remove("changed")
    assert not await running(timelines, after)
    with pytest.raises(NotFoundError):
        await timelines.registry.versions("changed")


async def test_other_limits_begin_anew(timelines: Client, tmp_path: Path) -> None:
    before = spec("anew", BUFFERING)
    after = spec("anew", BUFFERING, limits={"shards": 2})
    assert changes(before, after).anew
    file = write(tmp_path / "events.jsonl", 0, 200)
    await timelines.registry.register(before)
    await feed_files(timelines, before, [file])
    [done] = await timelines.registry.register_all([after], {"anew": 1})
    assert len(done.stopped) == 2
    assert not await running(timelines, before)
    report = await feed_files(timelines, after, [file])
    assert report.accepted == 200
    assert await exact(timelines, after) == 7 * 2
    await timelines.registry.remove("anew")


async def test_a_change_while_events_are_fed(timelines: Client, tmp_path: Path) -> None:
    """Back and forth, with another timeline on the same source; in the end all is exact."""
    source = {"name": "busy"}
    one = spec("busy-one", f"duration_where({BUFFERING})", source=source)
    other = spec("busy-one", f"count_rises({BUFFERING})", source=source)
    steady = spec("busy-two", f'duration_where({BUFFERING} && has_existed(state == "seek"))', source=source)
    await timelines.registry.register_all([one, steady])
    for round_ in range(6):
        file = write(tmp_path / f"{round_}.jsonl", round_ * 400, 400)
        feeding = asyncio.create_task(feed_files(timelines, steady, [file]))
        await timelines.registry.register_all([other if round_ % 2 == 0 else one], {"busy-one": round_ + 1})
        try:
            await feeding
        except TimelineError as error:
            # The node that it waited for was stopped: it says so, and the next feed goes on.
            assert "feed it again" in str(error)  # noqa: PT017
    await feed_files(timelines, steady, [])
    assert await exact(timelines, steady) == 7 * 5
    assert await exact(timelines, one) == 7 * 3
    assert (await timelines.registry.standings())["busy-one"]["version"] == 7
    for name in ("busy-one", "busy-two"):
        await timelines.registry.remove(name)
    assert not await running(timelines, one)


@pytest.mark.real_server
async def test_paused(timelines: Client, tmp_path: Path) -> None:
    wanted = spec("resting", f"duration_where({BUFFERING})")
    early, late = write(tmp_path / "early.jsonl", 0, 100), write(tmp_path / "late.jsonl", 100, 100)
    await timelines.registry.register(wanted)
    await feed_files(timelines, wanted, [early])
    assert await timelines.registry.pause("resting")
    assert not await timelines.registry.pause("resting")
    with pytest.raises(PausedError, match="is paused and takes no events; `timeline resume resting` first"):
        await feed_files(timelines, wanted, [late])
    assert await exact(timelines, wanted) == 7 * 3
    assert await timelines.registry.paused() == {"resting"}
    # Being changed does not wake it.
    [done] = await timelines.registry.register_all(
        [spec("resting", f"count_rises({BUFFERING})")], {"resting": 1}
    )
    assert done.version == 2
    assert await timelines.registry.paused() == {"resting"}
    assert await timelines.registry.resume("resting")
    assert not await timelines.registry.resume("resting")
    assert (await feed_files(timelines, done.spec, [late])).accepted == 100
    assert await exact(timelines, done.spec) == 7 * 3
    await timelines.registry.remove("resting")


@pytest.mark.real_server
async def test_all_or_none(timelines: Client) -> None:
    taken = spec("taken", BUFFERING)
    await timelines.registry.register(taken)
    new = [spec(f"new-{i}", BUFFERING) for i in range(3)]
    with pytest.raises(TimelineError, match="another spec"):
        await timelines.registry.register_all([*new, spec("taken", f"!({BUFFERING})")])
    with pytest.raises(TimelineError, match="two specs are called 'new-1'"):
        await timelines.registry.register_all([*new, new[1]])
    assert "new-0" not in await timelines.registry.specs()
    await timelines.registry.remove("taken")


# --- the command line ------------------------------------------------------------------------------


@pytest.fixture
def cli(server: Server, timelines: Client, tmp_path: Path) -> Cli:
    return Cli(server.address, tmp_path)


def spec_file(folder: Path, name: str, expression: str, more: Sequence[str] = ()) -> Path:
    path = folder / f"{name}.toml"
    path.write_text("\n".join([f"name = '{name}'", f"expression = '{expression}'", *more]) + "\n")
    return path


async def test_commands(cli: Cli, tmp_path: Path) -> None:
    async def good(*arguments: str | Path) -> str:
        return await asyncio.to_thread(cli.good, *arguments)

    async def bad(*arguments: str | Path) -> str:
        return await asyncio.to_thread(cli.bad, *arguments)

    path = spec_file(tmp_path, "shown", f"duration_where({BUFFERING})")
    assert "registered shown: 3 nodes on 1 stream\n" in await good("register", path)
    spec_file(tmp_path, "shown", f"count_rises({BUFFERING})", ["description = 'how often'"])
    done = await asyncio.to_thread(cli.run, "register", path)
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "shown changes:",
        "  description:  -> how often",
        "  stays  latest_event_to_state(state)",
        f"  stays  {BUFFERING}",
        f"  new    count_rises({BUFFERING})",
        f"  goes   duration_where({BUFFERING})",
    ]
    assert "'shown' is registered with another spec; --yes changes it" in done.stderr
    out = await good("register", path, "--yes")
    assert "changed to v2: shown: 3 nodes" in out
    assert "stopped: 1 workflows that nobody uses any more" in out
    assert await good("pause", "shown") == "shown is paused\n"
    assert await good("pause", "shown") == "shown was paused already\n"
    assert "v2 paused" in await good("list")
    assert (await good("describe", "shown")).startswith("shown  v2 (paused)  how often\n")
    events = write(tmp_path / "events.jsonl", 0, 10)
    assert "timeline 'shown' is paused" in await bad("feed", "shown", events)
    assert await good("resume", "shown") == "shown is running\n"
    versions = (await good("describe", "shown", "--versions")).splitlines()
    assert versions[0].startswith("v1  20")
    assert versions[0].endswith(f"UTC  duration_where({BUFFERING})")
    assert versions[2] == "    description:  -> how often"
    rows = [
        json.loads(line) for line in (await good("describe", "shown", "--versions", "--json")).splitlines()
    ]
    assert [row["number"] for row in rows] == [1, 2]
    moved = (await good("register", path, "--yes", "--fragments", "stream")).splitlines()
    assert moved[:5] == [
        "shown changes:",
        "  run.fragments: operator -> stream",
        "  stays  latest_event_to_state(state)",
        f"  stays  {BUFFERING}",
        f"  stays  count_rises({BUFFERING})",
    ]
    assert "they get all that is known, and nothing is read again" in moved[5]
    assert "changed to v3: shown: 3 nodes" in moved[6]
    assert "did you mean 'shown'?" in await bad("pause", "showm")
    await good("remove", "shown")


async def test_what_is_shared_is_shown(cli: Cli, tmp_path: Path) -> None:
    async def good(*arguments: str | Path) -> str:
        return await asyncio.to_thread(cli.good, *arguments)

    source = ["[source]", "name = 'common'", "[limits]", "shards = 2"]
    one = spec_file(tmp_path, "share-one", f"duration_where({BUFFERING})", source)
    two = spec_file(tmp_path, "share-two", f"count_rises({BUFFERING})", source)
    await good("register", one)
    shown = (await good("explain", two, "--shared")).splitlines()
    assert [line.endswith("shared with share-one") for line in shown[:3]] == [False, True, True]
    assert shown[-1] == "2 of 3 run already for other timelines"
    used = json.loads(await good("explain", two, "--shared", "--json"))["nodes"]
    assert [node["used_by"] for node in used] == [["share-one"], ["share-one"], []]
    await good("register", two)
    rows = [json.loads(line) for line in (await good("list", "--nodes", "--json")).splitlines()]
    mine = [row for row in rows if row["source"].startswith("common.")]
    assert [(row["streams"], row["users"]) for row in mine] == [
        (2, ["share-one", "share-two"]),
        (2, ["share-one", "share-two"]),
        (2, ["share-two"]),
        (2, ["share-one"]),
    ]
    assert "share-one, share-two" in await good("list", "--nodes")
    bad = await asyncio.to_thread(cli.bad, "explain", "-e", BUFFERING, "--shared")
    assert "--shared needs a spec" in bad
    await good("remove", "share-one")
    await good("remove", "share-two")


async def test_a_folder_of_a_hundred(cli: Cli, timelines: Client, tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    assert "no specs (*.toml) in the folder" in await asyncio.to_thread(cli.bad, "register", folder)
    for i in range(100):
        expression = f'has_existed_within(state == "seek", {i + 1}s)'
        spec_file(folder, f"many-{i:03}", expression, ["[source]", "name = 'many'"])
    out = (await asyncio.to_thread(cli.good, "register", folder)).splitlines()
    assert out[0] == "registered many-000: 1 nodes"
    assert out[-1] == "100 timelines, 100 of them new or changed"
    again = (await asyncio.to_thread(cli.good, "register", folder)).splitlines()
    assert again[-1] == "100 timelines, 0 of them new or changed"
    names = [f"many-{i:03}" for i in range(100)]
    assert set(names) <= (await timelines.registry.specs()).keys()
    for name in names:
        await timelines.registry.remove(name)

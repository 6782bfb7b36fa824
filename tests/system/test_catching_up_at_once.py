"""A timeline that comes over running ones answers with all that they had, or says that it cannot yet."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from feeder.files.feed import feed_files
from tests.support.cli import Cli
from timeline.errors import NotCaughtUpError
from timeline.spec.spec import Spec
from workflows.client import Client

EVENTS, KEYS = 100_000, 5_000
EACH = EVENTS // KEYS
STATES = ("play", "buffer", "seek", "buffer")
#: Every key rises to ``buffer`` with every other event.
RISES = EACH // 2
BUFFERING = 'latest_event_to_state(state) == "buffer"'
#: Its leaf is one that nobody else has.
NEW_LEAF = 'count(state == "seek")'
SEEKS = EACH // 4


def write(path: Path, events: int = EVENTS, keys: int = KEYS) -> Path:
    rows = (
        {"key": f"k{i % keys}", "time": i // keys * 1_000, "state": STATES[i // keys % 4]}
        for i in range(events)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def above(number: int) -> str:
    """``RISES + number``: a result, and nodes below it, that nobody else has, over the leaf that runs."""
    never = f"duration_where({BUFFERING}) > {1_000_000 + number}"
    return f"count_rises({BUFFERING} || {never}) + {number}"


def spec(source: str, name: str, expression: str, **more: Any) -> Spec:
    return Spec.from_wire(
        {"name": f"{source}-{name}", "expression": expression, "source": {"name": source}, **more}
    )


@pytest.fixture
async def source(timelines: Client) -> AsyncIterator[str]:
    """The name of a new source, of which no timeline is left in the end."""
    name = f"s-{uuid.uuid4().hex[:8]}"
    yield name
    for timeline in await timelines.registry.specs():
        if timeline.startswith(name):
            await timelines.registry.remove(timeline)


@pytest.fixture
async def fed(timelines: Client, source: str, tmp_path: Path) -> Spec:
    """A timeline that has had 100 000 events."""
    first = spec(source, "first", f"duration_where({BUFFERING})")
    await timelines.registry.register(first)
    await feed_files(timelines, first, [write(tmp_path / "events.jsonl")])
    return first


async def total(timelines: Client, name: str) -> list[dict[str, Any]]:
    return (await timelines.aggregate(name, "count, sum(value)")).rows


def all_have(value: int, keys: int = KEYS) -> list[dict[str, Any]]:
    return [{"count": keys, "sum(value)": keys * value}]


async def test_once_registered_it_has_the_whole_answer(timelines: Client, source: str, fed: Spec) -> None:
    for number in range(5):
        one = await timelines.register(spec(source, f"one-{number}", above(number)))
        assert await total(timelines, one.name) == all_have(RISES + number)


async def test_once_changed_it_has_the_whole_answer(timelines: Client, source: str, fed: Spec) -> None:
    for number in range(5):
        [one] = await timelines.register_all([spec(source, "one", above(number))], replace=True)
        assert (one.version, one.not_caught_up) == (number + 1, None)
        assert await total(timelines, one.spec.name) == all_have(RISES + number)


async def test_who_does_not_wait_is_refused_or_has_the_whole_answer(
    timelines: Client, source: str, fed: Spec
) -> None:
    for number in range(5):
        one = spec(source, f"one-{number % 3}", above(number))  # the last two are changed ones
        registering = asyncio.create_task(timelines.register(one, replace=True, wait=False))
        answers = 0
        while answers < 3:
            await asyncio.sleep(0)
            if not registering.done():
                continue
            try:
                rows = await total(timelines, one.name)
            except NotCaughtUpError as error:
                assert "its nodes are at work on that; ask again soon" in str(error)  # noqa: PT017
                continue
            assert rows == all_have(RISES + number)
            answers += 1
        await registering


def questions(timelines: Client, wanted: Spec) -> list[Callable[[], Awaitable[object]]]:
    """Every way to ask."""
    asked, result = timelines.questions, wanted.plan.result
    return [
        lambda: asked.values(wanted, result, [("k1", None)]),
        lambda: asked.values(wanted, wanted.plan.leaves[0], [("k1", None)]),
        lambda: total(timelines, wanted.name),
        lambda: timelines.aggregate(wanted.name, "count", every="5s"),
        lambda: asked.look(wanted),
        lambda: asked.keys(wanted),
        lambda: asked.timelines(wanted, result, ["k1"]),
        lambda: asked.lives(wanted, result, ["k1"]),
        lambda: anext(timelines.watch(wanted.name)),
    ]


async def test_new_leaves_over_files_must_be_fed(timelines: Client, source: str, tmp_path: Path) -> None:
    """All questions are refused, also after a move to other workflows, until the files were fed again."""
    first = spec(source, "first", f"duration_where({BUFFERING})", limits={"shards": 2})
    await timelines.registry.register(first)
    file = write(tmp_path / "events.jsonl", 400, 20)
    await feed_files(timelines, first, [file])
    later = spec(source, "later", NEW_LEAF, limits={"shards": 2})
    told = (
        f"timeline '{later.name}' is not caught up on streams 0, 1: it is at the beginning on stream 0, and "
        "its source was at 1.400 when it was registered; new leaves read all files again: feed one of them "
        f"again (`timeline feed {later.name} FILE`)"
    )
    [registered] = await timelines.register_all([later])
    assert str(registered.not_caught_up) == told
    for wanted in (later, later.by_policy("stream")):
        [registered] = await timelines.register_all([wanted], replace=True)
        assert str(registered.not_caught_up) == told
        for ask in questions(timelines, wanted):
            with pytest.raises(NotCaughtUpError) as refused:
                await ask()
            assert str(refused.value) == told
        # What is not a question about keys is answered all the same.
        status = await timelines.nodes.of_timeline(wanted)
        assert {one["position"] is None for _, _, one in status} == {True}
    assert await total(timelines, first.name) == all_have(9, 20)
    await timelines.registry.pause(later.name)
    [registered] = await timelines.register_all([wanted])
    assert f"it is paused and gets no events: `timeline resume {later.name}`" in str(registered.not_caught_up)
    await timelines.registry.resume(later.name)
    await feed_files(timelines, wanted, [file])
    assert await total(timelines, later.name) == all_have(SEEKS, 20)
    for ask in questions(timelines, wanted):
        await ask()


async def test_other_limits_are_fed_the_files_again(timelines: Client, source: str, tmp_path: Path) -> None:
    """The nodes are all new, and the log of files is the one of before: they must reach its end."""
    file = write(tmp_path / "events.jsonl", 400, 20)
    before = spec(source, "one", NEW_LEAF)
    after = spec(source, "one", NEW_LEAF, limits={"shards": 3})
    await timelines.register(before)
    await feed_files(timelines, before, [file])
    [changed] = await timelines.register_all([after], replace=True)
    assert "on streams 0, 1, 2: it is at the beginning on stream 0" in str(changed.not_caught_up)
    with pytest.raises(NotCaughtUpError, match="feed one of them again"):
        await total(timelines, after.name)
    await feed_files(timelines, after, [file])
    assert await total(timelines, after.name) == all_have(SEEKS, 20)


async def test_without_events_nothing_is_to_be_caught_up(timelines: Client, source: str) -> None:
    for name, expression in (("first", above(0)), ("second", above(1))):
        [one] = await timelines.register_all([spec(source, name, expression)])
        assert one.not_caught_up is None
        assert (await timelines.aggregate(one.spec.name, "count")).rows == [{"count": 0}]


async def test_commands(cli: Cli, timelines: Client, source: str, fed: Spec, tmp_path: Path) -> None:
    async def run(*arguments: str | Path) -> tuple[int, str, str]:
        done = await asyncio.to_thread(cli.run, *arguments)
        return done.returncode, done.stdout, done.stderr

    def file(expression: str) -> Path:
        path = tmp_path / "one.toml"
        lines = [f"name = '{source}-one'", f"expression = '{expression}'", f"source.name = '{source}'"]
        path.write_text("\n".join([*lines, "run.fragments = 'node'"]))
        return path

    name = f"{source}-one"
    value = ("query", name, "k7", "--json")
    code, _, err = await run("register", file(above(1)))
    assert (code, err) == (0, "")
    code, out, _ = await run(*value)
    assert (code, json.loads(out)["value"]) == (0, RISES + 1)
    # Changed to what has a leaf of its own, which only a feed brings up: that is told, and not waited for.
    code, out, err = await run("register", file(NEW_LEAF), "--yes")
    told = f"timeline '{name}' is not caught up on stream 0: it is at the beginning, and its source was at 1."
    assert (code, "changed to v2" in out) == (0, True)
    assert err.startswith(f"note: {told}{EVENTS} when it was registered; new leaves read all files again")
    for question in (value, ("query", name, "--all"), ("show", name, "k7"), ("watch", name, "--once")):
        code, out, err = await run(*question)
        assert (code, out) == (1, "")
        assert err.startswith(f"error: {told}")
    assert (await run("describe", name))[0] == 0
    _, out, _ = await run("register", file(NEW_LEAF), "--json")
    assert json.loads(out)["caught_up"] is False
    _, out, err = await run("register", file(NEW_LEAF), "--json", "--no-wait")
    assert ("caught_up" in json.loads(out), err) == (False, "")
    assert (await run("feed", name, tmp_path / "events.jsonl"))[0] == 0
    code, out, _ = await run(*value)
    assert (code, json.loads(out)["value"]) == (0, SEEKS)
    _, out, err = await run("register", file(NEW_LEAF), "--json")
    assert (json.loads(out)["caught_up"], err) == (True, "")
    code, _, err = await run("register", file(NEW_LEAF), "--feeder-patience", "0")
    assert (code, "--feeder-patience needs a duration" in err) == (2, True)


async def test_who_waits_is_told(timelines: Client, source: str, tmp_path: Path) -> None:
    """Who waits is told how many streams are behind, for as long as some are."""
    first = spec(source, "first", f"duration_where({BUFFERING})")
    await timelines.registry.register(first)
    await feed_files(timelines, first, [write(tmp_path / "events.jsonl", 400, 20)])
    later = spec(source, "later", above(3))
    await timelines.registry.register(later)
    behind: list[int] = []
    assert await timelines.catching_up.wait([first, later], behind.append) == {}
    assert set(behind) <= {1}
    assert await timelines.catching_up.behind([first, later]) == []
    assert await total(timelines, later.name) == all_have(RISES + 3, 20)
    # There is nothing to wait for where a timeline was removed meanwhile.
    gone = spec(source, "gone", NEW_LEAF)
    await timelines.registry.register(gone)
    assert [(one.stream, one.position) for one in await timelines.catching_up.behind([gone])] == [(0, None)]
    await timelines.registry.remove(gone.name)
    assert await timelines.catching_up.wait([gone]) == {}

"""What is likely to be a mistake is told by `register`, `feed`, `describe` and the feeder of topics."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from tests.support.cli import Cli
from tests.support.waiting import eventually
from tests.system.test_topics import Topic, event, topic, topic_spec
from workflows.client import Client

__all__ = ["topic"]

EVENTS = (
    '{"key":"a","time":1000,"location":"FRA","delay":5}\n{"key":"a","time":2000,"location":"JFK","delay":7}\n'
)
TOLD = (
    "line 1, column 7: no event carries the column lokation (2 events looked at); did you mean location?",
    'line 1, column 49: delay == "5" is never true: delay is a number, never a string (2 events looked at); '
    "did you mean 5, without quotes?",
)
EXPRESSION = 'count(lokation == "JFK") + duration_where(count(delay == "5") > 0)'


@pytest.fixture
def cli_with_files(cli: Cli) -> Cli:
    """A spec whose file is there, one whose file is not, and one without any."""
    (cli.folder / "flights.jsonl").write_text(EVENTS)
    for name, files in (("told-file", "flights.jsonl"), ("told-gone", "gone.jsonl"), ("told-none", "")):
        text = f"name = '{name}'\nexpression = '''{EXPRESSION}'''\n[source]\n"
        (cli.folder / f"{name}.toml").write_text(text + (f"files = ['{files}']\n" if files else ""))
    return cli


async def test_register_feed_and_describe(cli_with_files: Cli) -> None:
    cli = cli_with_files

    async def run(*arguments: str) -> tuple[int, str, list[str]]:
        done = await asyncio.to_thread(cli.run, *arguments)
        return done.returncode, done.stdout, done.stderr.splitlines()

    warnings = [f"warning: told-file: {told}" for told in TOLD]
    code, out, err = await run("register", "told-file.toml", "--strict")
    message = "error: 2 warnings, and --strict was given; nothing was registered"
    assert (code, out, err) == (2, "", [*warnings, message])
    assert "told-file" not in (await run("list", "--json"))[1]
    code, out, err = await run("register", "told-file.toml", "--json")
    assert (code, err) == (0, warnings)
    as_json = json.loads(out)["warnings"]
    assert [one["kind"] for one in as_json] == ["column", "type"]
    assert [f"{one['place']}: {one['text']}; did you mean {one['suggestion']}?" for one in as_json] == [*TOLD]
    assert json.loads((await run("describe", "told-file", "--json"))[1])["warnings"] == as_json
    described = (await run("describe", "told-file"))[1].splitlines()
    assert [line for line in described if line.startswith("warning")] == [f"warning: {told}" for told in TOLD]

    for name in ("told-gone", "told-none"):
        code, out, err = await run("register", f"{name}.toml", "--strict", "--json")
        assert (code, json.loads(out)["warnings"], err) == (0, [], [])
    warnings = [f"warning: {told}" for told in TOLD]
    code, out, err = await run("feed", "told-none", "flights.jsonl", "--strict")
    assert (code, out, err) == (2, "", [*warnings, message.replace("registered", "fed")])
    code, out, err = await run("feed", "told-none", "flights.jsonl", "--json")
    assert (code, err) == (0, warnings)
    fed = json.loads(out)
    assert (fed["accepted"], fed["warnings"]) == (2, as_json)
    # What was fed is noted with the timeline, until it is another.
    assert json.loads((await run("describe", "told-none", "--json"))[1])["warnings"] == as_json
    described = (await run("describe", "told-none"))[1].splitlines()
    assert [line for line in described if line.startswith("warning")] == [f"warning: {told}" for told in TOLD]
    spec = (cli.folder / "told-none.toml").read_text()
    (cli.folder / "told-none.toml").write_text(spec.replace("lokation", "location").replace('"5"', "5"))
    await run("register", "told-none.toml", "--yes")
    assert json.loads((await run("describe", "told-none", "--json"))[1])["warnings"] == []
    for name in ("told-file", "told-gone", "told-none"):
        await run("remove", name)


async def test_what_a_later_file_makes_good_is_told_no_more(cli: Cli, timelines: Client) -> None:
    (cli.folder / "flights.jsonl").write_text(EVENTS)
    (cli.folder / "more.jsonl").write_text('{"key":"a","time":3000,"diverted":true}\n')
    (cli.folder / "later.toml").write_text(
        "name = 'told-later-file'\nexpression = 'count(diverted == true)'\n"
    )
    for arguments in (("register", "later.toml"), ("feed", "told-later-file", "flights.jsonl")):
        await asyncio.to_thread(cli.good, *arguments)
    [mistake] = await timelines.registry.warnings("told-later-file")
    assert mistake.text.startswith("no event carries the column diverted")
    # Of what is another by now nothing is noted.
    spec = await timelines.registry.spec("told-later-file")
    other = spec.model_copy(update={"description": "another"})
    await timelines.registry.note_warnings(other, [])
    assert await timelines.registry.warnings("told-later-file") == [mistake]
    await asyncio.to_thread(cli.good, "feed", "told-later-file", "more.jsonl")
    assert await timelines.registry.warnings("told-later-file") == []
    # What there is no room for is left out.
    many = [replace(mistake, text=f"{number}{'x' * 1_000}") for number in range(9)]
    await timelines.registry.note_warnings(spec, many)
    assert await timelines.registry.warnings("told-later-file") == many[:3]
    # Each feeder of a topic has partitions of its own, and what it sees of them is noted apart.
    await timelines.registry.note_warnings(spec, [mistake], [0, 2])
    assert await timelines.registry.warnings("told-later-file") == [mistake]
    await timelines.registry.note_warnings(spec, [], [1])
    assert await timelines.registry.warnings("told-later-file") == []
    await timelines.registry.note_warnings(spec, [mistake], [1])
    assert await timelines.registry.warnings("told-later-file") == [mistake]
    await timelines.registry.remove("told-later-file")


async def test_what_needs_no_events_is_told_at_once(cli: Cli) -> None:
    (cli.folder / "never.toml").write_text("name = 'never'\nexpression = 'count(a == 1) < 0'\n")
    done = await asyncio.to_thread(cli.run, "register", "never.toml", "--strict")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        "warning: never: line 1, column 1: count(a == 1) < 0 is never true: count(a == 1) is never below 0; "
        "did you mean count(a == 1) == 0?"
    )


async def test_the_feeder_says_it_once(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feeder.topics.telling.ENOUGH", 4)
    good = topic_spec(topic.name, "told-good")
    bad = topic_spec(topic.name, "told-bad", 'count(stat == "play")')
    later = topic_spec(topic.name, "told-later", "count(state == play)")
    for spec in (good, bad):
        await topic.timelines.registry.register(spec)
    warned = "warning: told-bad: line 1, column 7: no event carries the column stat"

    def told() -> list[str]:
        return [text.partition(": ")[2] for text in topic.said if "warning" in text]

    async def as_many(count: int) -> None:
        async def there() -> bool:
            return len(told()) >= count

        await eventually(there)

    async with topic.fed():
        await topic.send(event(1_000, "play"), event(2_000, "stop"), event(3_000, "play"))
        assert await topic.value(good, "a", 3_000) == 1
        assert told() == []
        await topic.send(*(event(3_000 + n, "play") for n in range(8)))
        await as_many(1)
        # Registered in mid-stream, it is looked at with what it is brought up by.
        await topic.timelines.registry.register(later)
        await as_many(2)

        async def noted() -> bool:
            return all([await topic.timelines.registry.warnings(spec.name) for spec in (bad, later)])

        await eventually(noted)
        await topic.send(event(9_000, "play"))
        assert await topic.value(good, "a", 9_000) == 7
    assert [text.split(" (")[0] for text in told()] == [
        warned,
        "warning: told-later: line 1, column 16: play without quotes is a column, and no event carries it",
    ]
    noted_too = [await topic.timelines.registry.warnings(spec.name) for spec in (good, bad, later)]
    assert [f"{mistake}" for mistakes in noted_too for mistake in mistakes] == [
        text.split(": ", 2)[2] for text in told()
    ]
    assert told()[0].endswith(" events looked at); did you mean state?")
    assert told()[1].endswith(' events looked at); did you mean "play"?')

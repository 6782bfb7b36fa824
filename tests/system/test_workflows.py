"""Nodes as workflows, on the real server: exact, shared, and the same after any restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from feeder.files.feed import feed_files
from tests.support.places import CIRR, ROOT, TRACES, needs_traces
from tests.support.timelines import assert_exact, many, spec, two_on_a_topic, write
from timeline.errors import EventError, NotFoundError, TimelineError
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec
from timeline.tables.events import from_rows
from timeline.values.ticks import parse_time
from workflows.client import Client
from workflows.names import node_id

REFERENCE = [(1000, "play"), (2000, "seek"), (4000, "buffer")]


async def test_several_outputs_at_one_position(timelines: Client, tmp_path: Path) -> None:
    outputs = {
        "buffering": "@state == 'buffer'",
        "seconds": "duration_where(@buffering)",
        "state": "latest_event_to_state(playerStateChange)",
        "again": "@state",
    }
    wanted = Spec(name="several", outputs=outputs, source=spec().source)
    await timelines.registry.register(wanted)
    file = write(tmp_path / "reference.jsonl", [("s", t, v) for t, v in REFERENCE])
    await feed_files(timelines, wanted, [file])
    [answer] = await timelines.questions.values(wanted, wanted.plan.result, [("s", 6500)])
    assert answer.value == {"buffering": True, "seconds": 2.5, "state": "buffer", "again": "buffer"}
    assert answer.position == (1, 3)
    await assert_exact(timelines, wanted, 1)


async def test_reference_example(timelines: Client, tmp_path: Path) -> None:
    cirr = spec()
    await timelines.registry.register(cirr)
    file = write(tmp_path / "reference.jsonl", [("s", t, v) for t, v in REFERENCE])
    report = await feed_files(timelines, cirr, [file])
    assert (report.events, report.accepted, report.refused) == (3, 3, 0)
    asked = [("s", t * 1000) for t in (0, 1, 7, 8, 9, 10)]
    answers = await timelines.questions.values(cirr, cirr.plan.result, asked)
    assert [a.value for a in answers] == [0, 0, 0, 1, 2, 3]
    assert {a.position for a in answers} == {(1, 3)}
    await assert_exact(timelines, cirr, 1)


async def test_workflow_types_are_operators_and_summaries_are_the_dsl(timelines: Client) -> None:
    cirr = spec()
    await timelines.registry.register(cirr)
    for node in cirr.plan.nodes:
        handle = timelines.temporal.get_workflow_handle(node_id(cirr, node, 0))
        description = await handle.describe()
        assert description.workflow_type == node.operator.name
        assert await description.static_summary() == node.text[:200]


async def test_only_what_is_new_is_fed(timelines: Client, tmp_path: Path) -> None:
    cirr = spec()
    await timelines.registry.register(cirr)
    rows: list[tuple[Any, ...]] = [("s", t, v) for t, v in REFERENCE]
    file = write(tmp_path / "grows.jsonl", rows[:2])
    assert (await feed_files(timelines, cirr, [file])).accepted == 2
    assert (await feed_files(timelines, cirr, [file])).events == 0
    write(file, [*rows, ("s", 9000, "play")])
    other = write(tmp_path / "other.jsonl", [("t", 5000, "play")])
    assert (await feed_files(timelines, cirr, [other, file])).accepted == 3
    await assert_exact(timelines, cirr, 2)


async def test_streams_share_the_keys(timelines: Client, tmp_path: Path) -> None:
    cirr = spec(shards=3)
    await timelines.registry.register(cirr)
    file = write(tmp_path / "many.jsonl", many(40, 15))
    report = await feed_files(timelines, cirr, [file])
    assert report.accepted == 600
    await assert_exact(timelines, cirr, 40)
    assert await timelines.questions.keys(cirr) == sorted(f"k{i}" for i in range(40))


async def test_broken_lines_and_late_events_are_counted(timelines: Client, tmp_path: Path) -> None:
    cirr = spec(allowed_lateness="2s")
    await timelines.registry.register(cirr)
    file = write(tmp_path / "bad.jsonl", [("s", 9000, "play"), ("s", 6999, "seek"), ("s", 7000, "buffer")])
    with file.open("a") as more:
        more.write('not json\n{"session": "s"}\n')
    report = await feed_files(timelines, cirr, [file])
    assert (report.accepted, report.refused) == (2, 1)
    assert [(r.line, r.reason) for r in report.rejected] == [(4, "not JSON"), (5, "no time")]
    await assert_exact(timelines, cirr, 1)
    late, not_late = await timelines.questions.values(cirr, cirr.plan.result, [("s", 6999), ("s", 7000)])
    assert (late.final, not_late.final) == (True, False)


async def test_a_late_event_moves_the_origin_back(timelines: Client, tmp_path: Path) -> None:
    durations = spec('duration_where(!has_existed(playerStateChange == "play"))')
    await timelines.registry.register(durations)
    first = write(tmp_path / "first.jsonl", [("s", 5000, "buffer"), ("s", 9000, "play")])
    await feed_files(timelines, durations, [first])
    [answer] = await timelines.questions.values(durations, durations.plan.result, [("s", None)])
    assert (answer.at, answer.value) == (9000, 4)
    await feed_files(timelines, durations, [write(tmp_path / "late.jsonl", [("s", 1500, "seek")])])
    [answer] = await timelines.questions.values(durations, durations.plan.result, [("s", None)])
    assert (answer.at, answer.value) == (9000, 7.5)
    await assert_exact(timelines, durations, 1)


async def test_zombie_feeder_changes_nothing(timelines: Client, tmp_path: Path) -> None:
    """A second feeder that sends what was sent before, cut otherwise, is ignored."""
    cirr = spec()
    await timelines.registry.register(cirr)
    file = write(tmp_path / "many.jsonl", many(3, 20))
    await feed_files(timelines, cirr, [file])
    leaves = {node_id(cirr, node, 0): node.leaf.columns for node in cirr.plan.leaves if node.leaf}
    again = from_rows([("k0", 0, {"playerStateChange": "seek"})] * 10, (1, 1))
    await timelines.leaves.signal_events(leaves, again, (1, 7))
    await assert_exact(timelines, cirr, 3)


async def test_uneven_leaves_are_brought_up_first(timelines: Client, tmp_path: Path) -> None:
    """A feeder that died between two leaves: the next one levels them, with its own cuts."""
    cirr = spec()
    await timelines.registry.register(cirr)
    rows = many(2, 10)
    file = write(tmp_path / "many.jsonl", rows)
    one, *_ = cirr.plan.leaves
    assert one.leaf is not None
    batch = from_rows([(k, t, {"playerStateChange": s}) for k, t, s in rows[:7]], (1, 1))
    await timelines.leaves.signal_events({node_id(cirr, one, 0): one.leaf.columns}, batch, (1, 7))
    await feed_files(timelines, cirr, [file])
    await assert_exact(timelines, cirr, 2)


async def test_shared_nodes_run_once_and_stop_with_their_last_user(timelines: Client, tmp_path: Path) -> None:
    state = "latest_event_to_state(playerStateChange)"
    first, second = two_on_a_topic(
        f'duration_where({state} == "buffer")', f'duration_in_cur_state({state} == "buffer") >= 2s'
    )
    await timelines.registry.register(first)
    file = write(tmp_path / "many.jsonl", many(3, 12))
    await feed_files(timelines, first, [file])
    # Registered in mid-stream: its shared leaf knows all, so that nothing is fed twice.
    await timelines.registry.register(second)
    assert (await feed_files(timelines, second, [])).events == 0
    users = await timelines.registry.users()
    shared = [node for node, names in users.items() if names == [first.name, second.name]]
    assert sorted(node.split(".")[2] for node in shared) == ["equal", "latest_event_to_state"]
    write(file, many(3, 20))
    await feed_files(timelines, second, [file])
    await assert_exact(timelines, first, 3)
    await assert_exact(timelines, second, 3)
    assert len(await timelines.registry.remove(first.name)) == 1
    write(file, many(3, 25))
    await feed_files(timelines, second, [file])
    await assert_exact(timelines, second, 3)
    assert len(await timelines.registry.remove(second.name)) == 4
    with pytest.raises(NotFoundError):
        await timelines.registry.spec(second.name)


async def test_new_leaf_on_a_fed_source_is_brought_up(timelines: Client, tmp_path: Path) -> None:
    wanted = 'has_existed(playerStateChange == "pause") && has_existed(playerStateChange == "play")'
    first, second = two_on_a_topic(CIRR, wanted)
    await timelines.registry.register(first)
    file = write(tmp_path / "many.jsonl", many(3, 12))
    await feed_files(timelines, first, [file])
    await timelines.registry.register(second)
    await feed_files(timelines, second, [write(tmp_path / "more.jsonl", [("k1", 99_000, "seek")])])
    await assert_exact(timelines, first, 3)
    await assert_exact(timelines, second, 3)


async def test_registering_twice_and_otherwise(timelines: Client) -> None:
    cirr = spec()
    await timelines.registry.register(cirr)
    await timelines.registry.register(cirr)
    other = Spec.from_wire(cirr.to_wire() | {"expression": "latest_event_to_state(quality)"})
    with pytest.raises(
        TimelineError, match=r"registered with another spec \(v1\); .timeline register. with --yes changes it"
    ):
        await timelines.registry.register(other)
    await timelines.registry.remove(cirr.name)
    await timelines.registry.register(other)
    with pytest.raises(NotFoundError, match="no timeline 'nobody' is registered"):
        await timelines.registry.remove("nobody")


async def test_a_file_that_is_gone_is_missed_only_where_needed(timelines: Client, tmp_path: Path) -> None:
    first, second = two_on_a_topic(CIRR, "latest_event_to_state(quality)")
    await timelines.registry.register(first)
    file = write(tmp_path / "gone.jsonl", many(2, 4))
    await feed_files(timelines, first, [file])
    file.unlink()
    more = write(tmp_path / "more.jsonl", [("k0", 50_000, "play")])
    assert (await feed_files(timelines, first, [more])).accepted == 1
    await timelines.registry.register(second)
    with pytest.raises(EventError, match="was fed to this source before and is gone"):
        await feed_files(timelines, second, [])


async def test_retention_collapses_and_says_so(timelines: Client, tmp_path: Path) -> None:
    short = spec(
        'duration_where(latest_event_to_state(playerStateChange) == "buffer")',
        allowed_lateness="1s",
        retention="5s",
    )
    await timelines.registry.register(short)
    await feed_files(timelines, short, [write(tmp_path / "long.jsonl", many(1, 3000))])
    node = short.plan.result
    old, new = await timelines.questions.values(short, node, [("k0", 1000), ("k0", None)])
    assert old.error is not None
    assert "raise limits.retention" in old.error
    assert new.value == 1200
    status = await timelines.nodes.status(node_id(short, node, 0))
    assert status["rows"] < 1500
    await assert_exact(timelines, short, 1)


@needs_traces
async def test_real_sessions(timelines: Client) -> None:
    cirr = spec(shards=2)
    await timelines.registry.register(cirr)
    report = await feed_files(timelines, cirr, TRACES)
    assert (report.accepted, report.refused, report.rejected) == (6298, 0, [])
    await assert_exact(timelines, cirr, 10)
    [answer] = await timelines.questions.values(cirr, cirr.plan.result, [("movement_Apr20_exp_135", None)])
    assert answer.value == 76.6


async def test_a_file_that_does_not_fit_the_spec_leaves_no_trace(timelines: Client, tmp_path: Path) -> None:
    cirr = spec()
    await timelines.registry.register(cirr)
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"user": "a", "time": 1}\n')
    with pytest.raises(EventError, match="no column 'session'"):
        await feed_files(timelines, cirr, [wrong])
    right = write(tmp_path / "right.jsonl", many(1, 3))
    assert (await feed_files(timelines, cirr, [right])).accepted == 3
    await assert_exact(timelines, cirr, 1)


@pytest.mark.parametrize(
    ("name", "events", "keys"),
    [
        ("cirr", 3, 1),
        ("credit-card", 7, 3),
        ("left-after-rebuffering", 13, 4),
        ("logins", 6, 3),
        ("sessions-per-user", 13, 6),  # lives
    ],
)
async def test_examples(timelines: Client, name: str, events: int, keys: int) -> None:
    example = load_spec(ROOT / "examples" / f"{name}.toml")
    await timelines.registry.register(example)
    report = await feed_files(timelines, example, example.source.files)
    assert (report.accepted, report.refused, report.rejected) == (events, 0, [])
    await assert_exact(timelines, example, keys)
    await timelines.registry.remove(example.name)


async def test_credit_card_example_values(timelines: Client) -> None:
    """A card at home for hours; one that shows up overseas; one that was never seen before."""
    example = load_spec(ROOT / "examples" / "credit-card.toml")
    await timelines.registry.register(example)
    await feed_files(timelines, example, example.source.files)
    at = parse_time("2026-03-01T11:35:00Z")
    asked = [(f"4111-000{card}", at) for card in (1, 2, 3)]
    answers = await timelines.questions.values(example, example.plan.result, asked)
    assert [answer.value for answer in answers] == [False, True, True]
    await timelines.registry.remove(example.name)

"""What the feeder decides without a server: where batches end, and what of a file is new."""

from __future__ import annotations

from pathlib import Path

import pytest

from feeder.files.identity import describe_file
from feeder.files.log import FileLog
from feeder.leaves import leaves_of, results_of
from feeder.stream import BATCH_BYTES, Stream
from feeder.topics.roster import Leaf, Shard, State
from timeline.errors import EventError
from timeline.spec.spec import Spec
from timeline.tables.events import from_rows
from workflows.protocol import Segment

WIRE = {"name": "t", "expression": "latest_event_to_state(a)", "source": {"key": "k", "time": "time"}}


def stream() -> Stream:
    return Stream(None, {}, [])  # type: ignore[arg-type]


def test_long_values_divide_a_batch_only_as_far_as_needed() -> None:
    events = from_rows([(f"key {i}", i, {"a": f"{i}" * 100}) for i in range(4_000)], (1, 1))
    size = sum(len(f"{i}" * 100) + len(f"key {i}") for i in range(4_000))
    divided = stream()._divide(events.compact(), (1, 4_000))
    assert 2 <= len(divided) <= 2 * size // BATCH_BYTES + 2
    assert [end for _, end, _ in divided][-1] == (1, 4_000)
    assert sum(len(part) for part, _, _ in divided) == 4_000
    assert all(end == tuple(part.position[-1].tolist()) for part, end, _ in divided)


def test_many_values_beside_few_events_divide_nothing() -> None:
    events = from_rows([("k", i, {"a": f"{i}" * 1_000}) for i in range(2_000)], (1, 1)).take(slice(0, 3))
    assert len(stream()._divide(events.compact(), (1, 3))) == 1


@pytest.mark.parametrize("low", [None, (1, 2)])
def test_batches_end_where_the_furthest_leaf_stands(low: tuple[int, int] | None) -> None:
    uneven = stream()
    uneven.low, uneven.furthest = low, (1, 5)
    events = from_rows([("k", i, {"a": i}) for i in range(10)], (1, 1))
    assert [(len(p), end) for p, end, _ in uneven._pieces(events, (1, 10))] == [(5, (1, 5)), (5, (1, 10))]


def test_live_leaves_of_a_timeline_that_is_not_live_as_a_whole_are_waited_for() -> None:
    first = Spec.model_validate({**WIRE, "name": "first", "expression": "count(a == 1) + count(a == 2)"})
    later = Spec.model_validate({**WIRE, "name": "later", "expression": "has_existed(a == 1)"})
    specs = [first, later]
    shard = Shard(0, None)  # type: ignore[arg-type]
    leaves = leaves_of(specs, 0)
    behind, live = sorted(leaves_of([first], 0))
    shard.put({name: Leaf(columns, State.LIVE) for name, columns in leaves.items()})
    shard.count_results(specs)
    assert shard.stream.results == results_of(specs, 0)
    shard.put({behind: Leaf(leaves[behind], State.BEHIND)})
    shard.count_results(specs)
    assert shard.stream.results == {live} | results_of([later], 0)


def test_a_first_line_that_gets_its_end_later_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    line = '{"k": "s", "time": 1, "a": 1}'
    file.write_text(line)
    before = describe_file(file)
    file.write_text(f"{line}\n{line}\n")
    after = describe_file(file)
    assert after["fingerprint"] == before["fingerprint"]
    assert (before["last"], after["last"]) == (1, 2)


def test_a_file_that_was_cut_short_is_told_of(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    lines = [f'{{"k": "s", "time": {t}, "a": 1}}\n' for t in range(5)]
    file.write_text("".join(lines))
    log: list[Segment] = [describe_file(file)]
    spec = Spec.from_wire(WIRE)
    [piece] = list(FileLog(spec, log).pieces((1, 2), ["a"]))
    assert (piece.events.tick.tolist(), piece.last) == ([2, 3, 4], (1, 5))
    assert piece.events.position.tolist() == [[1, 3], [1, 4], [1, 5]]
    file.write_text("".join(lines[:3]))
    with pytest.raises(EventError, match="has changed"):
        list(FileLog(spec, log).pieces((1, 2), ["a"]))

"""However many cores work on it, what comes out is the same: rows, their order, rejected lines, errors."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.local.test_spilling import LIMITS, ROWS
from tests.reading.test_jsonl import BROKEN, GOOD, UNIFORM, WILD
from tests.support.cli import Cli
from timeline.errors import TimelineError
from timeline.jobs import in_order
from timeline.limits import Limits
from timeline.local import dividing
from timeline.local.evaluate import evaluate
from timeline.local.evaluation import Evaluation
from timeline.local.spilling import Spill
from timeline.plan import make_plan
from timeline.reading import jsonl, read_events
from timeline.tables.events import from_rows

#: All kinds of tables, and numbers of several units.
PLAN = make_plan(
    '{d: duration_where(has_existed_within(a == "x", 3s) && latest_event_to_state(b) == 2) + sum(b) / 7, '
    "s: if(has_existed(b == 1), lag(latest_event_to_state(a), 1s), prior_state(latest_event_to_state(b))), "
    'r: count(a == "y") / duration_where(!has_existed(a == "y")), m: max_so_far(sum(b))}'
)


def told(result: Evaluation) -> list[object]:
    """All that an evaluation says, of each node and key."""
    every = [
        (name, result.span(name), [result.timeline(name, node).json_rows() for node in result.plan.nodes])
        for name in result.names()
    ]
    tables = [(len(table), table.kind, table.at.tolist()) for table in result.tables]
    return [result.accepted, result.refused, every, tables, list(result.values([1_000, 7_000]))]


@settings(max_examples=150)
@given(ROWS, LIMITS, st.integers(1, 12), st.integers(2, 4))
def test_divided_evaluation_is_the_whole(
    rows: list[tuple[str, int, dict[str, object]]], limits: Limits, size: int, jobs: int
) -> None:
    events = from_rows(rows)  # type: ignore[arg-type]
    whole = told(evaluate(PLAN, events, limits, jobs=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dividing, "PIECE_EVENTS", size)
        assert told(evaluate(PLAN, events, limits, jobs=1)) == whole
        assert told(evaluate(PLAN, events, limits, jobs=jobs)) == whole
        for part in (7, 1_000):
            with Spill(PLAN, limits, part_events=part, jobs=jobs) as spill:
                for first in range(0, len(rows), 5):
                    spill.add(from_rows(rows[first : first + 5]))  # type: ignore[arg-type]
                assert (spill.accepted, spill.refused) == (whole[0], whole[1])
                assert list(spill.values([1_000, 7_000])) == whole[-1]


@settings(max_examples=150)
@given(
    lines=st.lists(UNIFORM | GOOD | WILD | BROKEN, max_size=40),
    block_bytes=st.sampled_from([1, 50, 300]),
    jobs=st.integers(2, 4),
    suffix=st.sampled_from([".jsonl", ".csv"]),
)
@example([b"{oops}"], 1, 2, ".jsonl")
def test_blocks_are_the_same(lines: list[bytes], block_bytes: int, jobs: int, suffix: str) -> None:
    head = b"k,t,x" if suffix == ".csv" else b'{"k":"first"}'
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "SHORT_BYTES", 0)  # all goes through pyarrow first
        path = Path(folder) / f"e{suffix}"
        path.write_bytes(b"\n".join([head, *lines]))
        assert read(path, block_bytes, jobs) == read(path, block_bytes, 1)


def read(path: Path, block_bytes: int, jobs: int) -> list[object]:
    """All that is read, up to the error if there is one."""
    found: list[object] = []
    try:
        for block in read_events(path, key="k", time="t", columns=["x"], block_bytes=block_bytes, jobs=jobs):
            events = block.events
            columns = {name: (c.codes.tolist(), c.values) for name, c in events.columns.items()}
            places = events.key.tolist(), events.tick.tolist(), events.position.tolist()
            found.append((events.keys, places, columns, block.rejected, block.last))
    except TimelineError as error:
        found.append(str(error))
    return found


@given(
    st.lists(st.integers(-3, 9), max_size=12),
    st.none() | st.integers(0, 12),
    st.integers(1, 4),
)
def test_results_and_errors_come_in_order(numbers: list[int], broken: int | None, jobs: int) -> None:
    def items() -> Iterator[int]:
        for place, number in enumerate(numbers):
            if place == broken:
                raise OSError("the items broke off")
            yield number

    def work(number: int) -> int:
        if number < 0:
            raise ValueError(f"no work for {number}")
        return number * number

    def outcome(jobs: int) -> list[object]:
        found: list[object] = []
        try:
            found.extend(in_order(work, items(), jobs))
        except (ValueError, OSError) as error:
            found.append(repr(error))
        return found

    assert outcome(jobs) == outcome(1)


def test_as_many_work_as_are_wanted_and_all_end() -> None:
    together = threading.Barrier(3)

    def work(number: int) -> int:
        if number < 3:
            together.wait(60)
        return number

    results = in_order(work, range(100), 3)
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    results.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def test_eval_with_jobs(local_cli: Cli) -> None:
    lines = [f'{{"key": "k{i % 7}", "time": {i}, "a": "x"}}' for i in range(500)]
    lines[3] = lines[77] = "{oops"
    (local_cli.folder / "some.jsonl").write_text("\n".join(lines) + "\n")
    command = "eval", "-e", 'count(a == "x")', "some.jsonl", "--format", "jsonl", "--jobs"
    runs = [local_cli.run(*command, jobs) for jobs in ("1", "2", "5")]
    told = [(run.returncode, run.stdout, run.stderr) for run in runs]
    assert told[0][0] == 0
    assert "some.jsonl:4: not JSON" in told[0][2]
    assert len(told[0][1].splitlines()) == 7
    assert told == told[:1] * 3
    assert "--jobs" in local_cli.bad(*command, "0")

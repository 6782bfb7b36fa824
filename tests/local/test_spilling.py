"""Evaluation in parts, from files, is that of all events at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cli import Cli
from timeline.errors import EventError, NotFoundError
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.local.spilling import Spill
from timeline.plan import make_plan
from timeline.tables.events import from_rows

PLAN = make_plan(
    'duration_where(has_existed_within(a == "x", 3s) && latest_event_to_state(b) == 2) + count(a == "y")'
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["k", "a", "zz", "ä"]),
        st.integers(0, 12_000),
        st.fixed_dictionaries({}, optional={"a": st.sampled_from(["x", "y"]), "b": st.sampled_from([1, 2])}),
    ),
    min_size=1,
    max_size=40,
)
LIMITS = st.sampled_from(
    [Limits(), Limits(2_000), Limits(2_000, 1_000), Limits(1_000, 1_000, 3_000), Limits(None, None, 2_000)]
)


@settings(max_examples=200)
@given(ROWS, LIMITS, st.integers(1, 10), st.integers(1, 20), st.data())
def test_parts_are_the_whole(
    rows: list[tuple[str, int, dict[str, object]]],
    limits: Limits,
    batch: int,
    part: int,
    data: st.DataObject,
) -> None:
    whole = evaluate(PLAN, from_rows(rows), limits)  # type: ignore[arg-type]
    names = whole.names()
    only = data.draw(st.none() | st.permutations(names).map(lambda n: n[: len(n) // 2 + 1]))
    with Spill(PLAN, limits, only=only, part_events=part) as spill:
        for first in range(0, len(rows), batch):
            spill.add(from_rows(rows[first : first + batch]))  # type: ignore[arg-type]
        assert (spill.accepted, spill.refused) == (whole.accepted, whole.refused)
        expected = [list(whole.values(keys=only)), list(whole.values([5_000], every=2_500, keys=only))]
        assert list(spill.values()) == expected[0]
    with Spill(PLAN, limits, only=only, part_events=part) as spill:
        for first in range(0, len(rows), batch):
            spill.add(from_rows(rows[first : first + batch]))  # type: ignore[arg-type]
        assert list(spill.values([5_000], every=2_500)) == expected[1]


def test_files_are_removed_and_missing_keys_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rows = [(f"k{i % 7}", i * 100, {"a": "x"}) for i in range(50)]
    with Spill(PLAN, only=["k1", "nobody"], part_events=10) as spill:
        for i in range(0, 50, 5):
            spill.add(from_rows(rows[i : i + 5]))
        with pytest.raises(
            NotFoundError, match=r"no events of key 'nobody'; there are 'k0', 'k1', 'k2', 'k3', 'k4', \.\.\."
        ):
            list(spill.values())
    with Spill(PLAN, part_events=10) as spill:
        for i in range(0, 50, 5):
            spill.add(from_rows(rows[i : i + 5]))
        parts = [part.names() for part in spill.evaluations()]
        assert parts == [["k0", "k1"], ["k2"], ["k3", "k4"], ["k5"], ["k6"]]
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    with Spill(PLAN, part_events=1) as spill:
        monkeypatch.setattr(spill, "_path", lambda part=None: Path("/dev/full"))
        with pytest.raises(EventError, match="No space left on device; set TMPDIR to a folder with room"):
            spill.add(from_rows([("k", 1, {}), ("k", 2, {})]))


def test_eval_of_a_file_in_parts(local_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command reads blocks of 16 MB and evaluates parts of a million events; the answers are sorted."""
    lines = (json.dumps({"key": f"k{i % 5}", "time": i, "a": "x"}) for i in range(1_100_000))
    (local_cli.folder / "many.jsonl").write_text("\n".join(lines) + "\n")
    out = local_cli.good("eval", "-e", 'count(a == "x")', "many.jsonl", "--format", "jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["key"], row["value"]) for row in rows] == [(f"k{i}", 220_000) for i in range(5)]

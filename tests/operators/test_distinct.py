"""Different values: beyond the bound an estimate that is the same however events come, and near the truth."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.graphs import POLICIES, WireGraph
from tests.support.schedules import check_schedule, events
from timeline.engine import shrinking
from timeline.engine.answers import Answers
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.operators import distinct
from timeline.tables.events import from_rows

VALUES = st.sampled_from([*range(40), "x", 1.5, True, None])
#: As in any schedule, but with many values.
moves = st.lists(
    st.tuples(
        st.sampled_from(["k", "l"]),
        st.integers(0, 3),
        st.fixed_dictionaries({"a": VALUES}),
        st.integers(0, 6),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=300)
@given(
    st.sampled_from(
        ["distinct(a)", "distinct(a) > 4 && distinct(b) < 3", "distinct(a) - lag(distinct(a), 3ms)"]
    ),
    moves | events,
    st.integers(0, 7),
    st.lists(st.integers(0, 14), max_size=5),
    st.data(),
)
def test_schedules_beyond_the_bound(
    expression: str, drawn: Any, lateness: int, at: list[int], data: Any
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # So few values are counted exactly that the streams of schedules have more.
        patch.setattr(distinct, "EXACT", 3)
        patch.setattr(shrinking, "FEW", -1_000_000)
        check_schedule(expression, drawn, lateness, at, data)


def many(count: int) -> list[tuple[str, int, dict[str, Any]]]:
    return [("k", 1_000 + i // 3, {"a": f"user {i * 7919 % count}"}) for i in range(count)]


def test_many_values_are_near_the_truth_and_take_no_more_room() -> None:
    rows = many(60_000)
    local = evaluate("distinct(a)", from_rows(rows))
    for count in (distinct.EXACT, distinct.EXACT + 1, 10_000, 59_997):
        [row] = local.values(at=[rows[count - 1][1]])
        truth = len({v["a"] for _, t, v in rows if t <= row.at})
        assert isinstance(row.value, int)
        assert row.value == truth if truth <= distinct.EXACT else abs(row.value / truth - 1) < 0.1
    for policy in POLICIES:
        limits = Limits(100, 100)
        graph = WireGraph(local.plan, limits, policy)
        whole = from_rows(rows)
        for first in range(0, len(rows), 4_000):
            batch = whole.take(slice(first, first + 4_000))
            graph.feed(batch, tuple(batch.position[-1].tolist()))
            graph.continue_as_new(limits)
        [row] = local.values()
        assert Answers(graph.result.state).value("k", None)[0] == row.value
        [leaf] = [node.state for node in graph.nodes if node.state.leaf]
        assert len(leaf.edges[0].table) < 4 * distinct.EXACT

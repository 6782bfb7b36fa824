"""What counts anew: by hand, where batches and late events begin or end what is counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from timeline.local.graph import Graph
from timeline.plan import make_plan
from timeline.tables.events import from_rows

BUFFERED = 'duration_where(latest_event_to_state(s) == "b")'


@pytest.mark.parametrize(
    ("expression", "batches", "values"),
    [
        # The second login comes in a batch of its own, the third late, and what was counted before is gone.
        (
            'since(s == "in", count(s == "b"))',
            [{1: "in", 2: "b", 3: "b"}, {7: "in", 8: "b"}, {3: "in"}],
            {0: None, 1: 0, 2: 1, 3: 1, 6: 1, 7: 0, 8: 1},
        ),
        # What happens with p is counted.
        ('since(s == "in", count(s != "b"))', [{1: "in", 2: "x"}, {3: "in"}], {1: 1, 2: 2, 3: 1, 9: 1}),
        # A state goes on: buffering since the seek, although it began before it.
        (
            f'since(s == "seek", {BUFFERED})',
            [{1: "b"}, {4: "seek"}, {5: "b"}],
            {3: None, 4: 0, 5: 0, 7: 0.002},
        ),
        (
            f"since(n == 1, {BUFFERED})",
            [{1: "b", 4: 1}, {6: 1}],
            {3: None, 4: 0, 5: 0.001, 6: 0, 7: 0.001},
        ),
        (
            f'since(has_existed_within(s == "seek", 2ms), {BUFFERED})',
            [{1: "b", 4: "seek"}, {5: "b"}, {5: "seek", 6: "b"}, {9: "seek"}],
            {3: None, 4: 0, 6: 0, 8: 0.002, 9: 0, 12: 0},
        ),
        (
            "since(n == 9, max_so_far(latest_event_to_state(n)))",
            [{1: 12, 2: 9}, {4: 10}, {5: 9}],
            {1: None, 2: 9, 4: 10, 5: 9},
        ),
        (
            'since(s == "in", sum(n) / count(n > 0))',
            [{1: "in", 2: 3}, {3: 5}, {4: "in"}, {6: 7}],
            {1: None, 3: 4, 4: None, 6: 7},
        ),
        ('time_since(s == "in")', [{1: "in"}, {4: "in"}, {2: "in"}], {1: 0, 2: 0, 3: 0.001, 4: 0, 9: 0.005}),
    ],
)
def test_values(expression: str, batches: list[Mapping[int, Any]], values: Mapping[int, Any]) -> None:
    graph = Graph(make_plan(expression))
    for number, batch in enumerate(batches):
        rows: list[Any] = [("k", tick, {"n" if type(v) is int else "s": v}) for tick, v in batch.items()]
        graph.feed(from_rows(rows, (number, 0)), (number, len(rows)))
    assert {tick: graph.answers.value("k", tick)[0] for tick in values} == values

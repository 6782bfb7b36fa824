"""By how much numbers change over intervals; random ones are in `test_over`."""

from __future__ import annotations

from typing import Any

from tests.aggregate.test_over import asked, small
from tests.support.graphs import WireGraph
from tests.support.streams import batches
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.tables.events import from_rows


def test_changes_add_up_and_are_what_came_in_the_time() -> None:
    got = asked(small(), agg="change(buffered), duration(buffering)", start=1_000, end=9_500, per=1_500)
    assert [list(row.values())[2:] for row in got.rows] == [[n, n] for n in (0, 0, 0.5, 1.5, 1.5, 2.5, 0.5)]
    events: list[Any] = [("k", tick, {"n": n}) for tick, n in ((5, 3), (7, None), (8, 5), (8, 6), (12, -1))]
    result = evaluate("{s: latest_event_to_state(n), n: sum(n), c: count(n != 0)}", from_rows(events))
    got = asked(result, agg="change(s), change(n), change(c)", start=0, end=16, per=4)
    assert [list(row.values()) for row in got.rows] == [
        [0, 4, None, None, None],
        [4, 8, 0, 3, 1],
        [8, 12, 3, 11, 2],
        [12, 16, -7, -1, 1],
    ]


def test_a_change_from_what_is_forgotten_is_left_out() -> None:
    plan = make_plan("count(n != 0)")
    graph = WireGraph(plan, Limits(0, 1_000))
    events: list[Any] = [("k", 1_000 + 10 * i, {"n": 1}) for i in range(3_000)]
    for batch in batches(from_rows(events), [1_500, 2_999]):
        graph.feed(batch, tuple(batch.position[-1].tolist()))
    table = graph.answers.columns().tables["value"]
    first = int(table.tick[0])
    assert first > 1_000
    for start, many in ((first, None), (first + 1, 9), (first + 10, 9), (first + 11, 8)):
        got = asked(graph.answers, agg="change", start=start, end=first + 100)
        assert got.rows[0]["change(value)"] == many
        assert [e.reason for e in got.excluded] == (["older than retention"] if many is None else [])

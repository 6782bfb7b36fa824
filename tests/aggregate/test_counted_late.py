"""Questions over keys that operators with memory have counted from later than their origin: they own up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.test_sharing import Shared
from timeline.aggregate import Partial, Request, kinds_of, merge, partial
from timeline.engine import shrinking
from timeline.engine.answers import Answers
from timeline.limits import Limits
from timeline.plan import make_plan
from timeline.tables.events import from_rows

STATE = "latest_event_to_state(a)"
LATE = f'{{secs: duration_where({STATE} == "x"), state: {STATE}}}'


@pytest.fixture
def late() -> Answers:
    """Of "old" most is forgotten when the timeline comes; "new" begins after that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shrinking, "FEW", -1_000_000)
        shared = Shared(Limits(0, 5_000), 1)
        shared.add(make_plan(STATE), 1)
        shared.feed(from_rows([("old", 1_000 * t, {"a": "xy"[t % 2]}) for t in range(100)], (0,)))
        plan = make_plan(LATE)
        shared.add(plan, 1)
        more = [("old", 100_000, {"a": "x"}), ("old", 102_000, {"a": "y"})]
        more += [("new", 101_000, {"a": "x"}), ("new", 104_000, {"a": "y"})]
        shared.feed(from_rows(more, (100,)))
        return Answers(shared.nodes[plan.result.text].state)


def asked(late: Answers, **words: Any) -> Any:
    request = Request.parse(kinds_of(make_plan(LATE)), **words)
    part = partial(late, request)
    return merge(request, [Partial.from_wire(part.to_wire(request), request)])


def test_an_answer_says_how_many_keys_were_counted_late(late: Answers) -> None:
    result = asked(late, agg="count, sum(secs)")
    assert (result.rows, result.counted) == ([{"count": 2, "sum(secs)": 8}], 1)
    assert result.counted_from == late.exact_from("old")["counted_from"] > 90_000
    assert result.to_json()["counted"] == {"keys": 1, "from": result.counted_from}
    assert result.to_arrow().schema.metadata == {
        b"counted_keys": b"1",
        b"counted_from": str(result.counted_from).encode(),
    }
    whole = asked(late, agg="count", where='state == "z"')
    assert (whole.counted, "counted" in whole.to_json()) == (0, False), "none of them is in the answer"


def test_rows_of_keys_say_it_each(late: Answers) -> None:
    result = asked(late)
    assert result.columns == ("key", "time", "secs", "state", "counted_from")
    assert {row["key"]: row["counted_from"] for row in result.rows} == {
        "old": result.counted_from,
        "new": None,
    }
    assert result.to_arrow().column("counted_from").to_pylist() == [
        row["counted_from"] for row in result.rows
    ]
    assert asked(late, where="secs == 3").columns == ("key", "time", "secs", "state")


def test_exact_leaves_them_out(late: Answers) -> None:
    result = asked(late, agg="count, sum(secs)", exact=True)
    assert (result.rows, result.counted) == ([{"count": 1, "sum(secs)": 3}], 0)
    assert [(e.reason, e.keys) for e in result.excluded] == [("counted only from later on", 1)]
    series = asked(late, agg="count", start=50_000, end=104_000, every=27_000, exact=True)
    assert [(e.at, e.reason) for e in series.excluded] == [
        (54_000, "counted only from later on"),
        (81_000, "counted only from later on"),
    ]


def test_a_time_before_a_key_is_known_is_told_apart(late: Answers) -> None:
    [left_out] = asked(late, agg="count, sum(secs)", at=[50_000]).excluded
    assert (left_out.reason, left_out.keys) == ("known only from later on", 1)

"""Questions over intervals: against a loop over all ticks of all keys, and what cannot be asked."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.aggregate.test_definition import number, rows
from tests.support.aggregates import KINDS, PLAN, shown, through_json
from tests.support.graphs import WireGraph
from tests.support.poison import poison
from tests.support.streams import batches
from timeline.aggregate import Request, Result, merge, needs_span, partial
from timeline.errors import BusyError, ExpressionError, LimitError, RequestError
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.local.evaluation import Evaluation
from timeline.tables.events import from_rows
from timeline.values.kinds import Kind
from timeline.values.ticks import MAX_TICK

Where = Callable[[dict[str, Any]], bool]
CONDITIONS: list[tuple[str | None, Where]] = [
    (None, lambda v: True),
    ("n > 0.5 || key == 'k1'", lambda v: v["n"] > 0.5 or v["key"] == "k1"),
    ('cdn == "C1" || playing', lambda v: v["cdn"] == "C1" or v["playing"]),
    ("!(when >= 0.005) && cdn != null", lambda v: v["when"] is not None and v["when"] < 0.005),
    ("share >= 100", lambda v: v["share"] is not None and v["share"] >= 100),
]
AGG = "count, duration, duration(playing), rises, avg, avg(n), min, max, avg(when), min, max, "
AGG += "avg(cdn), min, max, change(n), change(when), change(cdn), distinct, distinct(playing)"
CHANGING = ("n", "when", "cdn")
LIMITS = (Limits(), Limits(allowed_lateness=100, key_ttl=4), Limits(allowed_lateness=3, key_ttl=7))


#: No tick is asked about from here on.
END = 60


def moments(result: Evaluation, start: int, end: int) -> list[dict[str, Any]]:
    """What every key is at every tick that it is there, with whether it is the first of its life."""
    found: list[dict[str, Any]] = []
    ttl = result.limits.key_ttl
    for key in result.names():
        for life, (origin, newest) in enumerate(result.lives(key)):
            changes = {name: changes_of(result, key, name, life) for name in CHANGING}
            stop = end if ttl is None else min(end, newest + ttl)
            before = False
            for row in result.values(range(origin, max(stop, origin)), keys=[key]):
                assert isinstance(row.value, dict)
                rose = row.value["playing"] and not before
                before = bool(row.value["playing"])
                if row.at >= start:
                    known = {f"change {name}": changes[name].get(row.at) for name in CHANGING}
                    found.append(
                        row.value | known | {"key": key, "tick": row.at, "rose": rose, "life": (key, origin)}
                    )
    return found


def changes_of(result: Evaluation, key: str, name: str, life: int) -> dict[int, Fraction]:
    """By how much a number changes at every tick at which it is one: its jump, and its growth to the next."""
    lines = result.timeline(key, PLAN.outputs[name], life).json_rows()
    if PLAN.outputs[name].kind is Kind.STATE:
        lines = [[tick, None if (n := number(v)) is None or v is True else n * 1_000, 0] for tick, v in lines]
    came_to = None if PLAN.outputs[name].before_origin is None else Fraction(0)
    changes = {}
    for (begin, value, slope), after in zip(lines, [*lines[1:], [END]], strict=True):
        for tick in range(begin, after[0]) if value is not None else ():
            at = (Fraction(value) + Fraction(slope) * (tick - begin)) / 1_000
            changes[tick] = at - (at if came_to is None else came_to) + Fraction(slope) / 1_000
            came_to = at + Fraction(slope) / 1_000
    return changes


def reference(
    results: list[Evaluation], start: int, end: int, per: int, where: Where, group_by: list[str]
) -> dict[tuple[int, str], dict[str, Any]]:
    """Rows by interval and group, from all ticks one by one."""
    cells: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    if not group_by:
        firsts = {start, *(range((start // per + 1) * per, end, per) if per else ())}
        cells |= {(first, "[]"): [] for first in firsts}
    for moment in (m for result in results for m in moments(result, start, end)):
        if where(moment):
            first = max(start, moment["tick"] // per * per) if per else start
            cells[first, json.dumps([moment[name] for name in group_by])].append(moment)
    return {place: _row(of) for place, of in cells.items()}


def _row(of: list[dict[str, Any]]) -> dict[str, Any]:
    row = {
        "count": len({m["life"] for m in of}),
        "duration": shown(Fraction(len(of), 1000)),
        "duration(playing)": shown(Fraction(sum(m["playing"] for m in of), 1000)),
        "rises(playing)": sum(m["rose"] for m in of),
        "avg(playing)": shown(Fraction(sum(m["playing"] for m in of), len(of))) if of else None,
    }
    for name in ("n", "when", "cdn"):
        known = [x for x in (number(m[name]) for m in of if m[name] is not True) if x is not None]
        row[f"avg({name})"] = shown(sum(known, Fraction(0)) / len(known)) if known else None
        row[f"min({name})"] = shown(min(known, default=None))
        row[f"max({name})"] = shown(max(known, default=None))
        changes = [m[f"change {name}"] for m in of if m[f"change {name}"] is not None]
        row[f"change({name})"] = shown(sum(changes, Fraction(0))) if changes else None
    for name in ("cdn", "playing"):
        row[f"distinct({name})"] = len({json.dumps(m[name]) for m in of if m[name] is not None})
    return row


def by_place(result: Result, group_by: list[str]) -> dict[tuple[int, str], dict[str, Any]]:
    found = {}
    for row in result.rows:
        place = row["from"], json.dumps([row[name] for name in group_by])
        found[place] = {a.label: row[a.label] for a in result.request.aggregates}
    assert len(found) == len(result.rows)
    return found


@settings(max_examples=300)
@given(
    rows,
    st.tuples(st.integers(0, 25), st.integers(1, 25)),
    st.sampled_from([0, 1, 3, 7, 100]),
    st.sampled_from(CONDITIONS),
    st.lists(st.sampled_from(["cdn", "playing", "key"]), max_size=2, unique=True),
    st.lists(st.integers(0, 1), min_size=8, max_size=8),
    st.sampled_from(LIMITS),
    st.sampled_from([1, 8, 1 << 17]),
)
def test_what_is_over_time_is_what_a_loop_over_ticks_gives(
    events: Any,
    when: tuple[int, int],
    per: int,
    condition: tuple[str | None, Where],
    group_by: list[str],
    streams: list[int],
    limits: Limits,
    chunk: int,
) -> None:
    text, where = condition
    start, end = when[0], sum(when)
    request = Request.parse(
        KINDS, agg=AGG, group_by=group_by, where=text, start=start, end=end, per=per or None
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("timeline.aggregate.over.CHUNK", chunk)
        # The stream's time, on which lives depend, is that of each stream.
        divided = [[e for e in events if streams[int(e[0][1:])] == stream] for stream in (0, 1)]
        results = [evaluate(PLAN, from_rows(mine), limits) for mine in divided]
        got = through_json(request, [partial(result, request) for result in results])
    assert by_place(got, group_by) == reference(results, start, end, per, where, group_by)
    assert got.columns[:2] == ("from", "to")
    assert all(row["from"] < row["to"] <= end for row in got.rows)


def asked(result: Any, **words: Any) -> Result:
    kinds = {name: table.kind for name, table in result.columns().tables.items()}
    request = Request.parse(kinds, **words)
    return merge(request, [partial(result, request)], kinds)


def small() -> Evaluation:
    """A viewer that changes the CDN while it buffers, and one that is there for a second."""
    events: list[Any] = [
        ("a", 0, {"state": "play", "cdn": "A"}),
        ("a", 4_000, {"state": "buffer"}),
        ("a", 6_000, {"cdn": "B"}),
        ("a", 9_000, {"state": "play"}),
        ("b", 8_000, {"state": "buffer", "cdn": "B"}),
    ]
    return evaluate(
        """{state: latest_event_to_state(state), cdn: latest_event_to_state(cdn),
            buffering: latest_event_to_state(state) == "buffer",
            buffered: duration_where(latest_event_to_state(state) == "buffer")}""",
        from_rows(events),
    )


def test_each_moment_counts_for_the_state_that_it_is_in() -> None:
    got = asked(small(), agg="duration_by(cdn, buffering), duration, count", start=0, end=10_000)
    assert got.columns == ("from", "to", "cdn", "duration_by(cdn, buffering)", "duration", "count")
    assert [list(row.values())[2:] for row in got.rows] == [["A", 2, 6, 1], ["B", 5, 6, 2]]
    got = asked(small(), agg="duration_by(state)", start=1_000, end=9_500)
    assert [list(row.values()) for row in got.rows] == [
        [1_000, 9_500, "buffer", 6.5],
        [1_000, 9_500, "play", 3.5],
    ]


def test_intervals_are_aligned_and_the_ends_are_cut() -> None:
    got = asked(small(), agg="duration(buffering), avg(buffered), max", start=3_000, end=11_000, per=5_000)
    assert [list(row.values()) for row in got.rows] == [
        [3_000, 5_000, 1, 0.24975, 0.999],
        [5_000, 10_000, 6, 2.713857142857143, 5],
        [10_000, 11_000, 1, 3.74975, 5],
    ]
    got = asked(
        small(), agg="rises(buffering)", group_by=["key"], start=0, end=10_000, per=4_000, where="!buffering"
    )
    assert got.rows == [
        {"from": 0, "to": 4_000, "key": "a", "rises(buffering)": 0},
        {"from": 8_000, "to": 10_000, "key": "a", "rises(buffering)": 0},
    ]
    top = asked(
        small(),
        agg="duration(buffering)",
        group_by=["key"],
        start=0,
        end=20_000,
        top=1,
        by="duration(buffering)",
    )
    assert [(row["key"], row["duration(buffering)"]) for row in top.rows] == [("b", 12)]


def test_as_arrow() -> None:
    table = asked(
        small(), agg="count, duration_by(cdn), rises(buffering), avg(buffered)", start=0, end=9_000
    ).to_arrow()
    assert {name: str(type) for name, type in zip(table.column_names, table.schema.types, strict=True)} == {
        "from": "int64",
        "to": "int64",
        "cdn": "string",
        "count": "int64",
        "duration_by(cdn)": "double",
        "rises(buffering)": "int64",
        "avg(buffered)": "double",
    }


def test_numbers_that_64_bits_do_not_hold_are_added_exactly() -> None:
    result = evaluate("sum(n)", from_rows([("k", 0, {"n": 4e15}), ("k", 3, {"n": 0.001})]))
    got = asked(result, agg="avg, min, max", start=0, end=MAX_TICK + 1)
    ticks = MAX_TICK + 1
    exact = (4 * 10**15 * Fraction(ticks) + Fraction(ticks - 3, 1000)) / ticks
    assert list(got.rows[0].values())[2:] == [shown(exact), 4 * 10**15, shown(4 * 10**15 + Fraction(1, 1000))]


def test_who_is_left_out_is_counted_by_interval() -> None:
    graph = WireGraph(PLAN, Limits(0, 1_000))
    poison(graph.nodes[PLAN.outputs["cdn"].index], {"bad"}, reading=True)
    events: list[Any] = [("bad", 2_000, {"cdn": "A"})]
    events += [(f"k{t % 3}", 2_000 + t, {"cdn": "ABCD"[t % 4]}) for t in range(3_600)]
    for batch in batches(from_rows(events), [2, 1_800, len(events)]):
        graph.feed(batch, tuple(batch.position[-1].tolist()))
    got = asked(graph.answers, agg="count, duration", start=1_000, end=5_600, per=2_300)
    assert {(e.at, e.reason): e.keys for e in got.excluded} == {
        (1_000, "quarantined"): 1,
        (2_300, "quarantined"): 1,
        (4_600, "quarantined"): 1,
        (1_000, "older than retention"): 3,
        (2_300, "older than retention"): 3,
    }
    kept = [list(row.values()) for row in got.rows]
    for where in ("cdn != null && n + when >= n - 1", 'cdn != null || n < when || key == "k0"'):
        some = asked(graph.answers, agg="count, duration", start=1_000, end=5_600, per=2_300, where=where)
        assert [list(row.values()) for row in some.rows] == kept
        assert some.excluded == got.excluded
    assert kept == [[1_000, 2_300, 0, 0], [2_300, 4_600, 0, 0], [4_600, 5_600, 3, 3]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"agg": "sum(n)", "per": 5},
            "sum(n) is of values at one time; over intervals there are count",
        ),
        ({"agg": "count(n)", "per": 5}, "count(n) is of values at one time"),
        ({"agg": "duration(n)"}, "n is a Numeric; expected a Bool; compare it"),
        (
            {"agg": "max(playing)", "per": 5},
            "playing is a Bool; expected a Numeric, a Ratio, a State; for",
        ),
        (
            {"agg": "avg(share)", "per": 5},
            "share is a Ratio; expected a Bool, a Numeric, a State; compare",
        ),
        ({"agg": "change(playing)"}, "playing is a Bool; expected a Numeric, a State; for how"),
        ({"agg": "change(share)"}, "share is a Ratio; expected a Numeric, a State; compare"),
        ({"agg": "duration_by(n)"}, "n is a Numeric; expected a State, a Bool"),
        ({"agg": "duration_by(cdn, n)"}, "n is a Numeric; expected a Bool"),
        ({"agg": "duration_by(cdn, a, b)"}, "duration_by takes one output, got a, b besides"),
        ({"agg": "duration", "group_by": ["n"]}, "cannot group by n, a Numeric, over time"),
        ({"agg": "duration", "where": "closed"}, "there is no output closed"),
        ({"agg": "duration", "at": [5]}, "at, every and lives for single times"),
        ({"agg": "duration", "start": None}, "a question over time needs from and to"),
        ({"per": 5}, "from and to need every (a series of times), or agg"),
        ({}, "from and to need every"),
        ({"agg": "duration", "end": 0}, "from is earlier than to, and both lie between 0 and"),
        (
            {"agg": "duration", "end": 20_001, "per": 2},
            "at most 10000 intervals, got 10001; take a longer",
        ),
        ({"agg": "duration", "per": -1}, "per is at least 1ms"),
        ({"agg": "duration", "by": "x", "top": 1}, "groups are ordered by one of their columns"),
    ],
)
def test_what_cannot_be_asked_over_time(words: dict[str, Any], message: str) -> None:
    with pytest.raises((RequestError, ExpressionError)) as caught:
        Request.parse(KINDS, **({"start": 0, "end": 10} | words))
    assert message in str(caught.value)


def test_an_output_called_from_has_no_room_beside_the_interval() -> None:
    with pytest.raises(RequestError, match="rows of intervals have a column of that name"):
        Request.parse({"from": Kind.STATE}, agg="duration", group_by=["from"], start=0, end=1)


def test_which_questions_need_to_be_told_from_when_to_when() -> None:
    assert needs_span(KINDS, agg="rises(playing)")
    assert needs_span(KINDS, agg="max(n)", per=5)
    assert needs_span(KINDS, agg="max(n)", start=3)
    assert not needs_span(KINDS, agg="max(n)", start=3, end=4)
    assert not needs_span(KINDS, agg="max(n)", at=[3])
    with pytest.raises(RequestError, match="did you mean playing"):
        needs_span(KINDS, agg="rises(plaing)")


def test_too_much_and_too_long() -> None:
    result = evaluate(PLAN, from_rows([(f"k{i}", 0, {"cdn": "A"}) for i in range(2_000)]))
    with pytest.raises(LimitError, match=r"2000 keys in 10000 intervals are .* ask for fewer intervals"):
        asked(result, agg="duration", start=0, end=10_000, per=1)
    with pytest.raises(LimitError, match="more than 10000 groups"):
        asked(result, agg="duration", group_by=["key"], start=0, end=10, per=1)
    request = Request.parse(KINDS, agg="duration", start=0, end=9)
    with pytest.raises(BusyError, match="a question over 2000 keys of a stream takes longer"):
        partial(result, request, lambda: False)

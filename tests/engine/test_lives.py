"""Lives: whatever the batches, the same lives, rows, answers and refusals; and what is final stays so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from tests.support.graphs import POLICIES, WireGraph
from tests.support.lives import lives_of
from tests.support.played import OUTPUTS, played, sink_of
from tests.support.poison import poison
from tests.support.schedules import marks_of
from tests.support.streams import batches, json, marked_batches
from timeline.aggregate import Request, kinds_of, merge, partial
from timeline.engine import shrinking
from timeline.engine.admission import time_before
from timeline.engine.answers import Answers
from timeline.engine.lives import Lives
from timeline.engine.node import Node
from timeline.engine.state_wire import from_state, to_state
from timeline.engine.wire import from_patch, to_patch
from timeline.errors import NoLifeError, RetentionError
from timeline.fragments import Policy
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.spec.spec import Spec
from timeline.tables.events import from_rows
from timeline.tables.marks import mark_of
from timeline.values.life_names import LifeKeys, key_named

SINKS: list[dict[str, Any]] = [
    {},
    {"on": "close"},
    {"every": "3ms", "outputs": ["n", "long"]},
    {"every": "4ms", "agg": "count, sum(n)", "group_by": ["state"]},
]
#: Times that grow, each event a while behind: keys that pause, and events that are late for them.
steps = st.lists(
    st.tuples(
        st.sampled_from("kl"),
        st.integers(0, 4),
        st.sampled_from([0, 0, 0, 1, 2, 4, 8, 15]),
        st.sampled_from("xy"),
    ),
    min_size=1,
    max_size=24,
)
cuts = st.lists(st.integers(0, 24), max_size=12)
#: By the number of events before it, how much later a mark is than the stream's time.
silences = st.dictionaries(st.integers(1, 24), st.integers(0, 12), max_size=4)


def events_of(drawn: Any) -> list[tuple[str, int, dict[str, Any]]]:
    ticks = np.cumsum([step for _, step, _, _ in drawn])
    behind = zip(drawn, ticks.tolist(), strict=True)
    return [(key, max(0, tick - back), {"a": value}) for (key, _, back, value), tick in behind]


@settings(max_examples=300)
@given(steps, cuts, st.sampled_from([0, 1, 3, 5, 10]), st.sampled_from([1, 2, 4, 8]), silences, st.booleans())
def test_lives_are_what_they_are_defined_to_be(
    drawn: Any, at: list[int], lateness: int, ttl: int, silent: dict[int, int], by_stream: bool
) -> None:
    events = events_of(drawn)
    marks = marks_of(events, silent)
    told = lives_of(events, lateness, ttl, marks, by_stream)
    keys = LifeKeys()
    lives = Lives(Limits(lateness, None, ttl, by_stream), keys)
    first, newest = np.empty(0, np.int64), np.empty(0, np.int64)
    refused: list[str | None] = []
    stream = -1
    for batch, last in marked_batches(from_rows(events), at, marks):
        before = time_before(batch.tick, stream)
        judged = lives.judge(batch.keys, batch.key, batch.tick, before, first, newest)
        more = len(keys) - len(first)
        first, newest = np.append(first, np.full(more, 1 << 42)), np.append(newest, np.full(more, -1))
        newest[judged.joined] = -1
        first[judged.touched], newest[judged.touched] = judged.begun, judged.newest
        reasons: list[str | None] = [None] * len(batch)
        for row, reason in zip(judged.refused.tolist(), judged.reasons.tolist(), strict=True):
            reasons[row] = ("late", "closed")[reason]
        refused += reasons
        stream = max(stream, int(batch.tick.max()), mark_of(last) or -1)
    found: dict[str, list[tuple[int, int]]] = {}
    for code in np.flatnonzero(newest >= 0).tolist():
        found.setdefault(key_named(keys.names[code]), []).append((int(first[code]), int(newest[code])))
    assert refused == told.refused
    assert {key: sorted(mine) for key, mine in found.items()} == {
        key: [(life[0][0], life[-1][0]) for life in mine] for key, mine in told.lives.items()
    }


@settings(max_examples=200)
@given(
    steps,
    cuts,
    cuts,
    st.sampled_from([0, 1, 3, 5]),
    st.sampled_from([None, 1, 3, 6]),
    st.sampled_from(SINKS),
    silences,
    st.data(),
)
def test_any_way_of_cutting_gives_the_same_rows_answers_and_refusals(
    drawn: Any,
    at: list[int],
    other: list[int],
    lateness: int,
    ttl: int | None,
    sink: dict[str, Any],
    silent: dict[int, int],
    data: Any,
) -> None:
    events = events_of(drawn)
    marks = marks_of(events, silent)
    assume(ttl is not None or sink.get("on") != "close")
    watermark = data.draw(st.sampled_from(["stream"] if ttl is None and "agg" in sink else ["key", "stream"]))
    retention = data.draw(st.sampled_from(["1h", "12ms"]))
    note(f"{events}, marks {marks}, lateness {lateness}, ttl {ttl}")
    spec = sink_of(sink, lateness, ttl, watermark, retention)
    policies = [data.draw(st.sampled_from(POLICIES)) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shrinking, "FEW", -1_000_000)  # forget what may be forgotten
        first = played(spec, events, at, policies[0], marks, alone=True)
        second = played(spec, events, other, policies[1], marks, alone=False, renews=data.draw(st.booleans()))
    assert sorted(r["id"] for r in first[0]) == sorted(r["id"] for r in second[0])
    assert {r["id"]: r for r in first[0]} == {r["id"]: r for r in second[0]}
    assert first[1:] == second[1:]


FIVE = [("s", t, {"a": "x"}) for t in (0, 100, 200, 300)] + [("other", 900, {"a": "y"})]


@pytest.mark.parametrize("at", [[], [1, 2, 3, 4]])
def test_five_events_in_one_file_or_five_give_a_row_for_each_life(at: list[int]) -> None:
    rows, _, refused = played(sink_of({"on": "close", "outputs": ["n"]}, 10, 50), FIVE, at, "node")
    assert [(r["key"], r["at"], r["n"]) for r in rows] == [("s", t, 1) for t in (0, 100, 200, 300)]
    assert [r["id"] for r in rows] == [f"t/0/s/{t}/{t}" for t in (0, 100, 200, 300)]
    assert refused == []


def graph_of(events: Any, limits: Limits, policy: Policy = "operator") -> WireGraph:
    graph = WireGraph(Spec.from_wire({"name": "t", "outputs": OUTPUTS}).plan, limits, policy)
    for batch in batches(from_rows(events), list(range(len(events)))):
        graph.feed(batch, tuple(batch.position[-1].tolist()))
    return graph


@pytest.mark.parametrize("policy", POLICIES)
def test_a_late_event_makes_one_life_of_two(policy: Policy) -> None:
    limits = Limits(20, 1_000, 10)
    apart = [("k", 0, {"a": "x"}), ("k", 15, {"a": "x"})]
    graph = graph_of(apart, limits, policy)
    assert [graph.answers.life(code)[1:] for code in graph.answers.lives("k")] == [(0, 0), (15, 15)]
    assert graph.answers.value("k", 15)[0] == {"state": "x", "n": 1, "long": 0}
    with pytest.raises(
        NoLifeError, match=r"key 'k' has no life at 12 ms: one ends at 10 ms, the next begins"
    ):
        graph.answers.value("k", 12)
    graph = graph_of([*apart, ("k", 8, {"a": "y"})], limits, policy)
    for node in graph.nodes:
        assert [Answers(node.state).life(c)[1:] for c in Answers(node.state).lives("k")] == [(0, 15)]
    assert graph.answers.value("k", 15)[0] == {"state": "x", "n": 2, "long": 0.008}
    assert graph.answers.known_keys() == ["k"]


def test_of_a_life_that_is_closed_nothing_changes() -> None:
    limits = Limits(5, 1_000, 10)
    events = [("k", 0, {"a": "x"}), ("l", 14, {"a": "x"}), ("k", 9, {"a": "x"})]
    assert [r.reason.name for r in graph_of(events, limits).nodes[0].state.refused.after(None, 9)] == []
    events[1] = ("l", 15, {"a": "x"})
    graph = graph_of(events, limits)
    assert [r.reason.name for r in graph.nodes[0].state.refused.after(None, 9)] == ["CLOSED"]
    assert graph.answers.value("k", None) == ({"state": "x", "n": 1, "long": 0}, 0, True)
    graph = graph_of([*events, ("k", 12, {"a": "y"})], limits)
    assert [graph.answers.life(code)[1:] for code in graph.answers.lives("k")] == [(0, 0), (12, 12)]


def test_questions_over_all_keys_know_lives() -> None:
    events = [("u", t, {"a": "x"}) for t in (0, 5, 100, 200)] + [("v", 203, {"a": "x"})]
    result = evaluate(
        Spec.from_wire({"name": "t", "outputs": OUTPUTS}).plan, from_rows(events), Limits(5, 1_000, 50)
    )
    kinds = kinds_of(result.plan)

    def asked(**words: Any) -> list[dict[str, Any]]:
        request = Request.parse(kinds, **words)
        return merge(request, [partial(result, request)]).rows

    assert asked(agg="count, sum(n)") == [{"count": 2, "sum(n)": 2}]
    assert asked(agg="count, sum(n)", lives=True) == [{"count": 4, "sum(n)": 5}]
    assert asked(agg="count, avg(n)", group_by=["key"], lives=True) == [
        {"key": "u", "count": 3, "avg(n)": pytest.approx(4 / 3)},
        {"key": "v", "count": 1, "avg(n)": 1},
    ]
    at = [0, 54, 55, 100, 149, 150, 203, 249, 250]
    assert [row["count"] for row in asked(agg="count", at=at)] == [1, 1, 0, 1, 1, 0, 2, 2, 1]


@pytest.mark.parametrize("all_at_once", [True, False])
def test_a_life_that_is_heard_of_and_joined_in_one_step(all_at_once: bool) -> None:
    plan = make_plan('count(a == "x") * 1000')
    limits = Limits(20, 1_000, 10)
    below, above = plan.nodes
    leaf = Node(below.operator, [], limits, below.before_origin)
    top = Node(above.operator, [below.operator.kind], limits, above.before_origin)
    for number, tick in enumerate([0, 15, 8]):
        patch = leaf.accept(from_rows([("k", tick, {"a": "x"})], (number,)), (number,))
        assert patch is not None
        top.receive(0, from_patch(json(to_patch(patch))))
        if not all_at_once:
            top.advance()
    top.advance()
    answers = Answers(top.state)
    assert [answers.life(code)[1:] for code in answers.lives("k")] == [(0, 15)]
    assert answers.value("k", None)[0] == 3000
    request = Request.parse(kinds_of(plan), agg="count")
    assert merge(request, [partial(answers, request)]).rows == [{"count": 1}]


def test_lives_join_after_a_state_was_carried_in_which_one_is_quarantined() -> None:
    plan = make_plan('count(a == "x")')
    limits = Limits(20, 1_000, 10)
    [planned] = plan.nodes
    leaf = Node(planned.operator, [], limits, planned.before_origin)

    def feed(node: Node, number: int, *events: tuple[str, int]) -> None:
        batch = from_rows([(key, tick, {"a": "x"}) for key, tick in events], (number,))
        node.accept(batch, (number + len(events) - 1,))

    for number, event in enumerate([("B", 0), ("B", 15), ("A", 0)]):
        feed(leaf, number, event)
    good = leaf.state.operator
    poison(leaf, {"A@15"}, reading=False)
    feed(leaf, 3, ("A", 15))
    leaf.state.operator = good
    other = Node(planned.operator, [], limits, planned.before_origin)
    from_state(to_state([leaf.state]), [other.state])
    feed(other, 4, ("A", 8), ("B", 8))
    answers = Answers(other.state)
    assert {key: answers.value(key, None)[:2] for key in "AB"} == {"A": (3, 15), "B": (3, 15)}


def test_a_time_before_the_first_life_that_is_known_may_be_of_one_that_is_forgotten() -> None:
    limits = Limits(5, 20, 10)
    events = [("k", 4, {"a": "x"}), ("m", 20, {"a": "x"}), ("k", 100, {"a": "x"})]
    assert graph_of(events[:2], limits).answers.value("k", 4)[0] == {"state": "x", "n": 1, "long": 0}
    with pytest.raises(RetentionError, match="the lives that ended before 75 ms are forgotten"):
        graph_of(events, limits).answers.value("k", 4)
    local = evaluate(Spec.from_wire({"name": "t", "outputs": OUTPUTS}).plan, from_rows(events), limits)
    assert [row.at for row in local.values(at=[4, 80, 100], keys=["k"])] == [80, 100]

"""All operators against their definitions, however the input is cut, late, repeated or reordered."""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import orjson
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.oracle import Oracle, exact, same
from timeline import expression as ex
from timeline.evaluate import evaluate
from timeline.events import Events, from_rows
from timeline.exact import NULL
from timeline.expression import conjunction, disjunction
from timeline.graph import Graph
from timeline.limits import Limits
from timeline.node import Node
from timeline.plan import Plan, make_plan
from timeline.table import Shape, Table, Window, cut
from timeline.ticks import TICK_BITS
from timeline.wire import from_events, from_patch, from_state, to_events, to_patch, to_state

END = 26
COLUMNS = ("a", "b")
VALUES: tuple[Any, ...] = ("x", "y", 1, 2.5, 0.0001, -3, True, None)

columns = st.sampled_from(COLUMNS).map(ex.Column)
constants = st.sampled_from(VALUES).map(ex.Constant)
booleans = st.booleans().map(ex.Constant)
numbers = st.sampled_from([0, 0.002, 0.0035, 0.005, 1, -1]).map(ex.Constant)
factors = st.sampled_from([0, 2, -1, 0.25, 3, 7]).map(ex.Constant)
nothing = st.just(ex.Constant(None))
durations = st.integers(1, 8)
comparison_ops = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
equality_ops = st.sampled_from(["==", "!="])


def combined(parts: st.SearchStrategy[ex.Expression]) -> st.SearchStrategy[ex.Expression]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.builds(ex.Not, parts) | several.map(conjunction) | several.map(disjunction)


comparisons = st.builds(ex.Compare, comparison_ops, columns, columns | constants) | st.builds(
    ex.Compare, comparison_ops, constants, columns
)
predicates = comparisons | combined(comparisons)
latest = st.builds(ex.LatestEventToState, columns)


@functools.cache
def states(depth: int) -> st.SearchStrategy[ex.Expression]:
    if depth == 0:
        return latest
    inner = states(depth - 1)
    choices = st.tuples(inner, inner | constants) | st.tuples(inner | constants, inner)
    chosen = st.tuples(constants, constants).filter(lambda c: not all(type(x.value) is bool for x in c))
    return (
        latest
        | st.builds(ex.PriorState, inner | bools(depth - 1))
        | st.builds(ex.Lag, inner, durations)
        | st.builds(lambda b, c: ex.If(b, *c), bools(depth - 1), choices | chosen)
    )


@functools.cache
def bools(depth: int) -> st.SearchStrategy[ex.Expression]:
    leaves = (
        st.builds(ex.HasExisted, predicates)
        | st.builds(ex.HasExistedWithin, predicates, durations)
        | st.builds(ex.Compare, comparison_ops, latest, latest | constants)
    )
    if depth == 0:
        return leaves
    inner = bools(depth - 1)
    return (
        leaves
        | combined(inner)
        | st.builds(ex.HasExisted, inner)
        | st.builds(ex.HasExistedWithin, inner, durations)
        | st.builds(ex.Compare, equality_ops, inner, inner | constants | latest)
        | st.builds(ex.Compare, comparison_ops, states(depth - 1), states(depth - 1) | constants)
        | st.builds(
            ex.Compare,
            comparison_ops,
            numerics(depth - 1) | ratios(depth - 1),
            numerics(depth - 1) | ratios(depth - 1) | numbers | latest | nothing,
        )
        | st.builds(ex.Compare, comparison_ops, numbers | latest, numerics(depth - 1) | ratios(depth - 1))
        | st.builds(ex.Lag, inner, durations)
        | st.builds(ex.If, inner, inner, inner | booleans)
        | st.builds(ex.If, inner, booleans, inner | booleans)
    )


@functools.cache
def numerics(depth: int) -> st.SearchStrategy[ex.Expression]:
    plain = (
        st.builds(ex.DurationWhere, bools(depth))
        | st.builds(ex.DurationInCurState, states(depth) | bools(depth))
        | st.builds(ex.DurationInPriorState, states(depth) | bools(depth))
        | st.builds(ex.Count, predicates)
        | st.builds(ex.Sum, columns)
        | st.builds(ex.CountRises, bools(depth))
    )
    if depth == 0:
        return plain
    inner = numerics(depth - 1)
    signs = st.sampled_from(["+", "-"])
    return (
        plain
        | st.builds(ex.Lag, inner, durations)
        | st.builds(ex.If, bools(depth - 1), inner, inner | numbers | nothing)
        | st.builds(ex.If, bools(depth - 1), numbers | nothing, inner)
        | st.builds(ex.Arithmetic, signs, inner | latest, inner | latest | numbers)
        | st.builds(ex.Arithmetic, signs, numbers, inner | latest)
        | st.builds(ex.Arithmetic, st.just("*"), inner | latest, factors)
        | st.builds(ex.Arithmetic, st.just("*"), factors, inner | latest)
        | st.builds(ex.Arithmetic, st.just("/"), inner | latest, factors)
    )


@functools.cache
def ratios(depth: int) -> st.SearchStrategy[ex.Expression]:
    numeric = numerics(depth)
    return st.builds(ex.Arithmetic, st.just("/"), numeric | latest | factors, numeric | latest)


expressions = states(2) | bools(2) | numerics(2) | ratios(1)
rows = st.lists(
    st.tuples(
        st.sampled_from(["k", "l", "m"]),
        st.integers(0, 20),
        st.dictionaries(st.sampled_from(COLUMNS), st.sampled_from(VALUES)),
    ),
    min_size=1,
    max_size=12,
)
cuts = st.lists(st.integers(0, 12), max_size=4)


def batches(events: Events, at: list[int]) -> list[Events]:
    bounds = sorted({0, len(events), *(c for c in at if c < len(events))})
    return [events.take(slice(a, b)) for a, b in itertools.pairwise(bounds)]


def through_wire(node: Node, planned: Any, plan: Plan, limits: Limits) -> Node:
    """The node as it is after continuing as new."""
    shapes = [plan.nodes[i].operator.shape for i in planned.inputs]
    fresh = Node(planned.operator, shapes, limits, planned.before_origin)
    from_state(to_state(node), fresh)
    return fresh


def json(wire: Any) -> Any:
    return orjson.loads(orjson.dumps(wire, option=orjson.OPT_SERIALIZE_NUMPY))


def exact_value(table: Table, row: int, tick: int) -> Any:
    if table.slope is None:
        return table.python_value(row, tick)
    if np.any(table.value[row] == NULL):
        return None
    moved = table.value[row] + table.slope[row] * (tick - int(table.tick[row]))
    if table.shape is Shape.NUMERIC:
        return int(moved) * table.unit
    return None if moved[1] == 0 else Fraction(int(moved[0]), int(moved[1]))


def check(table: Table, names: list[str], plan: Plan, events: Any, what: str) -> None:
    """Compares a node's table with the oracle at every tick of every key."""
    part = plan.nodes[-1].expression
    for code, name in enumerate(names):
        mine = [(t, e) for k, t, e in events if k == name]
        if not mine:
            continue
        oracle = Oracle(mine)
        rows_of_key = cut(table, Window(np.array([code << TICK_BITS])))
        assert rows_of_key.tick[0] == oracle.origin, f"{what}: origin of {name}"
        for tick in range(oracle.origin, END):
            row = int(np.searchsorted(rows_of_key.tick, tick, side="right")) - 1
            got = exact_value(rows_of_key, row, tick)
            wanted = exact(oracle.at(part, tick))
            assert same(exact(got), wanted), f"{what}: {name} at {tick}: {got} is not {wanted}"


@settings(max_examples=300, deadline=None)
@given(expressions, rows)
def test_one_pass_is_the_definition(expression: ex.Expression, events: Any) -> None:
    plan = make_plan(expression)
    note(plan.result.text)
    result = evaluate(plan, from_rows(events))
    check(result.tables[-1], result.keys.names, plan, events, "evaluate")


@settings(max_examples=300, deadline=None)
@given(expressions, rows, cuts)
def test_any_cut_gives_the_tables_of_one_pass(expression: ex.Expression, events: Any, at: list[int]) -> None:
    plan = make_plan(expression)
    note(plan.result.text)
    whole = evaluate(plan, from_rows(events))
    graph = Graph(plan)
    for batch in batches(from_rows(events), at):
        graph.feed(batch, tuple(batch.position[-1].tolist()))
    for planned, node in zip(plan.nodes, graph.nodes, strict=True):
        for key in whole.names():
            table, origin, newest = node.timeline(key)
            assert table.json_rows() == whole.timeline(key, planned).json_rows(), planned.text
            assert (origin, newest) == whole.span(key)


@settings(max_examples=150, deadline=None)
@given(expressions, rows, cuts, st.data())
def test_wire_repeats_and_carried_state_change_nothing(
    expression: ex.Expression, events: Any, at: list[int], data: st.DataObject
) -> None:
    """Batches and patches through JSON, batches sent twice, nodes replaced by their carried state."""
    plan = make_plan(expression)
    note(plan.result.text)
    limits = Limits()
    graph = Graph(plan)
    sent = batches(from_rows(events), at)
    stutter = [b for b in sent for _ in range(data.draw(st.integers(1, 2)))]
    for batch in stutter:
        again, last = from_events(json(to_events(batch, tuple(batch.position[-1].tolist()))))
        for planned in plan.nodes:
            node = graph.nodes[planned.index]
            patch = node.accept(again, last) if planned.leaf else node.advance()
            if patch is None:
                continue
            patch = from_patch(json(to_patch(patch)))
            for parent in plan.nodes[planned.index + 1 :]:
                for index, child in enumerate(parent.inputs):
                    if child == planned.index:
                        for _ in range(data.draw(st.integers(1, 2))):
                            graph.nodes[parent.index].receive(index, patch)
        if data.draw(st.booleans()):
            graph.nodes = [
                through_wire(n, p, plan, limits) for n, p in zip(graph.nodes, plan.nodes, strict=True)
            ]
    whole = evaluate(plan, from_rows(events))
    for planned, node in zip(plan.nodes, graph.nodes, strict=True):
        for key in whole.names():
            rows_now = node.timeline(key)[0].json_rows()
            assert rows_now == whole.timeline(key, planned).json_rows(), planned.text


@settings(max_examples=150, deadline=None)
@given(expressions, rows, cuts, st.integers(0, 6))
def test_late_events_are_refused_alike(
    expression: ex.Expression, events: Any, at: list[int], lateness: int
) -> None:
    plan = make_plan(expression)
    note(plan.result.text)
    newest: dict[str, int] = {}
    accepted = []
    for key, tick, values in events:
        if tick >= newest.get(key, -1) - lateness:
            newest[key] = max(tick, newest.get(key, -1))
            accepted.append((key, tick, values))
    whole = evaluate(plan, from_rows(events), Limits(lateness))
    assert (whole.accepted, whole.refused) == (len(accepted), len(events) - len(accepted))
    check(whole.tables[-1], whole.keys.names, plan, accepted, "evaluate")
    graph = Graph(plan, Limits(lateness, retention=1_000))
    for batch in batches(from_rows(events), at):
        graph.feed(batch, tuple(batch.position[-1].tolist()))
    for key in whole.names():
        rows_now = graph.result.timeline(key)[0].json_rows()
        assert rows_now == whole.timeline(key, plan.result).json_rows()

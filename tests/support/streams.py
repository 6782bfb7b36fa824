"""Random expressions, streams and cuts, and what a table says exactly."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from fractions import Fraction
from typing import Any
from unittest import mock

import numpy as np
import orjson
from hypothesis import strategies as st

from tests.support import trees
from tests.support.trees import COUNTING, Trees, calls_of
from timeline.engine.node import Node
from timeline.engine.state_wire import from_state, to_state
from timeline.language import expression as ex
from timeline.language.expression import conjunction, disjunction
from timeline.limits import Limits
from timeline.plan import Plan
from timeline.tables import columnar
from timeline.tables.columnar import from_bytes, to_bytes
from timeline.tables.events import Events, Position
from timeline.tables.marks import marked
from timeline.tables.table import Table
from timeline.values.exact import NULL
from timeline.values.kinds import Kind

END = 26


COLUMNS = ("a", "b")


VALUES: tuple[Any, ...] = ("x", "y", 1, 2.5, 0.0001, -3, True, None)


columns = st.sampled_from(COLUMNS).map(ex.Column)


constants = st.sampled_from(VALUES).map(ex.Constant)


booleans = st.booleans().map(ex.Constant)


numbers = st.sampled_from([0, 0.002, 0.0035, 0.005, 1, -1]).map(ex.Constant)


some_numbers = st.lists(numbers, min_size=1, max_size=3).map(tuple)


factors = st.sampled_from([0, 2, -1, 0.25, 3, 7]).map(ex.Constant)


nothing = st.just(ex.Constant(None))


durations = st.integers(1, 8)


comparison_ops = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


equality_ops = st.sampled_from(["==", "!="])


def combined(parts: Trees) -> Trees:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.builds(ex.Not, parts) | several.map(conjunction) | several.map(disjunction)


comparisons = st.builds(ex.Compare, comparison_ops, columns, columns | constants) | st.builds(
    ex.Compare, comparison_ops, constants, columns
)


several = st.lists(st.sampled_from([*VALUES, 0.002, 3]), min_size=1, max_size=3).map(
    lambda values: tuple(map(ex.Constant, values))
)


texts = st.tuples(
    st.sampled_from([trees.StartsWith, trees.Matches]),
    st.sampled_from(["", "x", "y", "^[xz]$", "x|y"]).map(ex.Constant),
)


def text_tests(of: Trees) -> Trees:
    return st.builds(lambda x, test: test[0](x, test[1]), of, texts)


membership = functools.partial(st.builds, ex.membership)


asked: Trees = st.one_of(comparisons, membership(columns, several), text_tests(columns))


predicates = asked | combined(asked)


latest = calls_of(Kind.STATE, {Kind.COLUMN: columns}, durations)


@functools.cache
def states(depth: int) -> Trees:
    if depth == 0:
        return latest
    inner = states(depth - 1)
    choices = st.tuples(inner, inner | constants) | st.tuples(inner | constants, inner)
    chosen = st.tuples(constants, constants).filter(lambda c: not all(type(x.value) is bool for x in c))
    return (
        calls_of(
            Kind.STATE, {Kind.COLUMN: columns, Kind.STATE: inner, Kind.BOOL: bools(depth - 1)}, durations
        )
        | st.builds(trees.Lag, inner, durations)
        | st.builds(lambda b, c: trees.If(b, *c), bools(depth - 1), choices | chosen)
    )


@functools.cache
def bools(depth: int) -> Trees:
    compared = (
        st.builds(ex.Compare, comparison_ops, latest, latest | constants)
        | membership(latest, several)
        | text_tests(latest)
    )
    if depth == 0:
        return calls_of(Kind.BOOL, {Kind.PREDICATE: predicates}, durations) | compared
    inner = bools(depth - 1)
    return (
        calls_of(Kind.BOOL, {Kind.PREDICATE: predicates, Kind.BOOL: inner}, durations)
        | compared
        | combined(inner)
        | st.builds(ex.Compare, equality_ops, inner, inner | constants | latest)
        | st.builds(ex.Compare, comparison_ops, states(depth - 1), states(depth - 1) | constants)
        | st.builds(
            ex.Compare,
            comparison_ops,
            numerics(depth - 1) | ratios(depth - 1),
            numerics(depth - 1) | ratios(depth - 1) | numbers | latest | nothing,
        )
        | st.builds(ex.Compare, comparison_ops, numbers | latest, numerics(depth - 1) | ratios(depth - 1))
        | text_tests(states(depth - 1))
        | membership(states(depth - 1), several)
        | membership(numerics(depth - 1) | ratios(depth - 1), some_numbers)
        | st.builds(trees.Lag, inner, durations)
        | st.builds(trees.If, inner, inner, inner | booleans)
        | st.builds(trees.If, inner, booleans, inner | booleans)
    )


@functools.cache
def numerics(depth: int) -> Trees:
    of = {
        Kind.COLUMN: columns,
        Kind.PREDICATE: predicates,
        Kind.STATE: states(depth),
        Kind.BOOL: bools(depth),
    }
    if depth == 0:
        return calls_of(Kind.NUMERIC, of, durations)
    inner = numerics(depth - 1)
    counting = calls_of(Kind.NUMERIC, {**of, Kind.NUMERIC: inner}, durations, COUNTING)
    counted = (
        counting
        | st.builds(ex.Arithmetic, st.sampled_from(["+", "-"]), counting, counting | numbers)
        | st.builds(ex.Arithmetic, st.sampled_from(["*", "/"]), counting, factors)
    )
    signs = st.sampled_from(["+", "-"])
    return (
        calls_of(Kind.NUMERIC, {**of, Kind.NUMERIC: inner}, durations)
        | st.builds(trees.Since, predicates | bools(depth - 1), counted)
        | st.builds(trees.Lag, inner, durations)
        | st.builds(trees.If, bools(depth - 1), inner, inner | numbers | nothing)
        | st.builds(trees.If, bools(depth - 1), numbers | nothing, inner)
        | st.builds(ex.Arithmetic, signs, inner | latest, inner | latest | numbers)
        | st.builds(ex.Arithmetic, signs, numbers, inner | latest)
        | st.builds(ex.Arithmetic, st.just("*"), inner | latest, factors)
        | st.builds(ex.Arithmetic, st.just("*"), factors, inner | latest)
        | st.builds(ex.Arithmetic, st.just("/"), inner | latest, factors)
    )


@functools.cache
def ratios(depth: int) -> Trees:
    numeric = numerics(depth)
    of = {
        Kind.COLUMN: columns,
        Kind.PREDICATE: predicates,
        Kind.STATE: states(depth),
        Kind.BOOL: bools(depth),
    }
    counting = calls_of(Kind.NUMERIC, of, durations, COUNTING)
    mean = calls_of(Kind.RATIO, {Kind.STATE: states(depth)}, durations)
    quotient = st.builds(ex.Arithmetic, st.just("/"), counting | factors, counting)
    return (
        st.builds(ex.Arithmetic, st.just("/"), numeric | latest | factors, numeric | latest)
        | mean
        | st.builds(trees.Since, predicates | bools(depth), mean | quotient)
    )


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


def marked_batches(
    events: Events, at: list[int], marks: Mapping[int, int], alone: bool = False
) -> Iterator[tuple[Events, Position]]:
    """The same with where each ends, cut also at marks, which are by the number of events before them
    (one at least); with ``alone`` a mark is a batch of its own."""
    done = 0
    for batch in batches(events, [*at, *marks]):
        last: Position = tuple(batch.position[-1].tolist())
        done += len(batch)
        mark = marks.get(done)
        if mark is None or alone:
            yield batch, last
        if mark is not None:
            yield batch.take(slice(0, 0)) if alone else batch, marked(last, mark)


def through_wire(node: Node, planned: Any, plan: Plan, limits: Limits) -> Node:
    """The node as it is after continuing as new."""
    shapes = [plan.nodes[i].operator.kind for i in planned.inputs]
    fresh = Node(planned.operator, shapes, limits, planned.before_origin)
    with all_columns():
        from_state(to_state([node.state]), [fresh.state])
    return fresh


def json(wire: Any) -> Any:
    """A message as it arrives: with arrays, or with lists where it was short or written as form 1."""
    text = orjson.dumps(wire, option=orjson.OPT_SERIALIZE_NUMPY)
    if len(text) % 2:
        return orjson.loads(text)
    with all_columns():
        return from_bytes(to_bytes(wire))


def all_columns() -> AbstractContextManager[Any]:
    """Columns of any length are written as such, not only long ones."""
    return mock.patch.object(columnar, "FEWEST", 1)


def exact_value(table: Table, row: int, tick: int) -> Any:
    if table.slope is None:
        return table.python_value(row, tick)
    if np.any(table.value[row] == NULL):
        return None
    moved = table.value[row] + table.slope[row] * (tick - int(table.tick[row]))
    if table.kind is Kind.NUMERIC:
        return int(moved) * table.unit
    return None if moved[1] == 0 else Fraction(int(moved[0]), int(moved[1]))

"""Hypothesis strategies for trees: well-kinded ones, as the parser and the builder make them."""

from __future__ import annotations

import functools

from hypothesis import strategies as st

from tests.support.trees import If, Lag, Matches, StartsWith, calls_of
from timeline.language.expression import (
    Arithmetic,
    Column,
    Compare,
    Constant,
    Expression,
    Not,
    conjunction,
    disjunction,
    membership,
)
from timeline.values.kinds import Kind
from timeline.values.scalars import CompareOp
from timeline.values.ticks import MAX_TICK

# Names that cannot be written bare, and names that look as if they could not.
_NAMES = (
    *("state", "_x", "a1", "lat_long", "android", "nothing", "e5", "s", "ms"),
    *("not", "and", "or", "true", "false", "null", "True", "None", "col"),
    *("count", "sum", "if", "lag", "prior_state"),
    *("has_existed", "TL_And", "TL_HasExistedWithin", "TL_Nope"),
    *("", "lat long", "é", "5s", "a-b", 'a"b', "a'b", "a\\b", "a\nb", "# a", "// a", "\u2028"),
)
_ALL_OPS: tuple[CompareOp, ...] = ("==", "!=", "<", "<=", ">", ">=")
_EQUAL_OPS: tuple[CompareOp, ...] = ("==", "!=")

columns = st.builds(Column, st.sampled_from(_NAMES) | st.text(max_size=8))
numbers = st.builds(
    Constant,
    st.integers()
    | st.integers(-(10**308), 10**308)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([2**53 + 1, 1e300, -0.0, 0.1, 1e-300, 10**21, 10**23]),
)
booleans = st.builds(Constant, st.booleans())
nothing = st.just(Constant(None))
constants = st.builds(Constant, st.text(max_size=8)) | numbers | booleans | nothing
durations = st.integers(1, MAX_TICK) | st.sampled_from([1, 500, 1_000, 60_000, 3_600_000])


def _compare(
    left: st.SearchStrategy[Expression],
    right: st.SearchStrategy[Expression],
    ops: tuple[CompareOp, ...] = _ALL_OPS,
) -> st.SearchStrategy[Expression]:
    op = st.sampled_from(ops)
    return st.builds(Compare, op, left, right) | st.builds(Compare, op, right, left)


def _combined(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(parts, min_size=2, max_size=4).map(tuple)
    return st.builds(Not, parts) | st.builds(conjunction, several) | st.builds(disjunction, several)


_TESTS = st.tuples(st.sampled_from([StartsWith, Matches]), st.sampled_from(["", "x", "^é?$"]).map(Constant))


def _asked(of: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    """Whether it is one of some values, or a text that fits."""
    values = st.lists(constants, min_size=1, max_size=3).map(tuple)
    return st.builds(membership, of, values) | st.builds(lambda x, t: t[0](x, t[1]), of, _TESTS)


_comparisons = _compare(columns, columns | constants) | _asked(columns)


@functools.cache
def predicates(depth: int = 2) -> st.SearchStrategy[Expression]:
    """Predicates over events."""
    return _comparisons if depth == 0 else _comparisons | _combined(predicates(depth - 1))


def states() -> st.SearchStrategy[Expression]:
    return calls_of(Kind.STATE, {Kind.COLUMN: columns}, durations)


@functools.cache
def bools(depth: int) -> st.SearchStrategy[Expression]:
    compared = _compare(states(), states() | constants) | _asked(states())
    if depth == 0:
        return calls_of(Kind.BOOL, {Kind.PREDICATE: predicates()}, durations) | compared
    inner = bools(depth - 1)
    return (
        calls_of(Kind.BOOL, {Kind.PREDICATE: predicates(), Kind.BOOL: inner}, durations)
        | compared
        | _combined(inner)
        | _compare(inner, inner | constants | states(), _EQUAL_OPS)
        | _compare(numerics(depth - 1), numerics(depth - 1) | numbers | nothing | states())
    )


@functools.cache
def numerics(depth: int) -> st.SearchStrategy[Expression]:
    leaves = calls_of(
        Kind.NUMERIC,
        {
            Kind.COLUMN: columns,
            Kind.PREDICATE: predicates(),
            Kind.STATE: states(),
            Kind.BOOL: bools(depth),
        },
        durations,
    )
    if depth == 0:
        return leaves
    inner = numerics(depth - 1) | states()
    signs = st.sampled_from(["+", "-"])
    return (
        leaves
        | calls_of(Kind.NUMERIC, {Kind.NUMERIC: inner}, durations)
        | st.builds(Arithmetic, signs, inner, inner | numbers)
        | st.builds(Arithmetic, signs, numbers, inner)
        | st.builds(Arithmetic, st.just("*"), inner, numbers)
        | st.builds(Arithmetic, st.just("*"), numbers, inner)
        | st.builds(Arithmetic, st.just("/"), inner, numbers)
        | st.builds(Lag, numerics(depth - 1), durations)
        | st.builds(If, bools(depth - 1), numerics(depth - 1), numerics(depth - 1) | numbers | nothing)
    )


def ratios(depth: int) -> st.SearchStrategy[Expression]:
    inner = numerics(depth) | states()
    return st.builds(Arithmetic, st.just("/"), inner | numbers, inner)


def expressions(depth: int = 2) -> st.SearchStrategy[Expression]:
    """Whole expressions: timelines of every kind, about ``3 * depth`` levels at most."""
    prior = calls_of(Kind.STATE, {Kind.STATE: states(), Kind.BOOL: bools(1)}, durations)
    chosen = st.builds(If, bools(1), states(), states() | constants) | st.builds(Lag, states(), durations)
    return states() | prior | chosen | bools(depth) | numerics(depth) | ratios(1)

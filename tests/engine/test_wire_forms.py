"""Batches, patches and states in both forms, and of every number there is; what is damaged is refused."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any
from unittest import mock

import numpy as np
import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.support.streams import all_columns, json, rows
from timeline.engine.node import Node
from timeline.engine.patch import Patch
from timeline.engine.state_wire import from_state, to_state
from timeline.engine.wire import from_patch, to_patch
from timeline.errors import TimelineError, WireError
from timeline.limits import Limits
from timeline.plan import make_plan
from timeline.tables import columnar
from timeline.tables.columnar import from_bytes, to_bytes
from timeline.tables.events import Events, from_rows
from timeline.tables.packing import MAX_KEYS, pack
from timeline.tables.table import Table, Window, empty
from timeline.tables.wire import from_events, from_table, from_window, to_events, to_table, to_window
from timeline.values.exact import NULL, THOUSANDTH
from timeline.values.kinds import TIMELINES, Kind
from timeline.values.ticks import MAX_TICK

small = st.integers(-(2**62), 2**62) | st.integers(-2, 2) | st.just(NULL)
huge = small | st.integers(-(10**40), 10**40)
places = st.lists(
    st.tuples(
        st.integers(0, 3) | st.sampled_from([0, MAX_KEYS - 1]),
        st.integers(0, 9) | st.sampled_from([0, MAX_TICK]),
    ),
    unique=True,
)


def places_of(found: list[tuple[int, int]]) -> Any:
    key, tick = np.array(sorted(found), np.int64).reshape(-1, 2).T
    return pack(key, tick)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    kind = draw(st.sampled_from(TIMELINES))
    at = places_of(draw(places))

    def column(of: Any, dtype: Any) -> Any:
        made = np.array(draw(st.lists(of, min_size=len(at), max_size=len(at))), dtype)
        return made.reshape(len(at))

    if kind is Kind.BOOL:
        return Table(kind, at, column(st.booleans(), bool))
    if kind is Kind.STATE:
        return Table(kind, at, column(st.integers(0, 5), np.int64))
    dtype, of = draw(st.sampled_from([(np.int64, small), (object, huge)]))
    unit = draw(st.sampled_from([THOUSANDTH, Fraction(1, 7000), Fraction(3, 10**30)]))
    several = [(column(of, dtype), column(of, dtype)) for _ in range(2)]
    if kind is Kind.NUMERIC:
        return Table(kind, at, *several[0], None, unit)
    value, slope = (np.stack(parts, axis=1) for parts in zip(*several, strict=True))
    return Table(kind, at, value, slope, None, unit)


def same_table(a: Table, b: Table) -> None:
    assert (a.kind, a.at.tolist(), a.value.tolist(), a.unit) == (
        b.kind,
        b.at.tolist(),
        b.value.tolist(),
        b.unit,
    )
    assert (a.slope is None) == (b.slope is None)
    if a.slope is not None and b.slope is not None:
        assert a.slope.tolist() == b.slope.tolist()
    # An empty column has lost that it was one of Python's numbers, and needs none.
    assert len(a) == 0 or a.value.dtype == b.value.dtype


def both_forms(wire: Any) -> list[Any]:
    """As it arrives from a worker of before, and with all its columns as arrays."""
    with mock.patch.object(columnar, "FORM", 1):
        before = from_bytes(to_bytes(wire))
    with all_columns():
        return [before, from_bytes(to_bytes(wire))]


@given(tables())
def test_tables(table: Table) -> None:
    for wire in both_forms(to_table(table)):
        same_table(from_table(wire, None), table)


@given(tables(), places, st.sampled_from([1, 2]), st.data())
def test_windows(table: Table, others: list[tuple[int, int]], form: int, data: Any) -> None:
    """Of the keys of the rows, of fewer, of more; from their first row on, or from before it."""
    first = {int(key): int(tick) for key, tick in zip(table.key[::-1], table.tick[::-1], strict=True)}
    of_rows = [(key, data.draw(st.sampled_from([tick, 0, tick // 2]))) for key, tick in first.items()]
    behind = [(key, min(tick + 1, MAX_TICK)) for key, tick in first.items()]
    found = dict(data.draw(st.sampled_from([of_rows, of_rows[1:], of_rows + others, behind, []])))
    window = Window(places_of(list(found.items())))
    with mock.patch.object(columnar, "FORM", form):
        written = to_window(window, table)
    for wire in both_forms(written):
        assert from_window(wire, table).at.tolist() == window.at.tolist()
    within = all(found[key] <= tick for key, tick in first.items() if key in found)
    assert ("before" in written) == (form == 2 and found.keys() == first.keys() and within)


def patches(events: Events) -> list[Patch]:
    """What the nodes of a few expressions say of events."""
    said = []
    for text in ("latest_event_to_state(a)", "has_existed(a == 1)", "sum(b)"):
        node = Node(make_plan(text).result.operator, [], Limits(5, 5), None)
        patch = node.accept(events, tuple(events.position[-1].tolist()))
        said += [] if patch is None else [patch]
    return said


@given(rows)
def test_patches_and_batches_of_before(given: Any) -> None:
    events = from_rows(given)
    for patch in patches(events):
        with mock.patch.object(columnar, "FORM", 1):
            before = to_patch(patch)
        for wire in (*both_forms(before), *both_forms(to_patch(patch))):
            again = from_patch(wire)
            same_table(again.rows, patch.rows)
            assert again.window.at.tolist() == patch.window.at.tolist()
            assert again.heard.tolist() == patch.heard.tolist()
            assert (again.names, again.values) == (patch.names, patch.values)
    for wire in both_forms(to_events(events, (9,))):
        assert from_events(wire)[0].position.tolist() == events.position.tolist()


def test_states_of_before() -> None:
    """Written as form 1 and as form 2, also with batches in the inbox."""
    plan = make_plan("latest_event_to_state(a)")
    node = Node(plan.result.operator, [], Limits(5, 5), None)
    given = np.random.default_rng(1).integers(0, 10**6, (900, 2)).tolist()
    node.accept(from_rows([(f"k{a % 30}", a, {"a": b % 7}) for a, b in given]), (900,))
    waiting = to_events(from_rows([("k", i, {"a": i}) for i in range(200)], (901,)), (1_100,))
    blobs = []
    for form in (1, 2):
        with mock.patch.object(columnar, "FORM", form):
            blobs.append(to_state([node.state], inbox=[waiting]))
    assert "version" in orjson.loads(zstandard.decompress(blobs[0]))
    assert len(blobs[1]) < len(blobs[0])
    for blob in blobs:
        fresh = Node(plan.result.operator, [], Limits(5, 5), None)
        [entry] = from_state(blob, [fresh.state])["inbox"]
        same_table(fresh.state.own.whole(), node.state.own.whole())
        assert fresh.state.by_key.newest.tolist() == node.state.by_key.newest.tolist()
        batch, last = from_events(entry)
        assert (len(batch), last) == (200, (1_100,))


BATCH = json(to_events(from_rows([("k", i, {"a": i}) for i in range(5)]), (5,)))
PATCH = json(to_patch(patches(from_rows([("k", i, {"a": i, "b": i}) for i in range(5)]))[2]))
NOTHING: Any = object()


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("key", [0]),
        ("key", [0, 0, 0, 0, 1]),
        ("key", [0, 0, 0, 0, -1]),
        ("key", 7),
        ("key", NOTHING),
        ("keys", None),
        ("tick", ["x"] * 5),
        ("tick", [2**70] * 5),
        ("tick", {"a": 1}),
        ("columns", []),
        ("columns.a.codes", [1, 2, 3, 4]),
        ("columns.a.codes", [1, 2, 3, 4, 6]),
        ("position", []),
        ("position", [[1], [2, 3]]),
        ("position", [[1, 2]]),
        ("last", None),
    ],
)
def test_a_batch_that_is_none(path: str, wrong: Any) -> None:
    with pytest.raises(WireError, match="a batch of events cannot be understood"):
        from_events(damaged(BATCH, path, wrong))


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("rows", NOTHING),
        ("rows.shape", "nothing"),
        ("rows.at.key", [0]),
        ("rows.value", [0]),
        ("rows.slope", [0, 1]),
        ("rows.null", [99]),
        ("rows.unit", "1/0"),
        ("window.before", [1, 2, 3, 4, 5, 6, 7]),
        ("window", None),
        ("heard.tick", [1, 2]),
        ("position", 3),
        ("more", NOTHING),
    ],
)
def test_a_patch_that_is_none(path: str, wrong: Any) -> None:
    with pytest.raises(TimelineError, match="cannot be understood"):
        from_patch(damaged(PATCH, path, wrong))


def damaged(wire: Any, path: str, wrong: Any) -> Any:
    wire = copy.deepcopy(wire)
    *way, name = path.split(".")
    part = wire
    for step in way:
        part = part[step]
    if wrong is NOTHING:
        del part[name]
    else:
        part[name] = wrong
    return wire


def test_an_empty_table_is_told_by_its_kind() -> None:
    for kind in TIMELINES:
        for wire in both_forms(to_table(empty(kind))):
            same_table(from_table(wire, None), empty(kind))

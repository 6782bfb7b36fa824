"""When a node encodes its state to see how large it is: only if it may be too large by what has come."""

from __future__ import annotations

import numpy as np

from timeline.engine.patch import Patch
from timeline.tables.table import Window, empty
from timeline.values.kinds import Kind
from workflows.gauge import MAX_STATE, MAX_STORED_STATE, MOST_BYTES, TEXT_BYTES, Gauge


def said(names: list[str]) -> list[Patch]:
    nothing = np.empty(0, np.int64)
    return [Patch((1,), 0, names, 1, [], nothing, Window(nothing), empty(Kind.BOOL))]


def test_rows_that_cannot_fill_it_are_not_measured() -> None:
    gauge = Gauge(MAX_STATE)
    most = MAX_STATE // MOST_BYTES
    assert (gauge.grown(most, said([])), gauge.may_be_full) == (True, False)
    assert (gauge.grown(most * 2, said([])), gauge.may_be_full) == (True, True)
    gauge.measured(1_000, most * 2)
    assert (gauge.may_be_full, gauge.about) == (False, 1_000)
    # Without a store nothing is taken to be as small as what was measured.
    gauge.grown(most * 3, said([]))
    assert gauge.may_be_full


def test_text_counts_until_it_is_measured() -> None:
    gauge = Gauge(MAX_STATE)
    gauge.grown(1, said(["k" * (MAX_STATE // TEXT_BYTES)]))
    assert gauge.may_be_full
    gauge.measured(600_000, 1)
    assert not gauge.may_be_full


def test_stored_rows_may_be_twice_as_wide_as_those_before() -> None:
    gauge = Gauge(MAX_STORED_STATE)
    gauge.measured(1_000_000, 500_000)
    gauge.grown(1_000_000, said([]))
    assert (gauge.about, gauge.may_be_full) == (2_000_000, False)
    gauge.grown(500_000 + (MAX_STORED_STATE - 1_000_000) // 4 + 1, said([]))
    assert gauge.may_be_full


def test_rows_that_are_very_regular_are_measured_where_they_are_too_many() -> None:
    """In a store they seem to take nothing; but no state has more than a worker can read."""
    gauge = Gauge(MAX_STORED_STATE)
    gauge.measured(10_000, 2_000_000)
    gauge.grown(4_000_000, said([]))
    assert (gauge.about, gauge.may_be_full) == (20_000, False)
    gauge.grown(4_200_000, said([]))
    assert gauge.may_be_full


def test_it_is_asked_again_when_it_has_grown_by_a_quarter() -> None:
    gauge = Gauge(MAX_STATE)
    assert [gauge.grown(rows, said([])) for rows in (9_000, 10_000, 22_499, 22_500)] == [
        False,
        True,
        False,
        True,
    ]

"""What ``count`` and ``sum`` share: leaves that add up what the events bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.operators.base import Leaf, before
from timeline.tables.history import History
from timeline.tables.packing import first_of_runs, stable_order
from timeline.tables.splicing import coalesce, merge, rows_in
from timeline.tables.table import Table, Window, empty, in_one_unit, lookup
from timeline.values.exact import fitted
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64


def added_up(at: I64, value: np.typing.NDArray[np.generic]) -> tuple[I64, np.typing.NDArray[np.generic]]:
    """One row a place: the sum of the values at it."""
    order = stable_order(at)
    at, value = at[order], value[order]
    first = first_of_runs(at)
    return at[first], np.add.reduceat(value, first) if len(first) else value


@dataclass(frozen=True)
class Running(Leaf):
    """A leaf whose raw rows say by how much the events at a tick raise the total (slopes are 0)."""

    kind = Kind.NUMERIC

    def empty_raw(self) -> Table:
        return empty(Kind.NUMERIC)

    def absorb(self, raw: Table, new: Table) -> Table:
        raw, new = in_one_unit((raw, new))
        row, held = lookup(raw, new.at)
        known = held & (raw.at[row] == new.at) if len(raw) else held
        if known.any():
            value = raw.value.astype(np.result_type(raw.value, new.value))
            value[row[known]] = value[row[known]] + new.value[known]
            assert raw.slope is not None
            raw = Table(raw.kind, raw.at, *fitted(value, raw.slope), None, raw.unit)
            new = new.take(~known)
        return merge(raw, new)

    def forget(self, raw: History, horizon: I64) -> None:
        raw.drop(horizon)

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        raw, own = in_one_unit((inputs[0], own))
        steps = raw.take(rows_in(raw, window))
        row, held = before(own, window)
        base = np.zeros(len(window), np.result_type(own.value, np.int64))
        base[held] = own.value[row[held]]
        # The base of each key is the first of its steps; where an event is at the start, both are.
        at, value = added_up(np.concatenate((window.at, steps.at)), np.concatenate((base, steps.value)))
        return coalesce(_totals(at, value, raw))


def _totals(at: I64, step: np.typing.NDArray[np.generic], like: Table) -> Table:
    """The running sums, key by key."""
    slope = np.zeros(len(at), np.int64)
    if step.dtype != object and float(np.abs(step.astype(np.float64)).sum()) >= 2.0**61:
        step = step.astype(object)
    total = np.cumsum(step)
    heads = first_of_runs(Table(Kind.NUMERIC, at, total).key)
    before_head = total[heads] - step[heads]
    total = total - np.repeat(before_head, np.diff(np.append(heads, len(at))))
    return Table(Kind.NUMERIC, at, *fitted(total, slope), None, like.unit)

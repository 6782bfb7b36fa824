"""``has_existed_within(p, d)``: true while it was true, or matched, at most a while ago.

>>> from timeline.language.builder import col
>>> from timeline.language.calls import has_existed_within
>>> print(has_existed_within(col("state") == "seek", 0.5))
has_existed_within(state == "seek", 500ms)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.checking import kind_of
from timeline.language.expression import Expression
from timeline.language.signatures import DURATION, MATCH, Signature, arguments_of
from timeline.operators.base import Leaf, Lowered, Operator
from timeline.operators.matching import Matching
from timeline.tables.history import History
from timeline.tables.packing import end_of, key_of, same_key, tick_of
from timeline.tables.splicing import coalesce, cut, merge, rows_in
from timeline.tables.table import Table, Window, empty, lookup
from timeline.values.kinds import Kind
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64


def held_for(starts: I64, ends: I64, duration: int, window: Window) -> Table:
    """The Bool that is true on each ``[start, end + duration)``, on the window.

    ``starts`` and ``ends`` are packed, sorted, of one length; ``ends`` exclusive.
    """
    # A hold that would outlast time itself stops behind the last tick, where the next key begins.
    key = key_of(starts)
    ends = ends + np.minimum(duration, MAX_TICK + 1 - tick_of(ends))
    opens = np.ones(len(starts), bool)
    opens[1:] = (starts[1:] > ends[:-1]) | (key[1:] != key[:-1])
    first = np.flatnonzero(opens)
    last = np.append(first, len(starts))[1:] - 1
    starts, ends = starts[first], ends[last]
    for_ever = key_of(ends) != key[first]
    at = np.concatenate((starts, ends[~for_ever]))
    value = np.concatenate((np.ones(len(starts), bool), np.zeros(len(at) - len(starts), bool)))
    order = np.argsort(at, kind="stable")
    table = Table(Kind.BOOL, at[order], value[order])
    on_window = cut(table, window)
    _, begun = lookup(on_window, window.at)
    missing = window.at[~begun]
    return coalesce(merge(on_window, Table(Kind.BOOL, missing, np.zeros(len(missing), bool))))


@dataclass(frozen=True)
class HasExistedWithin(Operator):
    """Over a Bool timeline that is true on ``[a, c)``: true on ``[a, c + duration)``; duration in ms.

    >>> from timeline.local.example import run
    >>> run('has_existed_within(latest_event_to_state(state) == "seek", 5s)', {1: "seek", 2: "play"})
    1 s True
    7 s False
    """

    signature = Signature("has_existed_within", (MATCH, DURATION), Kind.BOOL, rank=3)

    duration: int

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        of, duration = arguments_of(part)
        assert isinstance(of, Expression)
        assert isinstance(duration, int)
        if kind_of(of) is Kind.PREDICATE:
            return HasExistedWithinEvent(predicate=of, duration=duration), ()
        return cls(duration), (of,)

    @property
    def reach(self) -> int:
        return self.duration

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table = cut(inputs[0], window.back(self.reach))
        true_rows = np.flatnonzero(table.value)
        # A true row that is the last of its key is true for ever.
        following = np.append(table.at[1:], -1)[true_rows]
        starts = table.at[true_rows]
        ends = np.where(same_key(following, starts), following, end_of(starts) - 1)
        return held_for(starts, ends, self.duration, window)


@dataclass(frozen=True)
class HeldEvents(HasExistedWithin, Leaf):
    """Over events, each of which makes ``[s, s + duration)`` true; which ones is said where they are read."""

    def empty_raw(self) -> Table:
        return empty(Kind.BOOL)

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        raw = inputs[0]
        at = raw.at[rows_in(raw, window.back(self.reach))]
        return held_for(at, at, self.duration, window)

    def thin(self, raw: Table) -> Table:
        """Without the events whose neighbours on both sides hold all that they hold."""
        if len(raw) < 3:
            return raw
        redundant = (raw.at[2:] - raw.at[:-2]) <= self.duration
        redundant &= same_key(raw.at[2:], raw.at[:-2])
        candidates = np.flatnonzero(redundant)
        if not len(candidates):
            return raw
        # Of a run of candidates every other one may go: the neighbours of each must stay.
        begins = np.concatenate(([True], np.diff(candidates) > 1))
        run = np.maximum.accumulate(np.where(begins, candidates, 0))
        keep = np.ones(len(raw), bool)
        keep[candidates[(candidates - run) % 2 == 0] + 1] = False
        return raw.take(np.flatnonzero(keep))

    def forget(self, raw: History, horizon: I64) -> None:
        raw.drop(horizon)


@dataclass(frozen=True)
class HasExistedWithinEvent(HeldEvents, Matching):
    """Over a predicate: an event that matches at s makes ``[s, s + duration)`` true.

    >>> from timeline.local.example import run
    >>> run('has_existed_within(state == "seek", 5s)', {1: "play", 2: "seek", 4: "seek"})
    1 s False
    2 s True
    9 s False
    """

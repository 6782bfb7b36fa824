"""Lives: the runs of a key's accepted events whose gaps are shorter than ``key_ttl``.

A life covers ``[origin, newest + key_ttl)``. It is closed once the stream's time is at
``newest + key_ttl + allowed_lateness``: then no acceptable event can reach it. Until then one may extend it,
or join it with the next. All is judged event by event in the order of the stream, in columns, so that it
does not matter where batches end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from timeline.engine.admission import Reason
from timeline.limits import Limits
from timeline.tables.packing import Bools, first_of_runs, order_of_keys, packed, start_of, tick_of
from timeline.values.life_names import LifeKeys, key_named, life_name
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64

#: The lateness of a stream in which no event is ever late.
_EVER = 1 << 50


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a batch; rows are indices in stream order.

    ``live`` are the accepted rows, ``life`` the code of the life of each. ``touched`` are the codes of lives
    that they are of, each with its first (``begun``) and ``newest`` time now. ``joined`` are lives that are
    no more, ``into`` those that they are part of now.
    """

    live: I64
    life: I64
    touched: I64
    begun: I64
    newest: I64
    joined: I64
    into: I64
    refused: I64
    reasons: I64


class Lives:
    """Which life each event of a stream is of. ``keys`` are the lives by code; ``begun`` and ``newest`` (ms)
    of `judge` are by that code."""

    def __init__(self, limits: Limits, keys: LifeKeys) -> None:
        assert limits.key_ttl is not None
        self.ttl = limits.key_ttl
        self.lateness = _EVER if limits.allowed_lateness is None else limits.allowed_lateness
        self.by_stream = limits.by_stream
        self.become(keys)

    def become(self, keys: LifeKeys) -> None:
        """Goes on with lives that have other codes."""
        self.keys = keys
        #: By key its lives, in order of time, that an acceptable event may still be told from.
        self._recent: dict[str, list[int]] = {}
        self._known = False

    def judge(
        self, names: Sequence[str], key: I64, tick: I64, stream: I64, begun: I64, newest: I64
    ) -> Judged:
        """Judges each event by its place in the stream; new lives get codes.

        ``key`` (n) are indices into ``names``, ``tick`` is in ms; ``stream`` is the stream's time before each
        (`timeline.engine.admission.time_before`).
        """
        self._look_back(begun, newest)
        floor = int(stream.min(initial=_EVER)) - 2 * self.ttl - self.lateness
        of, code = self._lives(names, newest, floor)
        refused, closed = self._refusals(len(names), key, tick, stream, of, begun[code], newest[code])
        rows = np.flatnonzero(refused)
        reasons = np.where(closed[rows], Reason.CLOSED, Reason.LATE).astype(np.int64)
        live = np.flatnonzero(~refused)
        return self._told_apart(names, key[live], tick[live], live, of, code, begun, newest, rows, reasons)

    # --- lives that there are --------------------------------------------------------------------

    def _look_back(self, begun: I64, newest: I64) -> None:
        """Finds the lives that there are when it begins."""
        if self._known:
            return
        self._known = True
        codes = np.flatnonzero(newest >= 0)
        for code in codes[np.argsort(begun[codes], kind="stable")].tolist():
            self._recent.setdefault(key_named(self.keys.name(code)), []).append(code)

    def _lives(self, names: Sequence[str], newest: I64, floor: int) -> tuple[I64, I64]:
        """The lives of keys that may matter, in order of key and time: whose they are, and their codes.

        One whose newest event is at or below ``floor`` is further back than an event may be.
        """
        lists = [self._recent.get(name, ()) for name in names]
        counts = np.fromiter(map(len, lists), np.int64, len(lists))
        of = np.repeat(np.arange(len(names)), counts)
        code = np.fromiter(chain.from_iterable(lists), np.int64, len(of))
        matters = newest[code] > floor
        return of[matters], code[matters]

    # --- which events are refused ----------------------------------------------------------------

    def _refusals(
        self, count: int, key: I64, tick: I64, stream: I64, of: I64, begun: I64, newest: I64
    ) -> tuple[Bools, Bools]:
        """Which events are refused, and which of them because what they are of is closed."""
        over = stream - self.ttl - self.lateness
        beyond = tick <= over
        old = tick < stream - self.lateness
        if self.by_stream:
            # What could reach a life that is closed is older than that.
            return old, np.zeros(len(old), bool)
        if not old.any():
            return beyond, beyond
        last = np.full(count, -1, np.int64)
        last[of] = newest  # the last one of each key is left
        first = np.full(count, -1, np.int64)
        first[of] = begun
        before, since = self._before(key, tick, ~beyond, last, first)
        is_open = before > over
        late = old & is_open & (tick < before - self.lateness)
        closed = beyond & ~late
        reached = old & ~beyond & (before >= 0) & ~is_open & (tick < before + self.ttl)
        # What was refused though it is newer than its key, or lies before the newest life, has to be looked
        # at one by one.
        hard = reached & (tick > before)
        hard |= old & ~beyond & ~late & is_open & (tick < since)
        if hard.any():
            keys = np.zeros(count, bool)
            keys[key[hard]] = True
            rows = np.flatnonzero(keys[key])
            reached[rows] = late[rows] = closed[rows] = False
            self._one_by_one(rows, key, tick, stream, of, begun, newest, late, closed)
        closed |= reached
        return late | closed, closed

    def _before(self, key: I64, tick: I64, counts: Bools, last: I64, first: I64) -> tuple[I64, I64]:
        """For each event the newest one of its key before it (-1: none), and where the life of that began,
        or later: late ones may have moved it back. Only events that ``counts`` are looked at."""
        order = order_of_keys(key)
        own, at = key[order], tick[order]
        same = np.concatenate(([False], own[1:] == own[:-1]))
        # Greater keys pack greater, so one running maximum serves all keys; a tick of 0 may be none.
        behind = np.minimum(at + 1, MAX_TICK)
        seen = np.where(counts[order], packed(own, behind), start_of(own))
        seen = np.maximum(seen, packed(own, np.minimum(last[own] + 1, MAX_TICK)))
        seen = np.maximum.accumulate(seen)
        before = last[own]
        before[1:][same[1:]] = tick_of(seen[:-1])[same[1:]] - 1
        begins = counts[order] & ((before < 0) | (at - before >= self.ttl))
        started = np.where(begins, packed(own, behind), start_of(own))
        since = np.minimum(first[own] + 1, MAX_TICK)
        started = np.maximum.accumulate(np.maximum(started, packed(own, since)))
        since = first[own]
        since[1:][same[1:]] = tick_of(started[:-1])[same[1:]] - 1
        found, begun = np.empty(len(key), np.int64), np.empty(len(key), np.int64)
        found[order], begun[order] = before, since
        return found, begun

    def _one_by_one(
        self,
        rows: I64,
        key: I64,
        tick: I64,
        stream: I64,
        of: I64,
        begun: I64,
        newest: I64,
        late: Bools,
        closed: Bools,
    ) -> None:
        """Judges some events, all of some keys, in their order."""
        lives: dict[int, list[list[int]]] = {}
        for k, lo, hi in zip(of.tolist(), begun.tolist(), newest.tolist(), strict=True):
            lives.setdefault(k, []).append([lo, hi])
        for row, k, t, s in zip(
            rows.tolist(), key[rows].tolist(), tick[rows].tolist(), stream[rows].tolist(), strict=True
        ):
            mine = lives.setdefault(k, [])
            over = s - self.ttl - self.lateness
            last = mine[-1][1] if mine else -1
            if last > over and t < last - self.lateness:
                late[row] = True
            elif t <= over or any(hi <= over and t < hi + self.ttl for _, hi in mine):
                closed[row] = True
            else:
                add_to(mine, t, self.ttl)

    # --- which life events are of ----------------------------------------------------------------

    def _told_apart(
        self,
        names: Sequence[str],
        key: I64,
        tick: I64,
        live: I64,
        of: I64,
        code: I64,
        begun: I64,
        newest: I64,
        refused: I64,
        reasons: I64,
    ) -> Judged:
        """The lives of accepted events: those of one key that lie nearer than ``ttl`` are of one."""
        count = len(tick)
        here = np.isin(of, key)
        of, code = of[here], code[here]
        who = np.concatenate((of, key))
        lo, hi = np.concatenate((begun[code], tick)), np.concatenate((newest[code], tick))
        order = np.argsort(packed(who, lo), kind="stable")
        who, lo, hi = who[order], lo[order], hi[order]
        reach = tick_of(np.maximum.accumulate(packed(who, hi)))
        begins = np.ones(len(who), bool)
        begins[1:] = (who[1:] != who[:-1]) | (lo[1:] - reach[:-1] >= self.ttl)
        heads = np.flatnonzero(begins)
        cluster = np.cumsum(begins) - 1
        first, last = lo[heads], reach[np.append(heads, len(who))[1:] - 1]
        # Of each the leftmost life that there was, or the event that came first.
        known = order < len(code)
        rank = np.where(known, -1, order)
        by_rank = np.lexsort((lo, rank, cluster))
        leader = by_rank[first_of_runs(cluster[by_rank])]
        founded = lo[leader]
        winner = np.full(len(heads), -1, np.int64)
        is_known = known[leader]
        winner[is_known] = code[order[leader[is_known]]]
        for number in np.flatnonzero(first <= founded - self.ttl).tolist():
            among = slice(heads[number], heads[number + 1] if number + 1 < len(heads) else len(who))
            tick_founded = self._founder(lo[among], hi[among], rank[among])
            if tick_founded is not None:
                founded[number], winner[number] = tick_founded, -1
        new = np.flatnonzero(winner < 0)
        if len(new):
            made = [
                life_name(names[k], t)
                for k, t in zip(who[heads[new]].tolist(), founded[new].tolist(), strict=True)
            ]
            winner[new] = self.keys.encode(made)
        life = np.empty(len(who), np.int64)
        life[order] = winner[cluster]
        is_of = life[: len(code)]
        lost = np.flatnonzero(is_of != code)
        lost = lost[np.argsort(code[lost])]
        self._note(names, who[heads], winner)
        touched = np.zeros(len(heads), bool)
        touched[cluster[~known]] = True
        at = np.flatnonzero(touched)
        return Judged(
            live,
            life[len(code) :] if count else live,
            winner[at],
            first[at],
            last[at],
            code[lost],
            is_of[lost],
            refused,
            reasons,
        )

    def _founder(self, lo: I64, hi: I64, rank: I64) -> int | None:
        """The time of the event that founded what is leftmost of a life; ``None``: it was there before."""
        order = np.lexsort((lo, rank))
        parts: list[list[int]] = []
        founders: list[int | None] = []
        for i in order.tolist():
            if rank[i] < 0:
                parts.append([int(lo[i]), int(hi[i])])
                founders.append(None)
                continue
            place, joined = add_to(parts, int(lo[i]), self.ttl)
            if joined < 0:
                founders.insert(place, int(lo[i]))
            elif joined:
                del founders[place + 1]
        return founders[0]

    def _note(self, names: Sequence[str], who: I64, code: I64) -> None:
        """Keeps the lives of keys for the next batch."""
        heads = first_of_runs(who)
        ends = np.append(heads, len(who))[1:]
        codes = code.tolist()
        for k, first, end in zip(who[heads].tolist(), heads.tolist(), ends.tolist(), strict=True):
            self._recent[names[k]] = codes[first:end]


def add_to(lives: list[list[int]], tick: int, ttl: int) -> tuple[int, int]:
    """Adds an event to lives (first and newest time, in order); which it is of, and what became of that: -1
    it is new, 0 it goes on, 1 it is one with the next.

    >>> lives = [[0, 2], [20, 21]]
    >>> add_to(lives, 11, 10), lives
    ((0, 1), [[0, 21]])
    """
    place = bisect_right(lives, tick, key=lambda life: life[0])
    before = place > 0 and tick < lives[place - 1][1] + ttl
    behind = place < len(lives) and lives[place][0] - tick < ttl
    if before and behind:
        lives[place - 1][1] = lives.pop(place)[1]
        return place - 1, 1
    if before:
        lives[place - 1][1] = max(lives[place - 1][1], tick)
        return place - 1, 0
    if behind:
        lives[place][0] = tick
        return place, 0
    lives.insert(place, [tick, tick])
    return place, -1

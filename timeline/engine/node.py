"""One node of a plan for one stream: its inputs, its own table, and the patches that go in and out.

Pure: no clock, no I/O. The workflows are thin shells round this, and tests run it without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from timeline.engine.admission import Admission, admit, time_before
from timeline.engine.incoming import understood
from timeline.engine.latecomers import begin_late, from_there, late_in
from timeline.engine.lives import Judged
from timeline.engine.patch import Patch
from timeline.engine.quarantine import isolate
from timeline.engine.setting_apart import pass_on, set_apart_own
from timeline.engine.shrinking import Shrinking
from timeline.engine.state import NodeState
from timeline.engine.telling import patch_of, snapshot_of
from timeline.errors import NotFoundError, RetentionError
from timeline.limits import Limits
from timeline.operators.base import Operator
from timeline.tables.events import Events, Position
from timeline.tables.marks import mark_of
from timeline.tables.packing import (
    all_of,
    begin_of,
    earliest,
    first_of_keys,
    key_of,
    last_of_keys,
    latest,
    pack,
    packed,
    start_of,
    tick_of,
)
from timeline.tables.splicing import cut, difference, known_to_all, merge
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64, distinct

_NONE = np.empty(0, np.int64)


class Node:
    """An operator at work on one stream: the steps that take its `NodeState` from position to position.

    A leaf takes `accept`; an inner node takes `receive`, then `advance` as long as it returns a patch.
    ``kinds`` are those of the inputs of an inner node. What it can be asked is in `timeline.engine.answers`.
    """

    def __init__(
        self,
        operator: Operator,
        kinds: Sequence[Kind],
        limits: Limits,
        before_origin: Scalar = None,
    ) -> None:
        self.attach(NodeState(operator, kinds, limits, before_origin))

    def attach(self, state: NodeState) -> None:
        """Works on that state from here on."""
        self.state = state
        self.shrinking = Shrinking(state)

    # --- what comes in ---------------------------------------------------------------------------

    def accept(self, events: Events, last: Position) -> Patch | None:
        """A leaf's step: the events up to and including ``last``. ``None`` if all was seen before."""
        state = self.state
        assert state.leaf is not None
        if state.position is not None:
            if last <= state.position:
                return None
            events = events.after(state.position)
        used, place = distinct(events.key, len(events.keys))
        every = len(used) == len(events.keys)
        names = events.keys if every else [events.keys[i] for i in used.tolist()]
        judged: Admission | Judged
        stream = time_before(events.tick, state.stream_time)
        if state.lives is None:
            key = state.encode(names)[place]
            judged = admit(key, events.tick, state.by_key.newest, stream, state.limits)
            key = key[judged.live]
        else:
            begun, newest = state.by_key["first"], state.by_key.newest
            judged = state.lives.judge(names, place, events.tick, stream, begun, newest)
            state.by_key.grow(len(state.keys))
            key = judged.life
        if state.limits.allowed_lateness is not None:
            state.marks.look(events.tick, stream, state.limits.allowed_lateness)
        state.marks.reach(last)
        state.accepted += len(judged.live)
        if len(judged.refused):
            state.refused.add(events.take(judged.refused), judged.reasons)
            events = events.take(judged.live)
        at = pack(key, events.tick)
        anew, _ = distinct(key[state.by_key.origin[key] > MAX_TICK], len(state.keys))
        state.position = last
        state.stream_time = max(state.stream_time, mark_of(last) or -1)
        starts: list[I64] = []
        gone, released, again = _NONE, {}, state.edges[0].table.nothing()
        ordered = np.sort(at)
        begin = ordered[first_of_keys(ordered)]
        if isinstance(judged, Judged):
            if len(gone := judged.joined):
                again = self._read_again(gone, judged.into)
                starts.append(state.join(gone, judged.into))
                released = state.bury(gone)
            heard = np.sort(packed(judged.touched, judged.newest))
            state.by_key["first"][judged.touched] = judged.begun
        else:
            heard = ordered[last_of_keys(ordered)]
        state.hear(heard)
        starts.append(begin[tick_of(begin) < state.by_key.origin[key_of(begin)]])
        new = merge(again, self._read(events, at))
        if len(new):
            starts.append(state.absorb(new))
        return self._compute(heard, starts, anew, released, gone)

    def _read_again(self, joined: I64, into: I64) -> Table:
        """The events of lives that were quarantined, as those of the lives that they are part of now."""
        state = self.state
        table = state.edges[0].table.nothing()
        for code, other in zip(joined.tolist(), into.tolist(), strict=True):
            held = state.quarantined.get(code)
            if held is not None and held.events is not None:
                at = pack(np.full(len(held.events), other), held.events.tick)
                table = merge(table, self._read(held.events, at))
        return table

    def has_begun(self, index: int) -> bool:
        """Whether the child at ``index`` has told something already."""
        edge = self.state.edges[index]
        return edge.position is not None or bool(edge.pending)

    def receive(self, index: int, patch: Patch) -> bool:
        """Keeps a patch of the child at ``index`` until its position can be computed.

        False if it is a repeat, which is ignored.
        """
        edge = self.state.edges[index]
        if edge.repeats(patch):
            return False
        edge.pending.append(understood(self.state, edge, patch))
        return True

    def advance(self) -> Patch | None:
        """An inner node's step, to the furthest position that all its children have reached."""
        state = self.state
        common = set.intersection(*(edge.complete() for edge in state.edges))
        target = max(common, default=state.position)
        starts, heard, late = [], [], []
        changes: dict[int, str | None] = {}
        for edge in state.edges:
            told = _NONE, _NONE
            # What amends the position that was reached before is there although others have nothing.
            while target is not None and edge.pending and edge.pending[0].position <= target:
                pending = edge.pending.pop(0)
                edge.table.splice(pending.window, pending.rows)
                told = pending.late_too(*told)
                starts.append(pending.window.at)
                heard.append(pending.heard)
                state.stream_time = max(state.stream_time, pending.time)
                for code, reason in pending.quarantined.items():
                    changes[code] = reason
                    if reason is None:
                        edge.quarantined.pop(code, None)
                    else:
                        edge.quarantined[code] = reason
            late.append(told)
        if target is None or not starts:
            self._condense()
            return None
        amends = target == state.position
        state.position = target
        for edge in state.edges:
            edge.position = target
        # All children hear of the same keys: a leaf reports every key of every batch.
        newest = latest(heard)
        every = earliest(starts)
        anew = key_of(every[tick_of(every) == 0])
        state.hear(newest)
        # A key of which all say that nothing is left, and none that it has no function, is a life that is
        # part of another now; that may be all there is to hear of one that was heard of only just now.
        gone = anew if state.limits.key_ttl is not None else _NONE
        gone = gone[~np.isin(gone, [code for edge in state.edges for code in edge.quarantined])]
        gone = gone[all_of([edge.table.rows_of(gone) == 0 for edge in state.edges])]
        released = state.bear(anew) | state.bury(gone) | pass_on(state, changes, starts)
        begin_late(state, *map(np.concatenate, zip(*late, strict=True)))
        patch = self._compute(newest, starts, anew, released, gone)
        return replace(patch, amends=True) if amends else patch

    def release(self, key: str) -> Patch:
        """Gives a quarantined key a function again, from where it was set apart on.

        Raises:
            NotFoundError: the key is not quarantined by this node's own operator.
            RetentionError: what is needed for it is no longer there.
        """
        state = self.state
        apart = [(code, state.quarantined[code]) for code in state.codes_of(key) if code in state.quarantined]
        own = [(code, held) for code, held in apart if held.own]
        if not own:
            raise NotFoundError(f"key {key!r} is not quarantined here")
        if all(held.since is None for _, held in own):
            raise RetentionError(
                f"key {key!r} was quarantined at position {own[0][1].position} and more than "
                "limits.retention has passed: what it would be rebuilt from is gone; remove the timeline and "
                "register it anew"
            )
        assert state.position is not None
        starts, anew = [_NONE], [_NONE]
        said: dict[int, str | None] = {}
        for code, held in own:
            if held.since is None:
                continue
            del state.quarantined[code]
            said[code] = None
            if held.since <= MAX_TICK:
                starts.append(np.array([packed(code, held.since)]))
            if state.leaf is not None and held.events is not None:
                new = self._read(held.events, pack(np.full(len(held.events), code), held.events.tick))
                if len(new):
                    state.absorb(new)
            if held.anew:
                anew.append(np.array([code]))
        patch = self._compute(_NONE, starts, np.sort(np.concatenate(anew)), said)
        return replace(patch, amends=True)

    def _condense(self) -> None:
        state = self.state
        first = [min(complete) for edge in state.edges if (complete := edge.complete())]
        for edge in state.edges:
            if first:
                edge.condense(max(first))

    # --- what raises -----------------------------------------------------------------------------

    def _read(self, events: Events, at: I64) -> Table:
        """The raw rows of a leaf's events; those of quarantined keys are kept for later."""
        state = self.state
        assert state.leaf is not None
        leaf, raw = state.leaf, state.edges[0].table.nothing()
        key = key_of(at)
        if state.quarantined:
            apart = np.isin(key, list(state.quarantined))
            for code in np.unique(key[apart]).tolist():
                state.quarantined[code].hold(events.take(np.flatnonzero(key == code)))
            rows = np.flatnonzero(~apart)
            events, at, key = events.take(rows), at[rows], key[rows]

        def read(codes: I64) -> Table:
            if len(codes) == len(every):
                return leaf.read(events, at, raw)
            rows = np.flatnonzero(np.isin(key, codes))
            return leaf.read(events.take(rows), at[rows], raw)

        def set_apart(codes: I64, error: Exception) -> None:
            for code in codes.tolist():
                set_apart_own(state, code, error)
                state.quarantined[code].hold(events.take(np.flatnonzero(key == code)))

        every, _ = distinct(key, len(state.keys))
        table = raw
        for part in isolate(read, every, set_apart):
            table = merge(table, part)
        return table

    # --- what goes out ---------------------------------------------------------------------------

    def _compute(
        self, heard: I64, starts: Sequence[I64], anew: I64, said: dict[int, str | None], gone: I64 = _NONE
    ) -> Patch:
        """The step at ``self.state.position``: computes from ``starts`` on, and says what changed.

        ``anew`` are key codes of which nothing is known from before, ``gone`` those of lives that are part of
        others now.
        """
        state = self.state
        window = Window(earliest(starts))
        # As far back as `Shrinking` keeps them: a tick more than the operator looks.
        seen = window.back(state.operator.reach + 1).at
        if state.leaf is not None and state.leaf.needs_whole:
            seen = begin_of(window.at)
        inputs = [edge.table.view(seen) for edge in state.edges]
        own = state.own.view(window.back(1).at)
        # The start of what is new may be given as tick 0; it is where the key's rows begin.
        begin = window if state.leaf or (len(inputs) == 1 and not len(anew)) else known_to_all(inputs, window)
        if state.by_key.known_from[window.key].any():
            window, begin = from_there(state, window), from_there(state, begin)
        if state.quarantined:
            apart = np.isin(window.key, list(state.quarantined))
            for at in window.at[apart].tolist():
                code = key_of(at)
                state.quarantined[code].missed(tick_of(at), bool(np.isin(code, anew)))
            begin = Window(begin.at[~np.isin(begin.key, list(state.quarantined))])
            window = Window(window.at[~apart])

        def compute(at: I64) -> Table:
            return state.operator.compute(inputs, Window(at), own)

        def set_apart(places: I64, error: Exception) -> None:
            for at in places.tolist():
                code = key_of(at)
                set_apart_own(state, code, error)
                state.quarantined[code].missed(tick_of(at), bool(np.isin(code, anew)))
                said[code] = f"{state.quarantined[code].error} (in {state.operator.name})"

        made = isolate(compute, begin.at, set_apart)
        if len(made) == 1 and not state.quarantined:
            new = made[0]
        else:
            new = state.own.nothing()
            for part in made:
                new = merge(new, part)
            window = Window(window.at[~np.isin(window.key, list(state.quarantined))])
        changed = difference(own, new, window)
        rows = cut(new, changed)
        state.own.splice(changed, rows)
        state.by_key.touch(changed.key)
        state.by_key.origin[changed.key] = np.minimum(state.by_key.origin[changed.key], changed.tick)
        late = late_in(state, Window(changed.at[changed.tick == state.by_key.known_from[changed.key]]))
        if len(anew):
            # Whoever still knows an earlier life of the key must not keep any of it.
            whole = np.isin(changed.key, anew)
            changed = Window(np.where(whole, begin_of(changed.at), changed.at))
        if len(gone):
            changed = Window(earliest([changed.at, start_of(gone)]))
        for code, held in state.quarantined.items():
            if held.own and held.position == state.position and said.get(code) is None:
                said[code] = f"{held.error} (in {state.operator.name})"
        patch = patch_of(state, heard, changed, rows, said)
        patch = replace(patch, origins=late[0], counted=late[1])
        self.shrinking.after_step()
        return patch

    def snapshot(self) -> Patch | None:
        """The whole table as one patch, for a new subscriber; ``None`` before the first batch."""
        return snapshot_of(self.state)

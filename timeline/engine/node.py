"""One node of a plan for one stream: its inputs, its own table, and the patches that go in and out.

Pure: no clock, no I/O. The workflows are thin shells round this, and tests run it without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from timeline.engine.admission import Refused, admit
from timeline.engine.answers import Answers
from timeline.engine.edge import Edge
from timeline.engine.patch import Patch, Pending
from timeline.engine.quarantine import Quarantine, isolate
from timeline.engine.shrinking import Shrinking
from timeline.errors import LimitError, NotFoundError, RetentionError
from timeline.limits import Limits
from timeline.operators.base import Leaf, Operator, own_table
from timeline.operators.outputs import Outputs
from timeline.tables.events import Events, Position
from timeline.tables.packing import (
    begin_of,
    earliest,
    first_of_keys,
    first_of_runs,
    key_of,
    last_of_keys,
    latest,
    pack,
    packed,
    recode,
    start_of,
    tick_of,
)
from timeline.tables.splicing import cut, difference, known_to_all, merge, splice, without
from timeline.tables.table import Table, Window, empty
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64, Keys, Vocabulary, distinct

_NONE = np.empty(0, np.int64)


class Node(Answers):
    """An operator at work on one stream.

    ``position`` is the place in the stream that the node's table stands for (``None`` before the
    first batch). A leaf takes `accept`; an inner node takes `receive`, then `advance` as long as it
    returns a patch. ``shapes`` are those of the inputs of an inner node. What it can be asked is in
    `timeline.engine.answers`.
    """

    def __init__(
        self,
        operator: Operator,
        shapes: Sequence[Kind],
        limits: Limits,
        before_origin: Scalar = None,
    ) -> None:
        self.operator = operator
        self.before_origin = before_origin
        self.leaf = operator if isinstance(operator, Leaf) else None
        self.outputs = operator if isinstance(operator, Outputs) else None
        self.limits = limits
        self.position: Position | None = None
        self.keys = Keys()
        self.origin = _NONE
        self.newest = _NONE
        self.known_from = _NONE
        self.counted_from = _NONE
        self.stream_newest = -1
        self.accepted = 0
        self.refused = Refused()
        self.quarantined: dict[int, Quarantine] = {}
        if self.leaf is not None:
            self.edges = [Edge(self.leaf.empty_raw())]
        else:
            self.edges = [Edge(empty(s, Vocabulary() if s is Kind.STATE else None)) for s in shapes]
        self.own = own_table(operator, self.edges[0].table.vocabulary)
        self.sent_names = 0
        self.sent_values = 1
        self.shrinking = Shrinking(self)

    # --- what comes in ---------------------------------------------------------------------------

    def accept(self, events: Events, last: Position) -> Patch | None:
        """A leaf's step: the events up to and including ``last``. ``None`` if all was seen before."""
        assert self.leaf is not None
        if self.position is not None:
            if last <= self.position:
                return None
            events = events.after(self.position)
        used, place = distinct(events.key, len(events.keys))
        codes = self.keys.encode([events.keys[i] for i in used.tolist()])
        self._grow()
        key = codes[place]
        judged = admit(key, events.tick, self.newest, self.stream_newest, self.limits)
        self.accepted += judged.accepted
        if len(judged.refused):
            self.refused.add(events.take(judged.refused), judged.reasons)
        if len(judged.live) < len(key):
            events, key = events.take(judged.live), key[judged.live]
        released = self._bear(judged.reborn)
        edge = self.edges[0]
        edge.table = without(edge.table, Window(start_of(judged.reborn)))
        at = pack(key, events.tick)
        anew, _ = distinct(key[self.origin[key] > MAX_TICK], len(self.keys))
        heard, origin = self._hear(at)
        starts = [origin.at]
        self.position = last
        new = self._read(events, at)
        if len(new):
            starts.append(new.at[first_of_runs(new.key)])
            edge.table = self.leaf.thin(self.leaf.absorb(edge.table, new))
        return self._compute(heard, starts, anew, released)

    def receive(self, index: int, patch: Patch) -> bool:
        """Keeps a patch of the child at ``index`` until its position can be computed.

        False if it is a repeat, which is ignored.
        """
        edge = self.edges[index]
        known = edge.pending[-1].position if edge.pending else edge.position
        partial = bool(edge.pending) and edge.pending[-1].more
        if known is not None and (
            patch.position < known or (patch.position == known and not partial and not patch.amends)
        ):
            return False
        if patch.first_name == 0:
            edge.codes = _NONE
        if patch.first_name != len(edge.codes):
            raise LimitError(
                f"patch up to {patch.position} names keys from {patch.first_name} on, but "
                f"{len(edge.codes)} are known: a patch before it is missing"
            )
        edge.codes = np.concatenate((edge.codes, self.keys.encode(patch.names)))
        self._grow()
        at = recode(patch.rows.at, edge.codes)
        order = np.argsort(at, kind="stable")
        rows = replace(patch.rows.take(order), at=at[order], vocabulary=edge.table.vocabulary)
        if edge.table.vocabulary is not None:
            if patch.first_value == 1:
                edge.value_codes = np.zeros(1, np.int64)
            values = edge.table.vocabulary.encode(patch.values)
            edge.value_codes = np.concatenate((edge.value_codes, values))
            rows = replace(rows, value=edge.value_codes[rows.value])
        window = Window(np.sort(recode(patch.window.at, edge.codes)))
        heard = recode(patch.heard, edge.codes)
        names = self.keys.encode(list(patch.quarantined)).tolist()
        self._grow()
        apart = dict(zip(names, patch.quarantined.values(), strict=True))
        origins, counted = recode(patch.origins, edge.codes), recode(patch.counted, edge.codes)
        edge.pending.append(Pending(patch.position, patch.more, heard, window, rows, apart, origins, counted))
        return True

    def advance(self) -> Patch | None:
        """An inner node's step, to the furthest position that all its children have reached."""
        common = set.intersection(*(edge.complete() for edge in self.edges))
        target = max(common, default=self.position)
        starts, heard, late = [], [], []
        changes: dict[int, str | None] = {}
        for edge in self.edges:
            told = _NONE, _NONE
            # What amends the position that was reached before is there although others have nothing.
            while target is not None and edge.pending and edge.pending[0].position <= target:
                pending = edge.pending.pop(0)
                edge.table = splice(edge.table, pending.window, pending.rows)
                told = pending.late_too(*told)
                starts.append(pending.window.at)
                heard.append(pending.heard)
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
        amends = target == self.position
        self.position = target
        for edge in self.edges:
            edge.position = target
        # All children hear of the same keys: a leaf reports every key of every batch.
        newest = latest(heard)
        self._note_newest(newest)
        every = earliest(starts)
        anew = key_of(every[tick_of(every) == 0])
        released = self._bear(anew) | self._pass_on(changes, starts)
        self._begin_late(*map(np.concatenate, zip(*late, strict=True)))
        patch = self._compute(newest, starts, anew, released)
        return replace(patch, amends=True) if amends else patch

    def release(self, key: str) -> Patch:
        """Gives a quarantined key a function again, from where it was set apart on.

        Raises:
            NotFoundError: the key is not quarantined by this node's own operator.
            RetentionError: what is needed for it is no longer there.
        """
        code = self.keys.find(key)
        held = None if code is None else self.quarantined.get(code)
        if code is None or held is None or not held.own:
            raise NotFoundError(f"key {key!r} is not quarantined here")
        if held.since is None:
            raise RetentionError(
                f"key {key!r} was quarantined at position {held.position} and more than limits.retention "
                "has passed: what it would be rebuilt from is gone; remove the timeline and register it anew"
            )
        assert self.position is not None
        del self.quarantined[code]
        starts = [np.array([packed(code, held.since)])] if held.since <= MAX_TICK else [_NONE]
        if self.leaf is not None and held.events is not None:
            edge = self.edges[0]
            new = self._read(held.events, pack(np.full(len(held.events), code), held.events.tick))
            if len(new):
                edge.table = self.leaf.thin(self.leaf.absorb(edge.table, new))
        anew = np.array([code]) if held.anew else _NONE
        patch = self._compute(_NONE, starts, anew, {code: None})
        return replace(patch, amends=True)

    def _condense(self) -> None:
        first = [min(complete) for edge in self.edges if (complete := edge.complete())]
        for edge in self.edges:
            if first:
                edge.condense(max(first))

    def _grow(self) -> None:
        missing = len(self.keys) - len(self.origin)
        if missing > 0:
            self.origin = np.concatenate((self.origin, np.full(missing, MAX_TICK + 1, np.int64)))
            self.newest = np.concatenate((self.newest, np.full(missing, -1, np.int64)))
            self.known_from = np.concatenate((self.known_from, np.zeros(missing, np.int64)))
            self.counted_from = np.concatenate((self.counted_from, np.zeros(missing, np.int64)))

    def _note_newest(self, heard: I64) -> None:
        key, tick = key_of(heard), tick_of(heard)
        self.newest[key] = np.maximum(self.newest[key], tick)
        if len(tick):
            self.stream_newest = max(self.stream_newest, int(tick.max()))

    def _hear(self, at: I64) -> tuple[I64, Window]:
        """Takes note of the keys of a leaf's batch: the newest tick of each, and moved origins."""
        ordered = np.sort(at)
        heard = ordered[last_of_keys(ordered)]
        self._note_newest(heard)
        earliest_at = ordered[first_of_keys(ordered)]
        moved = tick_of(earliest_at) < self.origin[key_of(earliest_at)]
        return heard, Window(earliest_at[moved])

    def _bear(self, codes: I64) -> dict[int, str | None]:
        """Forgets the function of keys that begin anew; returns those that are no longer set apart."""
        if not len(codes):
            return {}
        self.own = without(self.own, Window(start_of(codes)))
        self.origin[codes] = MAX_TICK + 1
        self.known_from[codes] = self.counted_from[codes] = 0
        released: dict[int, str | None] = {}
        for code in codes.tolist():
            held = self.quarantined.get(code)
            if held is not None and held.own:
                del self.quarantined[code]
                released[code] = None
        return released

    def _begin_late(self, origins: I64, counted: I64) -> None:
        """Takes note of keys that are new here, and of which an input is not known from the origin on.

        ``origins`` and ``counted`` are packed, as in `Patch`. All inputs hold from the latest of their
        beginnings on; an operator that reaches back is exact from that much later on, one that remembers
        begins there.
        """
        new = origins[self.origin[key_of(origins)] > MAX_TICK]
        if not len(new):
            return
        new = earliest([new])
        codes = key_of(new)
        begin = np.zeros(len(codes), np.int64)
        for edge in self.edges:
            heads = edge.table.at[edge.table.first_rows()]
            heads = heads[np.isin(key_of(heads), codes)]
            np.maximum.at(begin, np.searchsorted(codes, key_of(heads)), tick_of(heads))
        remembers = self.operator.remembers
        self.known_from[codes] = np.minimum(begin + (0 if remembers else self.operator.reach), MAX_TICK)
        self.origin[codes] = tick_of(new)
        counted = counted[np.isin(key_of(counted), codes)]
        np.maximum.at(self.counted_from, key_of(counted), tick_of(counted))
        if remembers:
            self.counted_from[codes] = np.maximum(self.counted_from[codes], self.known_from[codes])

    # --- what raises -----------------------------------------------------------------------------

    def _read(self, events: Events, at: I64) -> Table:
        """The raw rows of a leaf's events; those of quarantined keys are kept for later."""
        assert self.leaf is not None
        leaf, raw = self.leaf, self.edges[0].table
        key = key_of(at)
        if self.quarantined:
            apart = np.isin(key, list(self.quarantined))
            for code in np.unique(key[apart]).tolist():
                self.quarantined[code].hold(events.take(np.flatnonzero(key == code)))
            rows = np.flatnonzero(~apart)
            events, at, key = events.take(rows), at[rows], key[rows]

        def read(codes: I64) -> Table:
            if len(codes) == len(every):
                return leaf.read(events, at, raw)
            rows = np.flatnonzero(np.isin(key, codes))
            return leaf.read(events.take(rows), at[rows], raw)

        def set_apart(codes: I64, error: Exception) -> None:
            for code in codes.tolist():
                self._set_apart(code, error)
                self.quarantined[code].hold(events.take(np.flatnonzero(key == code)))

        every, _ = distinct(key, len(self.keys))
        table = leaf.empty_raw() if raw.vocabulary is None else empty(raw.kind, raw.vocabulary)
        for part in isolate(read, every, set_apart):
            table = merge(table, part)
        return table

    def _set_apart(self, code: int, error: Exception) -> None:
        assert self.position is not None
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self.quarantined[code] = Quarantine(text[:500], self.position, own=True)

    def _pass_on(self, changes: dict[int, str | None], starts: list[I64]) -> dict[int, str | None]:
        """Sets apart the keys of which a child has no function, and takes back those that have all.

        Returns what the parents must know of it.
        """
        assert self.position is not None
        said: dict[int, str | None] = {}
        for code in changes:
            reasons = [e.quarantined[code] for e in self.edges if code in e.quarantined]
            held = self.quarantined.get(code)
            if reasons and (held is None or held.own):
                self.quarantined[code] = Quarantine(reasons[0], self.position, own=False)
                said[code] = reasons[0]
            elif not reasons and held is not None and not held.own:
                del self.quarantined[code]
                said[code] = None
                if held.since is not None and held.since <= MAX_TICK:
                    starts.append(np.array([packed(code, held.since)]))
        return said

    # --- what goes out ---------------------------------------------------------------------------

    def _compute(self, heard: I64, starts: Sequence[I64], anew: I64, said: dict[int, str | None]) -> Patch:
        """The step at ``self.position``: computes from ``starts`` on, and says what changed.

        ``anew`` are key codes of which nothing is known from before.
        """
        window = Window(earliest(starts))
        inputs = [edge.table for edge in self.edges]
        # The start of what is new may be given as tick 0; it is where the key's rows begin.
        begin = window if self.leaf or (len(inputs) == 1 and not len(anew)) else known_to_all(inputs, window)
        if self.known_from.any():
            window, begin = self._from_there(window), self._from_there(begin)
        if self.quarantined:
            apart = np.isin(begin.key, list(self.quarantined))
            for at in begin.at[apart].tolist():
                code = key_of(at)
                self.quarantined[code].missed(tick_of(at), bool(np.isin(code, anew)))
            begin = Window(begin.at[~apart])
            window = Window(window.at[~np.isin(window.key, list(self.quarantined))])

        def compute(at: I64) -> Table:
            return self.operator.compute(inputs, Window(at), self.own)

        def set_apart(places: I64, error: Exception) -> None:
            for at in places.tolist():
                code = key_of(at)
                self._set_apart(code, error)
                self.quarantined[code].missed(tick_of(at), bool(np.isin(code, anew)))
                said[code] = f"{self.quarantined[code].error} (in {self.operator.name})"

        made = isolate(compute, begin.at, set_apart)
        if len(made) == 1 and not self.quarantined:
            new = made[0]
        else:
            new = empty(self.own.kind, self.own.vocabulary)
            for part in made:
                new = merge(new, part)
            window = Window(window.at[~np.isin(window.key, list(self.quarantined))])
        changed = difference(self.own, new, window)
        self.own = splice(self.own, window, new)
        self.origin[changed.key] = np.minimum(self.origin[changed.key], changed.tick)
        late = self._late(Window(changed.at[changed.tick == self.known_from[changed.key]]))
        if len(anew):
            # Whoever still knows an earlier life of the key must not keep any of it.
            whole = np.isin(changed.key, anew)
            changed = Window(np.where(whole, begin_of(changed.at), changed.at))
        for code, held in self.quarantined.items():
            if held.own and held.position == self.position and said.get(code) is None:
                said[code] = f"{held.error} (in {self.operator.name})"
        patch = replace(self._patch(heard, changed, said), origins=late[0], counted=late[1])
        self.shrinking.after_step()
        return patch

    def _from_there(self, window: Window) -> Window:
        """The window without what lies before a key's function begins."""
        return Window(np.maximum(window.at, pack(window.key, self.known_from[window.key])))

    def _late(self, begin: Window) -> tuple[I64, I64]:
        """``origins`` and ``counted`` of a patch in which keys begin there."""
        key = begin.key[begin.tick > self.origin[begin.key]]
        counted = key[self.counted_from[key] > 0]
        return pack(key, self.origin[key]), pack(counted, self.counted_from[counted])

    def _patch(self, heard: I64, window: Window, said: dict[int, str | None]) -> Patch:
        assert self.position is not None
        vocabulary = self.own.vocabulary
        values = [] if vocabulary is None else vocabulary.values
        patch = Patch(
            self.position,
            self.sent_names,
            self.keys.names[self.sent_names :],
            self.sent_values,
            values[self.sent_values :],
            heard,
            window,
            cut(self.own, window),
            quarantined={self.keys.names[code]: reason for code, reason in said.items()},
        )
        self.sent_names = len(self.keys)
        self.sent_values = max(1, len(values))
        return patch

    def snapshot(self) -> Patch | None:
        """The whole table as one patch, for a new subscriber; ``None`` before the first batch."""
        if self.position is None:
            return None
        known = np.flatnonzero(self.newest >= 0)
        vocabulary = self.own.vocabulary
        values = [] if vocabulary is None else vocabulary.values
        # After shrinking, the next patch says all names and values anew, and the snapshot must too.
        names = self.keys.names[: self.sent_names or None]
        begin = Window(self.own.at[self.own.first_rows()])
        origins, counted = self._late(begin)
        return Patch(
            self.position,
            0,
            names,
            1,
            values[1 : self.sent_values if self.sent_values > 1 else None],
            pack(known, self.newest[known]),
            begin,
            self.own,
            quarantined={self.keys.names[c]: self._reason(q) for c, q in self.quarantined.items()},
            origins=origins,
            counted=counted,
        )

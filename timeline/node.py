"""One node of a plan for one stream: its inputs, its own table, and the patches that go in and out.

Pure: no clock, no I/O. The workflows are thin shells round this, and tests run it without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from timeline.errors import LimitError, RetentionError
from timeline.events import Events, Position
from timeline.exact import user_value
from timeline.expression import Scalar
from timeline.operators.base import Leaf, Operator
from timeline.table import (
    Shape,
    Table,
    Window,
    collapse,
    cut,
    difference,
    earliest,
    empty,
    first_of_runs,
    known_to_all,
    last_of_runs,
    latest,
    lookup,
    pack,
    splice,
)
from timeline.ticks import MAX_TICK, TICK_BITS, format_duration
from timeline.vocabulary import I64, Keys, Vocabulary

#: Below this many rows a node does not look for what it may forget.
COLLAPSE_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """``allowed_lateness`` and ``retention`` in ms; ``None`` means without end."""

    allowed_lateness: int | None = None
    retention: int | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """ "Up to ``position``: in this window, my function is these rows."

    Key codes are the sender's: ``names`` are those it has not sent before, the first of them with
    code ``first_name`` (0 begins anew, as a snapshot does); ``values`` and ``first_value`` likewise
    for its vocabulary. ``heard`` packs the keys that events came for with the newest tick of each.
    ``more``: further parts up to the same position follow.
    """

    position: Position
    first_name: int
    names: list[str]
    first_value: int
    values: list[Scalar]
    heard: I64
    window: Window
    rows: Table
    more: bool = False


@dataclass(slots=True)
class Edge:
    """What a node knows of one of its children: its table at the node's position, and what came early."""

    table: Table
    position: Position | None = None
    codes: I64 = field(default_factory=lambda: np.empty(0, np.int64))
    pending: list[tuple[Position, bool, I64, Window, Table]] = field(default_factory=list)

    def complete(self) -> set[Position]:
        """The positions up to which something is pending in full."""
        return {position for position, more, *_ in self.pending if not more}


class Node:
    """An operator at work on one stream.

    ``position`` is the place in the stream that the node's table stands for (``None`` before the
    first batch). A leaf takes `accept`; an inner node takes `receive`, then `advance` as long as it
    returns a patch. ``shapes`` are those of the inputs of an inner node.
    """

    def __init__(
        self,
        operator: Operator,
        shapes: Sequence[Shape],
        limits: Limits,
        before_origin: Scalar = None,
    ) -> None:
        self.operator = operator
        self.before_origin = before_origin
        self.leaf = operator if isinstance(operator, Leaf) else None
        self.limits = limits
        self.position: Position | None = None
        self.keys = Keys()
        self.origin = np.empty(0, np.int64)
        self.newest = np.empty(0, np.int64)
        self.accepted = 0
        self.refused = 0
        if self.leaf is not None:
            self.edges = [Edge(self.leaf.empty_raw())]
        else:
            self.edges = [Edge(empty(s, Vocabulary() if s is Shape.STATE else None)) for s in shapes]
        self.own = own_table(operator, self.edges[0].table.vocabulary)
        self.sent_names = 0
        self.sent_values = 1
        self._rows_after_collapse = 0

    # --- what comes in ---------------------------------------------------------------------------

    def accept(self, events: Events, last: Position) -> Patch | None:
        """A leaf's step: the events up to and including ``last``. ``None`` if all was seen before."""
        assert self.leaf is not None
        if self.position is not None:
            if last <= self.position:
                return None
            events = events.after(self.position)
        used = np.unique(events.key)
        recode = np.zeros(len(events.keys), np.int64)
        recode[used] = self.keys.encode([events.keys[i] for i in used])
        self._grow()
        key = recode[events.key]
        late = late_events(key, events.tick, self.newest, self.limits.allowed_lateness)
        if late.any():
            self.refused += int(late.sum())
            rows = np.flatnonzero(~late)
            events, key = events.take(rows), key[rows]
        self.accepted += len(events)
        at = pack(key, events.tick)
        edge = self.edges[0]
        new = self.leaf.read(events, at, edge.table)
        heard, origin = self._hear(at)
        starts = [origin.at]
        if len(new):
            starts.append(new.at[first_of_runs(new.key)])
        edge.table = self.leaf.thin(self.leaf.absorb(edge.table, new))
        self.position = last
        return self._compute(last, heard, starts)

    def receive(self, index: int, patch: Patch) -> bool:
        """Keeps a patch of the child at ``index`` until its position can be computed.

        False if it is a repeat, which is ignored.
        """
        edge = self.edges[index]
        known = edge.pending[-1][0] if edge.pending else edge.position
        partial = bool(edge.pending) and edge.pending[-1][1]
        if known is not None and (patch.position < known or (patch.position == known and not partial)):
            return False
        if patch.first_name == 0:
            edge.codes = np.empty(0, np.int64)
        if patch.first_name != len(edge.codes):
            raise LimitError(
                f"patch up to {patch.position} names keys from {patch.first_name} on, but "
                f"{len(edge.codes)} are known: a patch before it is missing"
            )
        edge.codes = np.concatenate((edge.codes, self.keys.encode(patch.names)))
        self._grow()
        rows = patch.rows
        if edge.table.vocabulary is not None:
            edge.table.vocabulary.encode(patch.values)
        at = _recode(rows.at, edge.codes)
        order = np.argsort(at, kind="stable")
        rows = Table(
            rows.shape,
            at[order],
            rows.value[order],
            None if rows.slope is None else rows.slope[order],
            edge.table.vocabulary,
            rows.unit,
        )
        window = Window(np.sort(_recode(patch.window.at, edge.codes)))
        heard = _recode(patch.heard, edge.codes)
        edge.pending.append((patch.position, patch.more, heard, window, rows))
        return True

    def advance(self) -> Patch | None:
        """An inner node's step, to the furthest position that all its children have reached."""
        common = set.intersection(*(edge.complete() for edge in self.edges))
        if not common:
            self._condense()
            return None
        position = max(common)
        starts, heard = [], []
        for edge in self.edges:
            while edge.pending and edge.pending[0][0] <= position:
                _, _, heard_here, window, rows = edge.pending.pop(0)
                edge.table = splice(edge.table, window, rows)
                starts.append(window.at)
                heard.append(heard_here)
            edge.position = position
        self.position = position
        # All children hear of the same keys: a leaf reports every key of every batch.
        return self._compute(position, self._newest_of(heard), starts)

    def _condense(self) -> None:
        """Folds pending patches together where no position between them can be computed any more.

        A new child that is fed from the beginning beside one whose snapshot is far ahead would
        otherwise leave its whole history pending.
        """
        first = [min(complete) for edge in self.edges if (complete := edge.complete())]
        for edge in self.edges:
            while len(edge.pending) > 1 and first and edge.pending[0][0] < max(first):
                (_, _, heard, window, rows), (position, more, heard_next, window_next, rows_next) = (
                    edge.pending[:2]
                )
                edge.pending[:2] = [
                    (
                        position,
                        more,
                        latest((heard, heard_next)),
                        Window(earliest((window.at, window_next.at))),
                        splice(rows, window_next, rows_next),
                    )
                ]

    def _newest_of(self, heard: Sequence[I64]) -> I64:
        newest = latest(heard)
        self.newest[newest >> TICK_BITS] = np.maximum(self.newest[newest >> TICK_BITS], newest & MAX_TICK)
        return newest

    def _grow(self) -> None:
        missing = len(self.keys) - len(self.origin)
        if missing > 0:
            self.origin = np.concatenate((self.origin, np.full(missing, MAX_TICK + 1, np.int64)))
            self.newest = np.concatenate((self.newest, np.full(missing, -1, np.int64)))

    def _hear(self, at: I64) -> tuple[I64, Window]:
        """Takes note of the keys of a leaf's batch: the newest tick of each, and moved origins."""
        ordered = np.sort(at)
        first = first_of_runs(ordered >> TICK_BITS)
        heard = ordered[last_of_runs(ordered >> TICK_BITS)]
        key = heard >> TICK_BITS
        self.newest[key] = np.maximum(self.newest[key], heard & MAX_TICK)
        earliest = ordered[first]
        moved = (earliest & MAX_TICK) < self.origin[key]
        return heard, Window(earliest[moved])

    # --- what goes out ---------------------------------------------------------------------------

    def _compute(self, position: Position, heard: I64, starts: Sequence[I64]) -> Patch:
        window = Window(earliest(starts))
        inputs = [edge.table for edge in self.edges]
        if len(inputs) > 1:
            window = known_to_all(inputs, window)
        new = self.operator.compute(inputs, window, self.own)
        changed = difference(self.own, new, window)
        self.own = splice(self.own, window, new)
        self.origin[changed.key] = np.minimum(self.origin[changed.key], changed.tick)
        patch = self._patch(position, heard, changed)
        self._collapse()
        return patch

    def _patch(self, position: Position, heard: I64, window: Window) -> Patch:
        vocabulary = self.own.vocabulary
        values = [] if vocabulary is None else vocabulary.values
        patch = Patch(
            position,
            self.sent_names,
            self.keys.names[self.sent_names :],
            self.sent_values,
            values[self.sent_values :],
            heard,
            window,
            cut(self.own, window),
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
        return Patch(
            self.position,
            0,
            self.keys.names[: self.sent_names],
            1,
            [] if vocabulary is None else vocabulary.values[1 : self.sent_values],
            pack(known, self.newest[known]),
            Window(self.own.at[self.own.first_rows()]),
            self.own,
        )

    # --- retention -------------------------------------------------------------------------------

    def _collapse(self) -> None:
        """Forgets what is older than retention, whenever the rows have doubled since last time."""
        limits = self.limits
        if limits.allowed_lateness is None or limits.retention is None:
            return
        rows = len(self.own) + sum(len(edge.table) for edge in self.edges)
        if rows < 2 * self._rows_after_collapse + COLLAPSE_ROWS:
            return
        codes = np.arange(len(self.keys)) << TICK_BITS
        watermark = np.maximum(self.newest - limits.allowed_lateness, 0)
        # One tick more than is promised: a late event at the watermark looks at what held before it.
        self.own = collapse(self.own, codes | np.maximum(watermark - limits.retention - 1, 0))
        horizon = codes | np.maximum(watermark - self.operator.reach - 1, 0)
        for edge in self.edges:
            if self.leaf is None:
                edge.table = collapse(edge.table, horizon)
            else:
                edge.table = self.leaf.forget(edge.table, horizon)
        self._rows_after_collapse = len(self.own) + sum(len(edge.table) for edge in self.edges)

    # --- what is asked ---------------------------------------------------------------------------

    def value(self, key: str, at: int | None) -> tuple[Scalar, int | None, bool]:
        """The value of a key at tick ``at`` (its newest event's where ``None``), that tick, and whether
        no acceptable event can change it any more. A key without events has no newest tick.

        Raises:
            RetentionError: ``at`` is older than what is kept.
            KeyError: no event of the key was heard of.
        """
        code = self.keys.find(key)
        if code is None or self.newest[code] < 0:
            raise KeyError(key)
        newest = int(self.newest[code])
        tick = newest if at is None else at
        lateness = self.limits.allowed_lateness
        final = lateness is not None and tick < newest - lateness
        row, held = lookup(self.own, pack(np.array([code]), np.array([tick])))
        if held[0]:
            return self.own.python_value(int(row[0]), tick), tick, final
        if tick >= self.origin[code]:
            begin = int(cut(self.own, Window(np.array([code << TICK_BITS]))).tick[0])
            raise RetentionError(
                f"key {key!r} is kept from {begin} ms on (retention "
                f"{format_duration(self.limits.retention or 0)}), got {tick} ms; "
                "ask for a later time or raise limits.retention"
            )
        return user_value(self.before_origin), tick, final

    def timeline(self, key: str) -> tuple[Table, int, int]:
        """A key's rows, its origin and its newest tick.

        Raises:
            KeyError: no event of the key was heard of.
        """
        code = self.keys.find(key)
        if code is None or self.newest[code] < 0:
            raise KeyError(key)
        rows = cut(self.own, Window(np.array([code << TICK_BITS])))
        return rows, int(self.origin[code]), int(self.newest[code])


def own_table(operator: Operator, of_input: Vocabulary | None) -> Table:
    """An operator's table without rows: a leaf's State has the vocabulary of what it reads."""
    if operator.shape is not Shape.STATE:
        return empty(operator.shape)
    return empty(operator.shape, of_input if isinstance(operator, Leaf) else Vocabulary())


def _recode(at: I64, codes: I64) -> I64:
    recoded: I64 = (codes[at >> TICK_BITS] << TICK_BITS) | (at & MAX_TICK)
    return recoded


def late_events(key: I64, tick: I64, newest: I64, lateness: int | None) -> np.typing.NDArray[np.bool_]:
    """Which of a batch's events lie below their key's watermark at their place in the stream.

    ``key``, ``tick`` (n) in stream order; ``newest`` one a key code, -1 where there is none. An event
    is late if its tick is less than the newest of its key before it less ``lateness`` (ms).

    >>> late_events(np.array([0, 0, 0]), np.array([9, 3, 4]), np.array([-1]), 5).tolist()
    [False, True, False]
    """
    if lateness is None or not len(key):
        return np.zeros(len(key), bool)
    order = np.argsort(key.astype(np.uint16) if key.max() < 65536 else key, kind="stable")
    sorted_key, sorted_tick = key[order], tick[order]
    packed = (sorted_key << TICK_BITS) | sorted_tick
    # Greater keys pack greater, so one running maximum serves all keys.
    running = np.maximum.accumulate(packed) & MAX_TICK
    newest_before = newest[sorted_key]
    same = sorted_key[1:] == sorted_key[:-1]
    newest_before[1:][same] = np.maximum(newest_before[1:], running[:-1])[same]
    late = np.empty(len(key), bool)
    late[order] = sorted_tick < newest_before - lateness
    return late


def parts(patch: Patch, rows: int = 50_000) -> list[Patch]:
    """The patch in pieces of about that many rows each, so that each fits in one message.

    A key is never divided; all pieces but the last say that ``more`` follows.
    """
    if len(patch.rows) + len(patch.heard) <= rows:
        return [patch]
    high = np.searchsorted(patch.rows.at, patch.window.end, side="left")
    # Keys by the piece that their last row falls into; the keys heard of by their own number.
    piece = (high - 1) // rows
    heard_piece = np.arange(len(patch.heard)) // rows
    pieces = []
    for number in range(int(max([0, *piece[-1:], *heard_piece[-1:]])) + 1):
        chosen = piece == number
        window = Window(patch.window.at[chosen])
        first = number == 0
        pieces.append(
            replace(
                patch,
                first_name=patch.first_name if first else patch.first_name + len(patch.names),
                names=patch.names if first else [],
                values=patch.values if first else [],
                heard=patch.heard[heard_piece == number],
                window=window,
                rows=cut(patch.rows, window),
                more=True,
            )
        )
    pieces[-1] = replace(pieces[-1], more=patch.more)
    return pieces

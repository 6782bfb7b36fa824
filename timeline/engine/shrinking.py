"""How a node stays bounded: what nobody can ask for or need any more is forgotten.

Rows that ended before retention collapse into one base row a key. Keys that were idle for longer than
``key_ttl`` and retention go altogether, and dictionaries are written anew once most of them is unused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from timeline.engine.patch import Pending
from timeline.tables.packing import key_of, recode, start_of
from timeline.tables.splicing import collapse
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64, NULL_CODE, Keys, Vocabulary

if TYPE_CHECKING:
    from timeline.engine.node import Node

#: Below this many rows (keys, values) a node does not look for what it may forget.
FEW = 1024


class Shrinking:
    """Looks whenever the node has doubled since last time, so that it costs little a batch."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.size_after = 0

    def size(self) -> int:
        """Rows, keys and values that the node holds."""
        node = self.node
        size = len(node.own) + len(node.keys) + sum(len(edge.table) for edge in node.edges)
        return size + sum(len(v) for v in _vocabularies(node))

    def after_step(self) -> None:
        """To be called after every step."""
        limits = self.node.limits
        if limits.allowed_lateness is None or limits.retention is None:
            return
        if self.size() < 2 * self.size_after + FEW:
            return
        self._collapse(limits.allowed_lateness, limits.retention)
        if limits.forgotten_after is not None:
            self._forget(limits.forgotten_after)
        self._shrink_vocabularies()
        self.size_after = self.size()

    def _collapse(self, lateness: int, retention: int) -> None:
        node = self.node
        codes = start_of(np.arange(len(node.keys)))
        watermark = np.maximum(node.newest - lateness, 0)
        # One tick more than is promised: a late event at the watermark looks at what held before it.
        kept = np.maximum(watermark - retention - 1, 0)
        # The inputs of outputs are not only computed from, but asked for.
        needed = kept.copy() if node.outputs else np.maximum(watermark - node.operator.reach - 1, 0)
        for code, held in node.quarantined.items():
            if held.since is not None and watermark[code] - held.since > retention:
                held.since = held.events = None
            if held.since is not None:
                # All that is needed to rebuild the key from where it was set apart.
                kept[code] = min(kept[code], max(held.since - 1, 0))
                needed[code] = min(needed[code], max(held.since - node.operator.reach - 1, 0))
        node.own = collapse(node.own, codes | kept)
        for edge in node.edges:
            if node.leaf is None:
                edge.table = collapse(edge.table, codes | needed)
            else:
                edge.table = node.leaf.forget(edge.table, codes | needed)

    def _forget(self, after: int) -> None:
        """Drops keys that were idle for too long; their codes too, once no child can name them."""
        node = self.node
        dead = node.stream_newest - node.newest >= after
        dead &= node.newest >= 0
        if not dead.any():
            return
        gone = Window(start_of(np.flatnonzero(dead)))
        node.own = node.own.take(~dead[node.own.key])
        for edge in node.edges:
            edge.table = edge.table.take(~dead[edge.table.key])
        for code in gone.key.tolist():
            node.quarantined.pop(code, None)
            for edge in node.edges:
                edge.quarantined.pop(code, None)
        # A key of which no event was accepted is as good as forgotten.
        droppable = dead | (node.newest < 0)
        for edge in node.edges:
            droppable[edge.codes] = False
            for pending in edge.pending:
                for at in (pending.heard, pending.window.at, pending.rows.at):
                    droppable[key_of(at)] = False
                droppable[list(pending.quarantined)] = False
        if 2 * int(np.count_nonzero(droppable)) > len(droppable):
            self._renumber(np.flatnonzero(~droppable))

    def _renumber(self, kept: I64) -> None:
        node = self.node
        new = np.full(len(node.keys), -1, np.int64)
        new[kept] = np.arange(len(kept))
        node.keys = Keys([node.keys.names[code] for code in kept.tolist()])
        node.origin, node.newest = node.origin[kept], node.newest[kept]
        node.known_from, node.counted_from = node.known_from[kept], node.counted_from[kept]
        node.own = _renamed(node.own, new)
        node.quarantined = {int(new[code]): held for code, held in node.quarantined.items()}
        for edge in node.edges:
            edge.table = _renamed(edge.table, new)
            edge.codes = new[edge.codes]
            edge.quarantined = {int(new[code]): text for code, text in edge.quarantined.items()}
            edge.pending = [
                Pending(
                    p.position,
                    p.more,
                    recode(p.heard, new),
                    Window(recode(p.window.at, new)),
                    _renamed(p.rows, new),
                    {int(new[code]): text for code, text in p.quarantined.items()},
                    recode(p.origins, new),
                    recode(p.counted, new),
                )
                for p in edge.pending
            ]
        node.sent_names = 0  # the next patch says all names anew

    def _shrink_vocabularies(self) -> None:
        node = self.node
        for vocabulary in _vocabularies(node):
            tables = [node.own, *(edge.table for edge in node.edges)]
            pending = [p.rows for edge in node.edges for p in edge.pending]
            used = np.zeros(len(vocabulary), bool)
            used[NULL_CODE] = True
            for table in (*tables, *pending):
                if table.vocabulary is vocabulary:
                    used[table.value] = True
            for edge in node.edges:
                if edge.table.vocabulary is vocabulary:
                    used[edge.value_codes] = True
            if len(used) >= FEW and 2 * int(np.count_nonzero(used)) < len(used):
                self._rewrite(vocabulary, np.flatnonzero(used))

    def _rewrite(self, vocabulary: Vocabulary, kept: I64) -> None:
        node = self.node
        new = np.full(len(vocabulary), -1, np.int64)
        new[kept] = np.arange(len(kept))
        smaller = Vocabulary([vocabulary.values[code] for code in kept.tolist()[1:]])

        def rewritten(table: Table) -> Table:
            if table.vocabulary is not vocabulary:
                return table
            return replace(table, value=new[table.value], vocabulary=smaller)

        if node.own.vocabulary is vocabulary:
            node.sent_values = 1  # the next patch says all values anew
        node.own = rewritten(node.own)
        for edge in node.edges:
            if edge.table.vocabulary is vocabulary:
                edge.value_codes = new[edge.value_codes]
            edge.table = rewritten(edge.table)
            edge.pending = [replace(p, rows=rewritten(p.rows)) for p in edge.pending]


def _vocabularies(node: Node) -> Sequence[Vocabulary]:
    """Those of the node's tables, each once."""
    tables = [node.own, *(edge.table for edge in node.edges)]
    found = {id(t.vocabulary): t.vocabulary for t in tables if t.kind is Kind.STATE}
    return [v for v in found.values() if v is not None]


def _renamed(table: Table, new: I64) -> Table:
    return replace(table, at=recode(table.at, new))

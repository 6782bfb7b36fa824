"""How a node stays bounded: what nobody can ask for or need any more is forgotten.

Rows that ended before retention collapse into one base row a key. Keys that were idle for longer than
``key_ttl`` and retention go altogether, and dictionaries are written anew once most of them is unused.
"""

from __future__ import annotations

import numpy as np

from timeline.engine.state import NodeState
from timeline.tables.lateness import watermark
from timeline.tables.packing import start_of

#: Below this many rows (keys, values) a node does not look for what it may forget.
FEW = 1024


class Shrinking:
    """Looks whenever the node has doubled since last time, so that it costs little a batch."""

    def __init__(self, state: NodeState) -> None:
        self.state = state
        self.size_after = 0

    def after_step(self) -> None:
        """To be called after every step."""
        limits = self.state.limits
        if limits.allowed_lateness is None or limits.retention is None:
            return
        if self.state.size() < 2 * self.size_after + FEW:
            return
        self._collapse(limits.retention)
        if limits.forgotten_after is not None:
            self._forget(limits.forgotten_after)
        self._shrink_vocabularies()
        self.size_after = self.state.size()

    def _collapse(self, retention: int) -> None:
        node = self.state
        codes = start_of(np.arange(len(node.keys)))
        below = watermark(node.limits, node.by_key.newest, node.stream_time)
        # One tick more than is promised: a late event at the watermark looks at what held before it.
        kept = np.maximum(below - retention - 1, 0)
        # The inputs of outputs are not only computed from, but asked for.
        needed = kept.copy() if node.outputs else np.maximum(below - node.operator.reach - 1, 0)
        for code, held in node.quarantined.items():
            if held.since is not None and below[code] - held.since > retention:
                held.since = held.events = None
            if held.since is not None:
                # All that is needed to rebuild the key from where it was set apart.
                kept[code] = min(kept[code], max(held.since - 1, 0))
                needed[code] = min(needed[code], max(held.since - node.operator.reach - 1, 0))
        node.own.collapse(codes | kept)
        for edge in node.edges:
            if node.leaf is None:
                edge.table.collapse(codes | needed)
            else:
                node.leaf.forget(edge.table, codes | needed)

    def _forget(self, after: int) -> None:
        """Drops keys that were idle for too long; their codes too, once no child can name them."""
        node = self.state
        newest = node.by_key.newest
        dead = (node.stream_time - newest >= after) & (newest >= 0)
        if not dead.any():
            return
        node.forget(np.flatnonzero(dead))
        # A key of which no event was accepted is as good as forgotten.
        droppable = dead | (newest < 0)
        droppable[node.named_by_children()] = False
        if 2 * int(np.count_nonzero(droppable)) > len(droppable):
            node.renumber(np.flatnonzero(~droppable))

    def _shrink_vocabularies(self) -> None:
        for vocabulary in self.state.vocabularies():
            if len(vocabulary) >= FEW:
                used = self.state.used_values(vocabulary)
                if 2 * len(used) < len(vocabulary):
                    self.state.rewrite(vocabulary, used)

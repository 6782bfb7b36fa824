"""What a sink keeps of what it was told: all of which rows may still be made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from timeline.engine.shrinking import Shrinking
from timeline.engine.state import NodeState
from timeline.tables.packing import packed
from timeline.values.vocabulary import I64


class Tidying(Shrinking):
    """Keeps what was not emitted, whatever retention says; works only when it is told to. ``done`` says by
    key code below which tick rows are made, ``every`` (ms) how far apart they are, if they are of groups."""

    def __init__(self, state: NodeState, done: Callable[[], I64], every: int) -> None:
        super().__init__(state)
        self._done = done
        self._every = every

    def after_step(self) -> None:
        """Rows are made of the tables first."""

    def now(self) -> None:
        super().after_step()

    def _collapse(self, retention: int) -> None:
        # A tick more: whether something changes at the first that is not done.
        horizon = packed(np.arange(len(self.state.by_key)), np.maximum(self._done() - 1, 0))
        for edge in self.state.edges:
            edge.table.collapse(horizon)

    def _forget(self, after: int) -> None:
        limits = self.state.limits
        assert limits.key_ttl is not None
        longest = 2 * limits.key_ttl + (limits.allowed_lateness or 0) + self._every
        super()._forget(max(after, longest))

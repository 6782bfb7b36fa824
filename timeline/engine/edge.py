"""What a node knows of one of its children."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from timeline.engine.patch import Patch, Pending
from timeline.tables.events import Position
from timeline.tables.history import History
from timeline.tables.packing import key_of, recode
from timeline.tables.table import Table
from timeline.values.vocabulary import I64


@dataclass(slots=True)
class Edge:
    """What a node knows of one of its children: its table at the node's position, and what came early.

    ``codes`` and ``value_codes`` turn the child's codes into the node's; ``quarantined`` (by the
    node's key codes) are the keys of which the child has no function.
    """

    table: History
    position: Position | None = None
    codes: I64 = field(default_factory=lambda: np.empty(0, np.int64))
    value_codes: I64 = field(default_factory=lambda: np.zeros(1, np.int64))
    pending: list[Pending] = field(default_factory=list)
    quarantined: dict[int, str] = field(default_factory=dict)

    def tables(self) -> list[Table]:
        """The child's table, and what of it came early."""
        return [self.table.whole(), *(pending.rows for pending in self.pending)]

    def named(self) -> list[I64]:
        """The node's codes of keys that the child has named, or has rows of to come."""
        named = [self.codes]
        for p in self.pending:
            named += [key_of(at) for at in (p.heard, p.window.at, p.rows.at)]
            named.append(np.array(list(p.quarantined), np.int64))
        return named

    def renumber(self, new: I64) -> None:
        """Gives keys other codes: ``new`` has one for each old one that goes on."""
        rows = self.table.whole()
        self.table.become(replace(rows, at=recode(rows.at, new)))
        self.codes = new[self.codes]
        self.quarantined = {int(new[code]): text for code, text in self.quarantined.items()}
        self.pending = [pending.renumbered(new) for pending in self.pending]

    def repeats(self, patch: Patch) -> bool:
        """Whether a patch was here before."""
        known = self.pending[-1].position if self.pending else self.position
        partial = bool(self.pending) and self.pending[-1].more
        return known is not None and (
            patch.position < known or (patch.position == known and not partial and not patch.amends)
        )

    def complete(self) -> set[Position]:
        """The positions up to which something is pending in full."""
        return {patch.position for patch in self.pending if not patch.more}

    def condense(self, until: Position) -> None:
        """Folds together what is pending before a position that must be reached first.

        A new child that is fed from the beginning beside one whose snapshot is far ahead would
        otherwise leave its whole history pending.
        """
        while len(self.pending) > 1 and self.pending[0].position < until:
            self.pending[:2] = [self.pending[0].then(self.pending[1])]

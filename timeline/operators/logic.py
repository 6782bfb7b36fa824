"""What ``&&`` and ``||`` share: Bools taken together at every tick."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from timeline.operators.base import Operator
from timeline.tables.packing import Bools
from timeline.tables.splicing import align, coalesce, cut
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind


@dataclass(frozen=True)
class Together(Operator):
    """A pointwise operator over any number of Bools."""

    kind = Kind.BOOL
    pointwise = True
    connective = True

    @abstractmethod
    def combine(self, values: Sequence[Bools]) -> Bools:
        """The result at places where each input has the given value."""

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        tables = [cut(table, window) for table in inputs]
        at, rows = align(tables)
        values = [table.value[row] for table, row in zip(tables, rows, strict=True)]
        return coalesce(Table(Kind.BOOL, at, self.combine(values)))

"""What the operators over predicates share: it, and mostly that raw rows are the events that match."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timeline.language.expression import Expression
from timeline.operators.base import Leaf, sort_rows
from timeline.operators.predicate import columns_of, matches
from timeline.tables.events import Events
from timeline.tables.table import Table, empty
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64


@dataclass(frozen=True)
class OfEvents(Leaf):
    """A leaf over a predicate."""

    predicate: Expression

    @property
    def columns(self) -> frozenset[str]:
        return columns_of(self.predicate)


@dataclass(frozen=True)
class Matching(OfEvents):
    """One true raw row for each tick at which an event matches."""

    def empty_raw(self) -> Table:
        return empty(Kind.BOOL)

    def read(self, events: Events, at: I64, raw: Table) -> Table:
        return true_at(at[matches(self.predicate, events)])


def true_at(at: I64) -> Table:
    """The raw rows of events at these places, each place once."""
    at = at[sort_rows(at, keep="first")]
    return Table(Kind.BOOL, at, np.ones(len(at), bool))

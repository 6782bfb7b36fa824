"""``count(p)``: how many events have matched.

>>> from timeline.language.builder import col
>>> from timeline.language.calls import count
>>> print(count(col("state") == "seek"))
count(state == "seek")
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timeline.language.expression import Expression
from timeline.language.signatures import EVENTS, Signature
from timeline.operators.base import Lowered
from timeline.operators.matching import OfEvents
from timeline.operators.predicate import matches
from timeline.operators.running import Running, added_up
from timeline.tables.events import Events
from timeline.tables.table import Table
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64


@dataclass(frozen=True)
class Count(OfEvents, Running):
    """At t: the number of events at or before t that match; several at one tick all count.

    >>> from timeline.local.example import run
    >>> run('count(state == "seek")', {1: "play", 2: "seek", 5: "seek"}, late={3: "seek"})
    1 s 0
    2 s 1
    3 s 2
    5 s 3
    """

    signature = Signature("count", (EVENTS,), Kind.NUMERIC, rank=8)

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        return cls(part.parts[0]), ()

    def read(self, events: Events, at: I64, raw: Table) -> Table:
        places = at[matches(self.predicate, events)]
        places, number = added_up(places, np.full(len(places), 1000))
        return Table(Kind.NUMERIC, places, number, np.zeros(len(places), np.int64))

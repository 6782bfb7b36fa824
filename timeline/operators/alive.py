"""``alive(d)``: true while the key's newest event, whatever it says, is less than a while ago.

>>> from timeline.language.calls import alive
>>> print(~alive("5m"))
!alive(5m)
"""

from __future__ import annotations

from dataclasses import dataclass

from timeline.language.expression import Expression
from timeline.language.signatures import DURATION, Signature, arguments_of
from timeline.operators.base import Lowered
from timeline.operators.has_existed_within import HeldEvents
from timeline.operators.matching import true_at
from timeline.tables.events import Events
from timeline.tables.table import Table
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64


@dataclass(frozen=True)
class Alive(HeldEvents):
    """At t: whether t lies in ``[s, s + duration)`` for an event of the key at s.

    Every event counts, even one without columns. ``!alive(5m)`` is: no event for five minutes.

    >>> from timeline.local.example import run
    >>> run('alive(5s)', {1: "play", 3: None, 10: "seek"})
    1 s True
    8 s False
    10 s True
    15 s False
    """

    signature = Signature("alive", (DURATION,), Kind.BOOL, rank=4)

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        (duration,) = arguments_of(part)
        assert isinstance(duration, int)
        return cls(duration), ()

    @property
    def columns(self) -> frozenset[str]:
        return frozenset()

    def read(self, events: Events, at: I64, raw: Table) -> Table:
        return true_at(at)
